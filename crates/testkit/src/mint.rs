//! Make an asset, and mint it.

use alloc::vec;

use tally_core::amount::Amount;
use tally_core::cbor::List;
use tally_core::evidence::Minted;
use tally_core::id::{AssetId, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use tally_core::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use tally_core::predicate::Predicate;

use crate::chip::enroller;

/// Whoever issues every asset.
pub fn issuer() -> SecretKey {
    SecretKey::new([0xee; 32]).expect("a scalar")
}

/// An asset with two decimals, of one issuer, who takes the word of every chip's enroller.
pub fn policy(issuer: &SecretKey) -> Policy {
    let enrollers = List::new(vec![enroller().public()]).expect("one enroller");
    Policy {
        version: POLICY_VERSION,
        network: NetworkId::LOCAL,
        kind: AssetKind::Fungible,
        ticker: Ticker::new("EUR").expect("a ticker"),
        decimals: 2,
        issuers: List::new(vec![issuer.public()]).expect("one issuer"),
        threshold: 1,
        max_supply: None,
        offline: OfflineRules { enrollers, ..OfflineRules::default() },
        metadata: None,
    }
}

/// New units of an asset, under a serial number of their own, after so many others.
pub fn mint(
    issuer: &SecretKey,
    asset: AssetId,
    serial: u64,
    before: u64,
    units: u64,
    to: Predicate,
) -> Minted {
    let body = MintBody {
        version: MINT_VERSION,
        network: NetworkId::LOCAL,
        asset,
        amount: Amount::new(units),
        owner: to,
        serial,
        issued_before: Amount::new(before),
    };
    let signature = issuer.sign(&body.digest());
    let signatures = vec![IssuerSignature { issuer: 0, signature }];
    let mint = Mint { body, signatures: List::new(signatures).expect("one signature") };
    Minted { mint, certified: None }
}
