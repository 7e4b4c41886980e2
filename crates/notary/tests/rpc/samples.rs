//! Objects that tests send.

use tally_core::fork::{ForkProof, Spending};
use tally_core::id::{CoinId, TxId};
use tally_core::predicate::spend_digest;

use crate::world::owner;

/// The proof that the owner gave the coin `coin` away twice.
pub fn fork(coin: u8) -> ForkProof {
    let spending = |tx: u8| {
        let (coin, tx) = (CoinId::new([coin; 32]), TxId::new([tx; 32]));
        let signature = owner().sign(&spend_digest(&coin, &tx));
        Spending { coin, tx, signature }
    };
    ForkProof { key: owner().public(), a: spending(1).into(), b: spending(2).into() }
}
