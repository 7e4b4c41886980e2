//! One of every object that is encoded, from lives that people lead.

use alloc::vec::Vec;

use super::scene::{NOW, Person, Scene, open_policy, policy};
use super::wishes::fork_of;
use crate::accept::AcceptPolicy;
use crate::card::Signed;
use crate::cbor::{Blob, Decode, DecodeError, Encode, List, from_bytes, to_bytes};
use crate::coin::Coin;
use crate::device::{Apart, Change, Input, OwnStep, Recovered};
use crate::evidence::tests::chain::{Chain, key, signature};
use crate::evidence::{Evidence, Hop, Minted};
use crate::fields::Fields;
use crate::fork::{ForkProof, Side, Spending};
use crate::hash::Tag;
use crate::id::{CoinId, Digest, Nonce, TxId};
use crate::invoice::Invoice;
use crate::message::{Findings, Message};
use crate::notary::tests::some_proof;
use crate::object::{InvoiceFile, MintFile, Object};
use crate::packet::{HELLO_VERSION, Hello, Packet};
use crate::policy::Policy;
use crate::predicate::tests::{fake_proof, slot};
use crate::predicate::{Predicate, Reserved, Sealed, Unlock, spend_digest};
use crate::seal::SealIdentity;
use crate::transaction::{Step, Transaction};

/// Decodes bytes as one kind of object, and encodes it again.
pub(crate) type Again = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) again: Again,
}

fn again<T: Encode + Decode>(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    from_bytes::<T>(bytes).map(|object| to_bytes(&object))
}

fn sample<T: Encode + Decode>(kind: &'static str, object: &T) -> Sample {
    Sample { kind, bytes: to_bytes(object), again: again::<T> }
}

pub(crate) fn predicates() -> [Predicate; 3] {
    let (key, payee, until) = (key(1).public(), key(2).public(), NOW.plus(1000));
    [
        signature(1),
        Predicate::Sealed(Sealed { key: key.clone(), slot: slot(5), until }),
        Predicate::Reserved(Reserved { key, payee, until }),
    ]
}

/// A coin that was moved by signature, certified, and moved by a (fake) seal.
pub(crate) fn evidence() -> Chain {
    let mut chain = Chain::new();
    chain.pay(1, signature(2));
    chain.certify(signature(1), NOW);
    chain.pay(2, signature(3));
    chain
}

pub(crate) fn invoice(scene: &mut Scene) -> (Invoice, Signed) {
    let invoice = scene.invoice(1, 250);
    let payload = to_bytes(&invoice);
    let signature = scene.people[1].key.sign(&Signed::digest(Tag::Invoice, &payload));
    (invoice, Signed::new(payload, signature).expect("short"))
}

pub(crate) fn hello(from: &Person, to: &Person) -> Hello {
    let (card, fields) = (from.card(), Fields::at(NOW));
    let digest = Hello::digest(&card, &to.id(), 1, &fields, &[9; 40]);
    let signature = from.key.sign(&digest);
    Hello { version: HELLO_VERSION, card, generation: 1, fields, signature }
}

/// Every kind of message, as it travelled: two payments, a refusal, and two meetings.
fn messages() -> (Scene, Vec<Message>) {
    let mut scene = Scene::new(3, 1000);
    let copy = scene.people[0].clone();
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    scene.start(0, 2, 100).expect("an offer");
    let mut travelled = Vec::new();
    let mut carry = |scene: &mut Scene| {
        while let Some((from, to, message)) = scene.next() {
            scene.people[to].hear(from, &message).expect("heard");
            travelled.push(message);
        }
    };
    carry(&mut scene);
    scene.people[0].restore(copy.disk.clone());
    let contact = scene.id(1);
    scene.people[0].tell(Input::Meet { contact }).expect("a contact");
    carry(&mut scene);
    scene.people[0] = copy;
    scene.start(0, 1, 5).expect("an offer");
    carry(&mut scene);
    scene.start(0, 2, 5).expect("an offer");
    carry(&mut scene);
    (scene, travelled)
}

fn objects(scene: &mut Scene) -> Vec<Object> {
    let policy = policy(&scene.issuer);
    let minted: Minted = evidence().evidence.mints[0].clone();
    let (_, invoice) = invoice(scene);
    let envelope = Blob::new(alloc::vec![8; 60]).expect("short");
    let hello = Blob::new(alloc::vec![7; 90]).expect("short");
    alloc::vec![
        Object::Card(scene.people[0].card()),
        Object::Policy(policy.clone()),
        Object::Mint(MintFile { policy: policy.clone(), minted: minted.clone(), proof: None }),
        Object::Mint(MintFile { policy: policy.clone(), minted, proof: Some(some_proof()) }),
        Object::Invoice(InvoiceFile { policy, invoice }),
        Object::Packet(Packet { hello: None, envelope: envelope.clone() }),
        Object::Packet(Packet { hello: Some(hello), envelope }),
        Object::Fork(fork_of(&key(1))),
    ]
}

/// What a notary shows of a coin that its owner gave away twice.
fn given_away_twice() -> ForkProof {
    let coin = CoinId::new([7; 32]);
    let side = |n: u8| {
        let tx = TxId::new([n; 32]);
        Spending { coin, tx, signature: key(1).sign(&spend_digest(&coin, &tx)) }.into()
    };
    ForkProof { key: key(1).public(), a: side(1), b: side(2) }
}

/// One of everything that an answer at a meeting may have.
fn findings() -> Message {
    let branches = List::truncated(evidence().evidence.sightings());
    let forks = List::truncated([fork_of(&key(1))].into());
    let list = super::tpm::revocation(1, SealIdentity::Hardware(slot(1).seal));
    Message::Findings(Findings { branches, forks, lists: List::truncated([list].into()) })
}

/// What a restore leaves: a step that was told whole, one of which a branch was seen, what is missing, and
/// why coins are set apart.
fn recovered(hop: &Hop) -> Vec<Sample> {
    let branch = hop.branches().next().expect("an input");
    let whole = OwnStep {
        tx: hop.tx.id(),
        step: hop.tx.step,
        link: hop.tx.link,
        forms: List::truncated([hop.clone()].into()),
        branches: List::default(),
        done: true,
    };
    let branches = List::truncated([branch].into());
    let seen = OwnStep { forms: List::default(), branches, done: false, ..whole.clone() };
    let missing = from_bytes(&to_bytes([1u64, 1, 3, 5].as_slice())).expect("two stretches");
    let before = [Nonce::new([1; 16]), Nonce::new([2; 16])].into();
    let recovered = Recovered { before, missing };
    let apart = [Apart::Question, Apart::Freed, Apart::Spent(hop.tx.id())];
    let mut all = alloc::vec![
        sample("own step", &whole),
        sample("own step", &seen),
        sample("recovered", &recovered),
    ];
    all.extend(apart.iter().map(|why| sample("apart", why)));
    let set = apart.map(|why| Change::Apart(CoinId::new([7; 32]), Some(why)));
    let freed = Change::Apart(CoinId::new([7; 32]), None);
    let foreign = Change::Foreign(CoinId::new([7; 32]));
    let recovered = Change::Recovered(recovered.into());
    let changes = [Change::OwnStep(seen.into()), recovered, freed, foreign];
    all.extend(set.iter().chain(&changes).map(|change| sample("change", change)));
    all
}

pub(crate) fn samples() -> Vec<Sample> {
    let (mut scene, travelled) = messages();
    let chain = evidence();
    let hop = chain.evidence.hops[0].clone();
    let proof: ForkProof = fork_of(&key(1));
    let sealed =
        Unlock::Sealed(key(1).sign(&Digest::new([1; 32])), fake_proof(&slot(1), &hop.tx.id()));
    let coin: Coin = chain.last.1.clone();
    let mut all = alloc::vec![
        sample("policy", &chain.policy),
        sample("minted", &chain.evidence.mints[0]),
        sample("coin", &coin),
        sample::<Transaction>("transaction", &hop.tx),
        sample::<Step>("step", &hop.tx.step),
        sample("hop", &hop),
        sample::<Evidence>("evidence", &chain.evidence),
        sample::<Side>("branch", &proof.a),
        sample("fork proof", &proof),
        sample("fork proof", &given_away_twice()),
        sample("accept policy", &AcceptPolicy::default()),
        sample("accept policy", &open_policy()),
        sample("unlock", &sealed),
        sample("hello", &hello(&scene.people[0], &scene.people[1])),
        sample("invoice", &invoice(&mut scene).0),
    ];
    all.extend(predicates().iter().map(|p| sample("predicate", p)));
    all.extend(travelled.iter().map(|m| sample(m.name(), m)));
    let [release, receipt] = super::own::messages();
    all.extend([&release, &receipt].map(|m| sample(m.name(), m)));
    all.push(sample("findings", &findings()));
    all.extend(recovered(&hop));
    let waiting = Change::Waiting(List::truncated(alloc::vec![hop]));
    let over = Change::Terms(Nonce::new([1; 16]), None);
    all.extend([waiting, over, Change::Fork(proof.into())].iter().map(|c| sample("change", c)));
    let disks = scene.people.iter().flat_map(|p| p.disk.values().cloned());
    all.extend(disks.map(|bytes| Sample { kind: "change", bytes, again: again::<Change> }));
    all.extend(objects(&mut scene).iter().map(|o| sample("object", o)));
    let policies: [Policy; 1] = [policy(&scene.issuer)];
    all.extend(policies.iter().map(|p| sample("policy", p)));
    all
}
