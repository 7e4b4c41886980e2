use std::fmt::Debug;

use tally_core::cbor::{Decode, Encode, from_bytes, to_bytes};
use tally_core::device::{Change, Device, Me};
use tally_core::evidence::{Evidence, Trust};
use tally_core::fork::ForkProof;
use tally_core::id::{DeviceId, NetworkId};
use tally_core::invoice::Invoice;
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_core::object::Object;
use tally_core::packet::{Hello, Packet};
use tally_core::policy::Policy;
use tally_core::seal::{KnownSeals, SealIdentity};
use tally_testkit::NOW;

/// What decodes has no other encoding.
pub(super) fn canonical<T: Decode + Encode + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let object = from_bytes::<T>(bytes).ok()?;
    assert_eq!(to_bytes(&object), bytes);
    Some(object)
}

/// A message has one encoding and a name.
pub fn message(bytes: &[u8]) {
    if let Some(message) = canonical::<Message>(bytes) {
        assert!(!message.name().is_empty());
    }
}

/// An object has one file; what is signed in it can be checked.
pub fn object(bytes: &[u8]) {
    let Ok(object) = Object::from_file(bytes) else { return };
    assert_eq!(object.to_file(), bytes);
    match object {
        Object::Card(signed) => drop(signed.open_card()),
        Object::Policy(policy) => drop(policy.check()),
        Object::Mint(file) => drop(file.policy.check()),
        Object::Invoice(file) => drop(Invoice::open(&file.invoice)),
        Object::Packet(packet) => drop(packet.to_wire()),
        Object::Fork(proof) => drop(proof.check()),
    }
}

/// A packet has one form on the wire.
pub fn packet(bytes: &[u8]) {
    let Ok(packet) = Packet::from_wire(bytes) else { return };
    assert_eq!(packet.to_wire(), bytes);
}

/// What was in a hello has one encoding, and can be checked.
pub fn hello(bytes: &[u8]) {
    canonical::<Hello>(bytes);
    let to = DeviceId::new([7; 32]);
    if let Ok(greeted) = Hello::open(bytes, &to, &[9; 40]) {
        assert_eq!(to_bytes(&greeted.hello), bytes);
        assert_eq!(greeted.hello.card.open_card(), Ok(greeted.card));
    }
}

/// A device takes over any change that decodes, and the change is stored under one key. It is stored
/// in one form, which two kinds of records of an earlier version are brought to.
pub fn change(bytes: &[u8]) {
    let Ok(change) = from_bytes::<Change>(bytes) else { return };
    let stored = to_bytes(&change);
    assert_eq!(canonical::<Change>(&stored).as_ref(), Some(&change));
    let grew = matches!(change, Change::Incoming(_) | Change::Contact(_));
    assert!(stored == bytes || grew);
    let (key, value) = (change.key(), change.value());
    assert!(value.is_none_or(|value| value == stored));
    assert!(!key.is_empty());
    let owner = SecretKey::new([7; 32]).expect("a small scalar").public();
    let me = Me { owner, seal: SealIdentity::Software, network: NetworkId::LOCAL };
    let mut device = Device::new(me);
    device.apply(change.clone());
    device.apply(change);
}

/// Evidence never gives more of an asset than its mints brought.
pub fn evidence(bytes: &[u8]) {
    let Some(evidence) = canonical::<Evidence>(bytes) else { return };
    let issuer = SecretKey::new([0xee; 32]).expect("a scalar");
    let policy = tally_testkit::policy(&issuer);
    let policies = [(policy.id(), policy)].into();
    let bricked = |_: &tally_core::keys::PublicKey| false;
    let trust = Trust {
        network: NetworkId::LOCAL,
        policies: &policies,
        notary: None,
        seals: KnownSeals::default(),
        bricked: &bricked,
        viewer: None,
    };
    let Ok(holdings) = evidence.verify(&trust, NOW) else { return };
    let minted = evidence.mints.iter().map(|minted| minted.mint.body.amount.units());
    let minted: u128 = minted.map(u128::from).sum();
    let held: u128 = holdings.get().values().map(|h| u128::from(h.amount().units())).sum();
    assert!(held <= minted);
}

/// A proof convicts whichever way round it is shown, and never of one payment.
pub fn fork(bytes: &[u8]) {
    let Some(proof) = canonical::<ForkProof>(bytes) else { return };
    let turned = ForkProof { a: proof.b.clone(), b: proof.a.clone(), ..proof.clone() };
    assert_eq!(proof.check().is_ok(), turned.check().is_ok());
    let same = ForkProof { b: proof.a.clone(), ..proof };
    assert!(same.check().is_err());
}

/// An invoice that opens pays the one who signed it.
pub fn invoice(bytes: &[u8]) {
    let Some(signed) = canonical(bytes) else { return };
    if let Ok((invoice, card)) = Invoice::open(&signed) {
        assert_eq!(invoice.accept.owner.key(), &card.owner);
        assert_eq!(invoice.payee(), Ok(card.device()));
    }
}

/// A policy has one identity, which its content gives.
pub fn policy(bytes: &[u8]) {
    if let Some(policy) = canonical::<Policy>(bytes) {
        assert!(policy.check().is_err() || policy.id() == policy.clone().id());
    }
}
