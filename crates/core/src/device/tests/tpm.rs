//! FAKE hardware for the seal's rules: counters that only move forward, and one proof a slot.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::scene::NOW;
use crate::id::{NetworkId, TxId};
use crate::keys::{PublicKey, SecretKey};
use crate::predicate::Sealed;
use crate::predicate::tests::fake_proof;
use crate::seal::{
    AttestationKey, CERTIFICATE_VERSION, Hardware, Revocation, RevocationTerms, SealCertificate,
    SealIdentity, SealLabel, SealTerms, Slot, SlotProof, TpmSeal,
};
use crate::time::Time;

const COUNTERS: u16 = 3;

/// Whoever clones it has the same hardware, not another.
#[derive(Clone, Debug)]
pub(crate) struct FakeTpm {
    seal: TpmSeal,
    state: Rc<RefCell<State>>,
}

#[derive(Debug, Default)]
struct State {
    values: Vec<u64>,
    proofs: BTreeMap<Slot, TxId>,
    /// The power fails between increment and attestation, this many proofs from now.
    fails_in: Option<u32>,
    away: bool,
}

pub(crate) fn enroller() -> SecretKey {
    SecretKey::new([0xed; 32]).expect("a scalar")
}

/// The enroller's word that it no longer vouches for a seal.
pub(crate) fn revocation(number: u64, seal: SealIdentity) -> Revocation {
    revocation_by(&enroller(), number, seal)
}

/// The same by anybody.
pub(crate) fn revocation_by(key: &SecretKey, number: u64, seal: SealIdentity) -> Revocation {
    let SealIdentity::Hardware(seal) = seal else { panic!("no hardware") };
    let list = RevocationTerms::new(NetworkId::LOCAL, key.public(), number, alloc::vec![seal]);
    Revocation::issue(list.expect("one seal"), key)
}

impl FakeTpm {
    pub(crate) fn new(byte: u8) -> Self {
        let key = AttestationKey::from_coordinates(&[byte; 32], &[byte; 32]);
        let seal = TpmSeal { key, base: 0x0180_0000, counters: COUNTERS, firmware: 1 };
        let values = alloc::vec![5; COUNTERS.into()];
        Self { seal, state: Rc::new(RefCell::new(State { values, ..State::default() })) }
    }

    pub(crate) fn identity(&self) -> SealIdentity {
        SealIdentity::Hardware(Hardware::Tpm(self.seal).seal())
    }

    pub(crate) fn enrolled(&self, until: Time) -> SealCertificate {
        self.enrolled_by(until, &enroller(), false)
    }

    pub(crate) fn enrolled_by(
        &self,
        expires: Time,
        enroller: &SecretKey,
        development: bool,
    ) -> SealCertificate {
        let terms = SealTerms {
            version: CERTIFICATE_VERSION,
            network: NetworkId::LOCAL,
            hardware: Hardware::Tpm(self.seal),
            label: SealLabel::new("fake").expect("short"),
            development,
            expires,
            enroller: enroller.public(),
        };
        SealCertificate::issue(terms, enroller)
    }

    pub(crate) fn value(&self, counter: u32) -> u64 {
        self.state.borrow().values[counter as usize]
    }

    pub(crate) fn fail_in(&self, proofs: u32) {
        self.state.borrow_mut().fails_in = Some(proofs);
    }

    /// It is taken out of the machine, or put back.
    pub(crate) fn take_away(&self, away: bool) {
        self.state.borrow_mut().away = away;
    }

    pub(crate) fn is_away(&self) -> bool {
        self.state.borrow().away
    }

    /// Moves a counter out of a slot for a transaction, once.
    pub(crate) fn prove(&self, slot: &Slot, tx: &TxId) -> Option<SlotProof> {
        let mut state = self.state.borrow_mut();
        if state.proofs.get(slot) == Some(tx) {
            return Some(fake_proof(slot, tx));
        }
        let value = state.values.get_mut(slot.counter as usize)?;
        if *value != slot.value {
            return None;
        }
        *value += 1;
        let fails = state.fails_in == Some(0);
        state.fails_in = state.fails_in.and_then(|n| n.checked_sub(1));
        if fails {
            return None;
        }
        state.proofs.insert(*slot, *tx);
        Some(fake_proof(slot, tx))
    }

    /// A counter that is not taken.
    pub(crate) fn free(&self, key: &PublicKey, until: Time, taken: &[Slot]) -> Option<Sealed> {
        let SealIdentity::Hardware(seal) = self.identity() else { return None };
        let counter = (0..COUNTERS.into()).find(|n| taken.iter().all(|slot| slot.counter != *n))?;
        let slot = Slot { seal, counter, value: self.value(counter) };
        Some(Sealed { key: key.clone(), slot, until })
    }
}

/// When the tests' enrollments end.
pub(crate) const ENROLLED_UNTIL: Time = Time::from_unix(NOW.unix() + 365 * 24 * 60 * 60);
