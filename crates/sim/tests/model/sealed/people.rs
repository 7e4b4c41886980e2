//! Who is in these models: a payer whose coin is sealed, two payees, and a notary.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, Weak};

use tally_core::cbor::to_bytes;
use tally_core::device::{DeviceError, Input, Output, Sign, World};
use tally_core::evidence::Claim;
use tally_core::id::{AssetId, CoinId, NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::notary::ShardId;
use tally_core::predicate::{Predicate, Sealed, TallyEngine};
use tally_core::seal::{Judge, TpmProofs};
use tally_core::tier::Tier;
use tally_core::time::Time;
use tally_sim::Bare;
use tally_testkit::{NOW, Person, Scene, enroller, mint};

use super::chip::{self, Remembering};

/// When the lock of the payer's coin ends.
pub(super) const UNTIL: Time = Time::from_unix(NOW.unix() + 48 * 60 * 60);
/// What is in it.
pub(super) const MINTED: u64 = 1000;

/// The time, of which there are two: before the end of the lock, and its end.
pub(super) fn time(late: bool) -> Time {
    if late { UNTIL } else { NOW }
}

/// What devices decide by.
pub(super) fn world(late: bool) -> World<'static> {
    World { now: time(late), seals: &Remembering, notary: None }
}

/// Something large that many states share: hashed once, when it is made, and there once.
#[derive(Clone)]
pub(super) struct Shared<T>(Arc<T>, u64);

/// All there are of one kind, by their hashes.
pub(super) type Known<T> = Mutex<HashMap<u64, Weak<T>>>;

/// What is kept once, however many states have it.
pub(super) trait Keep: Hash + PartialEq + Sized + 'static {
    fn known() -> &'static Known<Self>;
}

impl Keep for Bare {
    fn known() -> &'static Known<Self> {
        static KNOWN: LazyLock<Known<Bare>> = LazyLock::new(Mutex::default);
        &KNOWN
    }
}

impl<T: Keep> Shared<T> {
    pub(super) fn new(inner: T) -> Self {
        let mut hasher = DefaultHasher::new();
        inner.hash(&mut hasher);
        let hash = hasher.finish();
        let mut known = T::known().lock().expect("nobody fails with it in hand");
        let there = known.get(&hash).and_then(Weak::upgrade).filter(|there| **there == inner);
        let inner = there.unwrap_or_else(|| Arc::new(inner));
        known.insert(hash, Arc::downgrade(&inner));
        Self(inner, hash)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.hash(state);
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1 && (Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0)
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.1)
    }
}

/// What these models do with a bare device.
pub(super) trait Plays {
    /// Gives the device an input and makes its changes durable. Nothing is signed here.
    fn tell(&mut self, late: bool, input: Input) -> Result<Output, DeviceError>;

    /// The same of somebody honest who has no hardware: whatever is to be signed is signed at once.
    fn tell_and_sign(&mut self, key: &SecretKey, late: bool, input: Input) -> Output;

    /// What the person was paid and took for FINAL while a seal's lock stood behind it: each coin
    /// that was spent, and the payment that spent it.
    fn finals(&self) -> Vec<(CoinId, TxId)>;

    /// All that the person would have the notary certify.
    fn claims(&self) -> Vec<Claim>;
}

impl Plays for Bare {
    fn tell(&mut self, late: bool, input: Input) -> Result<Output, DeviceError> {
        self.step(&world(late), input)
    }

    fn tell_and_sign(&mut self, key: &SecretKey, late: bool, input: Input) -> Output {
        let Ok(mut all) = self.tell(late, input) else { return Output::default() };
        for sign in std::mem::take(&mut all.sign) {
            let Sign::Receipt { tx, digest } = sign else { continue };
            let signed = Input::ReceiptSigned { tx, signature: key.sign(&digest) };
            let output = self.tell(late, signed).expect("it waits for that");
            all.send.extend(output.send);
        }
        all
    }

    fn finals(&self) -> Vec<(CoinId, TxId)> {
        let incoming = self.device.incoming().values();
        let finals = incoming.filter(|i| i.accepted && i.tier >= Tier::Sealed);
        let spends = finals.filter_map(|i| Some((i.tx, i.hop.as_ref()?)));
        spends.flat_map(|(tx, hop)| hop.tx.body.inputs.iter().map(move |i| (*i, tx))).collect()
    }

    fn claims(&self) -> Vec<Claim> {
        let unsettled = self.device.unsettled();
        unsettled.into_iter().flat_map(|u| u.claims).flat_map(|c| c.spends).collect()
    }
}

/// The first spend of each state: what a network of validators comes to, less the network.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Notary(BTreeMap<CoinId, TxId>);

impl Notary {
    pub(super) fn spent(&self, source: &CoinId) -> Option<TxId> {
        self.0.get(source).copied()
    }

    pub(super) fn spent_by(&self, tx: TxId) -> bool {
        self.0.values().any(|first| *first == tx)
    }

    /// Certifies a spend, unless there was one before or the production check of requests says no.
    pub(super) fn ask(&mut self, claim: &Claim, late: bool) -> Option<()> {
        let open = !self.0.contains_key(&claim.source) && is_good(claim, late);
        open.then(|| {
            self.0.insert(claim.source, claim.tx);
        })
    }
}

fn is_good(claim: &Claim, late: bool) -> bool {
    type Verdicts = HashMap<(Vec<u8>, bool), bool>;
    static KNOWN: LazyLock<Mutex<Verdicts>> = LazyLock::new(Mutex::default);
    let request = claim.request();
    let mut known = KNOWN.lock().expect("nobody fails with it in hand");
    *known.entry((to_bytes(&request), late)).or_insert_with(|| {
        let enrollers = [enroller().public()];
        let judge = Judge::of_notary(NetworkId::LOCAL, &TpmProofs, &enrollers);
        request.verify(&ShardId::whole(), &TallyEngine { judge }, time(late)).is_ok()
    })
}

/// How a model starts.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) keys: [SecretKey; 3],
    pub(super) asset: AssetId,
    /// The payer's coin, which is all there is.
    pub(super) coin: CoinId,
    pub(super) owner: Predicate,
    pub(super) people: [Shared<Bare>; 3],
}

impl Start {
    pub(super) fn new() -> Self {
        let payer = Person::enrolled(1, chip::certificate());
        let scene = Scene::with(vec![payer, Person::new(2), Person::new(3)], 0);
        let asset = scene.asset;
        let keys = [0, 1, 2].map(|who| scene.people[who].key().clone());
        let mut people = [0, 1, 2].map(|who| Bare::of(&scene.people[who]));
        let sealed = Sealed { key: keys[0].public(), slot: chip::slot(chip::FIRST), until: UNTIL };
        let owner = Predicate::Sealed(sealed);
        let minted = mint(&scene.issuer, asset, 1, 0, MINTED, owner.clone());
        people[0].tell(false, Input::Mint(minted.into())).expect("a good mint");
        let pocket = people[0].device.ledger().pockets().next();
        let coin = pocket.and_then(|pocket| pocket.coin.as_ref()).expect("it came in").0;
        Self { keys, asset, coin, owner, people: people.map(Shared::new) }
    }
}
