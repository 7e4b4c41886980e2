//! Two devices that know each other, and what travels between them as encrypted bytes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::card::{CARD_VERSION, Card, Name, SESSION_KEY_BYTES, Signed};
use tally_core::cbor::{Blob, List, from_bytes, to_bytes};
use tally_core::device::{Device, Input, Me, Sign, SpendToSign, World};
use tally_core::evidence::Minted;
use tally_core::fields::Fields;
use tally_core::id::{AssetId, NetworkId, Nonce};
use tally_core::keys::SecretKey;
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use tally_core::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use tally_core::predicate::{Predicate, Unlock};
use tally_core::seal::{NoSeals, SealIdentity};
use tally_core::time::Time;
use tally_transport::session::{Budget, KemSecret, Role, Session, greet, open};

const MINTED: u64 = 1_000;
const WORLD: World<'static> =
    World { now: Time::from_unix(1_800_000_000), seals: &NoSeals, notary: None };

/// What the payer and the payee have after one payment of `units`.
pub fn run(entropy: u32, units: u64) -> [u64; 2] {
    let (asset, mut payer, mut payee) = scene(entropy);
    let wish = Input::Pay { payee: payee.device.id(), asset, amount: Amount::new(units) };
    // What the payer cannot pay it refuses, and nothing travels.
    let _ = payer.tell(wish);
    while carry(&mut payer, &mut payee) | carry(&mut payee, &mut payer) {}
    [payer, payee].map(|p| p.device.ledger().balances().get(&asset).map_or(0, |a| a.units()))
}

/// A device, its key, its end of the session, and the envelopes that are to leave.
struct Person {
    key: SecretKey,
    device: Device,
    session: Session,
    out: VecDeque<Vec<u8>>,
    nonces: u8,
}

impl Person {
    fn new(key: SecretKey, session: Session) -> Self {
        let me =
            Me { owner: key.public(), seal: SealIdentity::Software, network: NetworkId::LOCAL };
        Self { key, device: Device::new(me), session, out: VecDeque::new(), nonces: 0 }
    }

    fn card(&self) -> Signed {
        let card = Card {
            version: CARD_VERSION,
            network: NetworkId::LOCAL,
            name: Name::new("somebody").expect("a name"),
            owner: self.key.public(),
            seal: SealIdentity::Software,
            session_key: Blob::new(vec![0; SESSION_KEY_BYTES]).expect("its length"),
            fields: Fields::default(),
            enrollment: None,
        };
        Signed::card(&card, &self.key).expect("a short card")
    }

    /// Gives the device an input, and what it asks to be signed until it asks no more.
    fn tell(&mut self, input: Input) -> Option<()> {
        let mut waiting = VecDeque::from([input]);
        while let Some(input) = waiting.pop_front() {
            let output = self.device.handle(&WORLD, input).ok()?;
            for (_, message) in &output.send {
                self.out.push_back(self.session.seal(&to_bytes(message)).ok()?);
            }
            waiting.extend(output.sign.iter().map(|sign| self.sign(sign)));
        }
        Some(())
    }

    fn sign(&self, sign: &Sign) -> Input {
        let unlock = |spend: &SpendToSign| Unlock::Signature(self.key.sign(&spend.digest));
        match sign {
            // Nobody here has hardware, so no slot is ever to be left.
            Sign::Prove { tx, .. } => Input::Proved { tx: *tx },
            Sign::Spend { tx, inputs, .. } => {
                Input::Signed { tx: *tx, unlocks: inputs.iter().map(unlock).collect() }
            }
            Sign::Receipt { tx, digest } => {
                Input::ReceiptSigned { tx: *tx, signature: self.key.sign(digest) }
            }
            Sign::Consent { tx, digests } => {
                let signatures = digests.iter().map(|digest| self.key.sign(digest)).collect();
                Input::Consented { tx: *tx, signatures }
            }
        }
    }
}

/// Carries one envelope, if there is one; whoever cannot read or use it says nothing.
fn carry(from: &mut Person, to: &mut Person) -> bool {
    let Some(envelope) = from.out.pop_front() else { return false };
    to.nonces += 1;
    let nonce = Nonce::new([to.nonces; 16]);
    let opened = to.session.open(&envelope).ok();
    if let Some(message) = opened.and_then(|bytes| from_bytes(&bytes).ok()) {
        let from = from.device.id();
        let _ = to.tell(Input::Message { from, message: Box::new(message), nonce });
    }
    true
}

/// Two people who know each other and an asset, of which the first has all that was minted.
fn scene(entropy: u32) -> (AssetId, Person, Person) {
    let secret = |who: u8| {
        let mut bytes = [who; 32];
        bytes[8..12].copy_from_slice(&entropy.to_be_bytes());
        bytes
    };
    let key = |who| SecretKey::new(secret(who)).expect("far below the order of the curve");
    let kem = KemSecret::from_seed(secret(4));
    let mut noise = [0; 64];
    noise[..32].copy_from_slice(&secret(5));
    let greeting = greet(&kem.public(), &noise).expect("a good key");
    let (hello, root) = greeting.seal(&[6; 32], b"hello").expect("a short text");
    let sent = Session::new(&root, Role::Initiator, 1);
    let opened = open(&[&kem], &hello, &mut Budget::default()).expect("its own hello");
    let taken = Session::new(&opened.root(&[6; 32]), Role::Responder, 1);
    let (mut payer, mut payee) = (Person::new(key(1), sent), Person::new(key(2), taken));

    let issuer = key(3);
    let policy = policy(&issuer);
    let asset = policy.id();
    let (payers, payees) = (payer.card(), payee.card());
    for (person, card) in [(&mut payer, payees), (&mut payee, payers)] {
        let open = TierLimits { accept: true, ..TierLimits::default() };
        let limits = AcceptPolicy { signed: open, settle_margin: 0, ..AcceptPolicy::default() };
        person.tell(Input::Policy(policy.clone())).expect("a good policy");
        person.tell(Input::AcceptPolicy(limits)).expect("any limits");
        person.tell(Input::Contact(card)).expect("a good card");
    }
    let minted = mint(&issuer, asset, Predicate::Signature(payer.key.public()));
    payer.tell(Input::Mint(Box::new(minted))).expect("a good mint");
    (asset, payer, payee)
}

fn policy(issuer: &SecretKey) -> Policy {
    Policy {
        version: POLICY_VERSION,
        network: NetworkId::LOCAL,
        kind: AssetKind::Fungible,
        ticker: Ticker::new("EUR").expect("a ticker"),
        decimals: 2,
        issuers: List::new(vec![issuer.public()]).expect("one issuer"),
        threshold: 1,
        max_supply: None,
        offline: OfflineRules::default(),
        metadata: None,
    }
}

fn mint(issuer: &SecretKey, asset: AssetId, owner: Predicate) -> Minted {
    let body = MintBody {
        version: MINT_VERSION,
        network: NetworkId::LOCAL,
        asset,
        amount: Amount::new(MINTED),
        owner,
        serial: 1,
        issued_before: Amount::ZERO,
    };
    let signature = issuer.sign(&body.digest());
    let signatures = vec![IssuerSignature { issuer: 0, signature }];
    let mint = Mint { body, signatures: List::new(signatures).expect("one signature") };
    Minted { mint, certified: None }
}
