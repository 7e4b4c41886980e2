//! The model: what a sealed payer may do, what may happen to it, and what must be true all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use stateright::{Model, Property};
use tally_core::amount::Amount;
use tally_core::cbor::{List, from_bytes, to_bytes};
use tally_core::device::{Input, Outgoing, OutgoingState, Output};
use tally_core::evidence::Claim;
use tally_core::id::{CoinId, NetworkId, Nonce, TxId};
use tally_core::keys::SecretKey;
use tally_core::message::{Commit, Message, Payment};
use tally_core::predicate::{Predicate, Unlock, spend_digest};
use tally_core::seal::{Judge, NoSeals};
use tally_core::tier::Tier;

use super::chip::{self, Counter};
use super::people::{Keep, Known, Notary, Plays, Shared, Start, UNTIL, time};
use tally_sim::Bare;

const PAYER: usize = 0;
const PAYEES: [usize; 2] = [1, 2];

/// A transaction of the payer's to itself, of which only the number matters here.
const TO_ITSELF: TxId = TxId::new([7; 32]);

pub(super) const ONE_COIN_ONE_FINAL: &str = "no two honest wallets hold FINAL for one coin";
pub(super) const FINAL_IS_CERTIFIED: &str = "what is FINAL is certified for its payee, or can be";
pub(super) const ONE_CAN_SPEND: &str = "in the end exactly one party can spend each coin";

/// Whom the payer pays how much, each once, at any time.
pub(super) type Plan = &'static [(usize, u64)];

/// How much of each kind of trouble there is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Budget {
    /// Copies that the payer makes of itself; it may go on with the last as often as it likes.
    pub(super) copies: u8,
    /// Crashes, of anybody.
    pub(super) crashes: u8,
    /// Power cuts between increment and attestation.
    pub(super) burns: u8,
}

/// What the hardware is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chip {
    /// Its counter never shows a value twice.
    Keeps,
    /// Its owner can set its state back, as of a TPM in software.
    CanBeSetBack,
}

/// What the payees do about what is FINAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Payees {
    /// They settle it before the lock ends.
    InTime,
    /// They settle it whenever they like.
    AnyTime,
}

/// How finely a payment is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// Offer and terms at once, and a payment arrives when it is shown: what is never shown was lost.
    /// The copy is of the payer's first state.
    Coarse,
    /// Every message by itself, late or lost; copies are made at any time.
    Fine,
}

#[derive(Clone, Debug)]
pub(super) struct SealedPayer {
    pub(super) start: Start,
    pub(super) plan: Plan,
    pub(super) budget: Budget,
    pub(super) chip: Chip,
    pub(super) payees: Payees,
    pub(super) cut: Cut,
}

/// A spend that the payer may make: its wallet proposed it once, and it forgets nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Wish {
    tx: TxId,
    source: CoinId,
    owner: Predicate,
    /// The payment; none to the payer itself.
    payment: Option<Outgoing>,
}

impl Keep for Wish {
    fn known() -> &'static Known<Self> {
        static KNOWN: LazyLock<Known<Wish>> = LazyLock::new(Mutex::default);
        &KNOWN
    }
}

impl Wish {
    fn value(&self) -> u64 {
        match &self.owner {
            Predicate::Sealed(sealed) => sealed.slot.value,
            _ => u64::MAX,
        }
    }
}

/// What the payer unlocks a coin with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Shown {
    /// Its signature alone.
    Key,
    /// Its signature and what the hardware proved when it left this value for this transaction.
    Proof(u64, TxId),
}

/// A message on its way. One that never arrives is a message that was lost.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Envelope {
    from: usize,
    to: usize,
    bytes: Arc<[u8]>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct State {
    people: [Shared<Bare>; 3],
    copy: Option<Shared<Bare>>,
    counter: Counter,
    wishes: BTreeMap<TxId, Shared<Wish>>,
    network: BTreeSet<Envelope>,
    notary: Notary,
    paid: u8,
    budget: Budget,
    late: bool,
    /// Whether a payee was shown a good payment of a coin that another holds FINAL for, with
    /// everything but a proof of its own, and said no.
    refused: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Pay(usize),
    Deliver(Envelope),
    Copy,
    GoOnWithCopy,
    Prove(TxId),
    Burn(TxId),
    SetBack,
    GiveUp(TxId),
    Sign(TxId, Shown),
    Show(TxId, Shown),
    Certify(TxId, Shown),
    Settle(usize),
    Crash(usize),
    LockEnds,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pay(n) => write!(f, "payment {n} begins"),
            Self::Deliver(e) => write!(f, "{} from {} to {}", e.message().name(), e.from, e.to),
            Self::Copy => write!(f, "the payer copies its device"),
            Self::GoOnWithCopy => write!(f, "the payer goes on with the copy"),
            Self::Prove(tx) => write!(f, "the hardware proves {tx}"),
            Self::Burn(tx) => write!(f, "the hardware loses power while it proves {tx}"),
            Self::SetBack => write!(f, "the hardware is set back"),
            Self::GiveUp(tx) => write!(f, "the payer's wallet gives {tx} up"),
            Self::Sign(tx, shown) => write!(f, "the payer's wallet signs {tx} with {shown:?}"),
            Self::Show(tx, shown) => write!(f, "the payer shows {tx} with {shown:?}"),
            Self::Certify(tx, shown) => write!(f, "the payer settles {tx} with {shown:?}"),
            Self::Settle(payee) => write!(f, "{payee} settles"),
            Self::Crash(who) => write!(f, "{who} crashes"),
            Self::LockEnds => write!(f, "the lock ends"),
        }
    }
}

impl Envelope {
    fn message(&self) -> Message {
        from_bytes(&self.bytes).expect("what was encoded decodes")
    }
}

impl Model for SealedPayer {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (tx, source) = (TO_ITSELF, self.start.coin);
        let wish = Wish { tx, source, owner: self.start.owner.clone(), payment: None };
        vec![State {
            people: self.start.people.clone(),
            copy: (self.cut == Cut::Coarse).then(|| self.start.people[PAYER].clone()),
            counter: Counter::new(),
            wishes: BTreeMap::from([(tx, Shared::new(wish))]),
            network: BTreeSet::new(),
            notary: Notary::default(),
            paid: 0,
            budget: self.budget,
            late: false,
            refused: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend((0..self.plan.len()).filter(|n| state.paid >> n & 1 == 0).map(Action::Pay));
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
        actions.extend((state.budget.copies > 0).then_some(Action::Copy));
        actions.extend(state.copy.is_some().then_some(Action::GoOnWithCopy));
        actions.extend((self.chip == Chip::CanBeSetBack).then_some(Action::SetBack));
        for (tx, wish) in &state.wishes {
            actions.extend([Action::Prove(*tx), Action::GiveUp(*tx)]);
            actions.extend((state.budget.burns > 0).then_some(Action::Burn(*tx)));
            let proofs = state.counter.proved.iter().map(|(value, of)| Shown::Proof(*value, *of));
            for shown in proofs.chain([Shown::Key]) {
                let genuine = shown == Shown::Proof(wish.value(), *tx);
                let honest = genuine || shown == Shown::Key && state.late;
                actions.extend(honest.then_some(Action::Sign(*tx, shown)));
                actions.push(Action::Certify(*tx, shown));
                actions.extend(wish.payment.is_some().then_some(Action::Show(*tx, shown)));
            }
        }
        actions.extend(PAYEES.map(Action::Settle));
        if state.budget.crashes > 0 {
            actions.extend((0..state.people.len()).map(Action::Crash));
        }
        let in_time = self.payees == Payees::AnyTime || state.all_final_is_certified();
        actions.extend((!state.late && in_time).then_some(Action::LockEnds));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.follow(self, action)?;
        Some(state).filter(|state| state != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_COIN_ONE_FINAL, |_, state: &State| state.one_coin_one_final()),
            Property::always(FINAL_IS_CERTIFIED, |_, state: &State| state.nothing_final_is_lost()),
            Property::always(ONE_CAN_SPEND, |model: &Self, state: &State| {
                !state.is_over() || state.one_can_spend(&model.start)
            }),
            Property::sometimes("a payment is FINAL", |_, state: &State| {
                PAYEES.iter().any(|payee| !state.people[*payee].finals().is_empty())
            }),
            Property::sometimes("the second payee refuses", |_, state: &State| state.refused),
            Property::sometimes("a slot is burned, and its coin pays by its key in the end", {
                |model: &Self, state: &State| {
                    state.budget.burns < model.budget.burns
                        && state.counter.proved.is_empty()
                        && state.late
                        && PAYEES.iter().any(|payee| state.certified_by_key(*payee))
                }
            }),
            Property::sometimes("a payment is given up, and the lock ends", |_, state: &State| {
                let outgoing = state.people[PAYER].device.outgoing();
                state.late && outgoing.values().any(|o| o.state == OutgoingState::GivenUp)
            }),
            Property::sometimes("the payer gets its own coin back", |_, state: &State| {
                state.is_over() && state.notary.spent_by(TO_ITSELF)
            }),
        ]
    }
}

impl State {
    fn follow(&mut self, model: &SealedPayer, action: Action) -> Option<()> {
        match action {
            Action::Pay(n) => {
                let (payee, units) = model.plan[n];
                self.paid |= 1 << n;
                let (payee, amount) = (self.people[payee].device.id(), Amount::new(units));
                self.payer(Input::Pay { payee, asset: model.start.asset, amount })?;
                while model.cut == Cut::Coarse && !self.network.is_empty() {
                    let envelope = self.network.first()?.clone();
                    self.deliver(&model.start, &envelope)?;
                }
                Some(())
            }
            Action::Deliver(envelope) => self.deliver(&model.start, &envelope),
            Action::Copy => {
                self.budget.copies -= 1;
                self.copy = Some(self.people[PAYER].clone());
                Some(())
            }
            Action::GoOnWithCopy => {
                self.people[PAYER] = self.copy.clone()?;
                Some(())
            }
            Action::Prove(tx) => self.counter.prove(self.wishes[&tx].value(), tx),
            Action::Burn(tx) => {
                self.budget.burns -= 1;
                self.counter.burn(self.wishes[&tx].value())
            }
            Action::SetBack => {
                self.counter.value = chip::FIRST;
                Some(())
            }
            Action::GiveUp(tx) => self.give_up(tx),
            Action::Sign(tx, shown) => {
                // A device that has its proof, or needs none any more, is past that.
                if self.waits_for_proof(tx) {
                    self.payer(Input::Proved { tx })?;
                }
                let unlocks = vec![self.unlock(&model.start.keys[PAYER], tx, shown)];
                self.payer(Input::Signed { tx, unlocks })?;
                // In coarse steps it is shown, or not, by what follows.
                (model.cut == Cut::Coarse).then(|| self.network.clear());
                Some(())
            }
            Action::Show(tx, shown) => self.show(&model.start, tx, shown),
            Action::Certify(tx, shown) => {
                let claim = self.claim(&model.start.keys[PAYER], tx, shown);
                self.notary.ask(&claim, self.late)
            }
            Action::Settle(payee) => {
                for claim in self.people[payee].claims() {
                    self.notary.ask(&claim, self.late);
                }
                Some(())
            }
            Action::Crash(who) => {
                self.budget.crashes -= 1;
                self.change(who, |person| {
                    person.crash();
                    Some(())
                })
            }
            Action::LockEnds => {
                self.late = true;
                Some(())
            }
        }
    }

    fn change<T>(&mut self, who: usize, f: impl FnOnce(&mut Bare) -> Option<T>) -> Option<T> {
        let mut person = Bare::clone(&self.people[who]);
        let result = f(&mut person)?;
        self.people[who] = Shared::new(person);
        Some(result)
    }

    /// The payer's wallet is told something. What it asks to be signed is remembered, no more.
    fn payer(&mut self, input: Input) -> Option<()> {
        let late = self.late;
        let output = self.change(PAYER, |payer| payer.tell(late, input).ok())?;
        self.post(PAYER, output);
        let payer = self.people[PAYER].clone();
        for (tx, outgoing) in payer.device.outgoing() {
            let source = outgoing.sources.iter().next()?;
            self.wishes.entry(*tx).or_insert_with(|| {
                Shared::new(Wish {
                    tx: *tx,
                    source: source.id,
                    owner: source.coin.owner.clone(),
                    payment: Some(Outgoing::clone(outgoing)),
                })
            });
        }
        Some(())
    }

    /// What a patched payer has no use for, a receipt or a refusal, is not carried to it.
    fn post(&mut self, from: usize, output: Output) {
        for (to, message) in output.send {
            let to = self.people.iter().position(|person| person.device.id() == to);
            let to = to.expect("contacts are in the model");
            if to != PAYER || matches!(message, Message::Accept(_)) {
                self.network.insert(Envelope { from, to, bytes: to_bytes(&message).into() });
            }
        }
    }

    fn deliver(&mut self, start: &Start, envelope: &Envelope) -> Option<()> {
        self.network.remove(envelope);
        let from = self.people[envelope.from].device.id();
        let message = Box::new(envelope.message());
        if envelope.to == PAYER {
            return self.payer(Input::Message { from, message, nonce: Nonce::new([0; 16]) });
        }
        self.hear(start, envelope.to, *message).map(|_| ())
    }

    /// An honest payee hears the payer.
    fn hear(&mut self, start: &Start, payee: usize, message: Message) -> Option<Output> {
        let (late, from) = (self.late, self.people[PAYER].device.id());
        let output = self.change(payee, |person| {
            let nonce = person.nonce_for(&message);
            let input = Input::Message { from, message: Box::new(message), nonce };
            Some(person.tell_and_sign(&start.keys[payee], late, input))
        })?;
        self.post(payee, output.clone());
        Some(output)
    }

    fn waits_for_proof(&self, tx: TxId) -> bool {
        let outgoing = self.people[PAYER].device.outgoing().get(&tx);
        outgoing.is_some_and(|outgoing| outgoing.state == OutgoingState::Proving)
    }

    /// The wallet as it was written hears that its hardware left the slot and gives no proof.
    fn give_up(&mut self, tx: TxId) -> Option<()> {
        let value = self.wishes[&tx].value();
        let gone = self.counter.value > value && !self.counter.has_proved(value, tx);
        let slots = gone.then(|| vec![chip::slot(value)])?;
        self.payer(Input::SlotsLost { tx: Some(tx), slots })
    }

    fn unlock(&self, key: &SecretKey, tx: TxId, shown: Shown) -> Unlock {
        let signature = key.sign(&spend_digest(&self.wishes[&tx].source, &tx));
        match shown {
            Shown::Key => Unlock::Signature(signature),
            Shown::Proof(value, of) => Unlock::Sealed(signature, chip::proof(value, of)),
        }
    }

    /// The payer shows a payment to its payee, unlocked as it likes.
    fn show(&mut self, start: &Start, tx: TxId, shown: Shown) -> Option<()> {
        let unlocks = vec![self.unlock(&start.keys[PAYER], tx, shown)];
        let outgoing = self.wishes[&tx].payment.clone()?;
        let unlocks = List::new(unlocks).expect("one");
        let commit = Commit { unlocks, ..outgoing.payment.commit };
        let payment = Payment { commit, ..outgoing.payment };
        let payee = self.people.iter().position(|p| p.device.id() == outgoing.payee)?;
        let source = self.wishes[&tx].source;
        let output = self.hear(start, payee, Message::Payment(payment))?;
        let locked = ["UNLOCK_SLOT_PROOF", "UNLOCK_LOCKED"];
        let says_no = output.send.iter().any(|(_, message)| {
            matches!(message, Message::Refuse(no) if locked.contains(&no.code.as_str()))
        });
        let mut others = PAYEES.iter().filter(|other| **other != payee);
        let elsewhere = others
            .any(|other| self.people[*other].finals().iter().any(|(coin, _)| *coin == source));
        self.refused |= says_no && elsewhere;
        Some(())
    }

    fn claim(&self, key: &SecretKey, tx: TxId, shown: Shown) -> Claim {
        let wish = &self.wishes[&tx];
        Claim {
            owner: wish.owner.clone(),
            source: wish.source,
            tx,
            expires_at: None,
            unlock: self.unlock(key, tx, shown),
            enrollment: matches!(shown, Shown::Proof(..)).then(|| chip::certificate().clone()),
            certified: false,
        }
    }

    fn finals(&self) -> impl Iterator<Item = (CoinId, TxId)> {
        PAYEES.iter().flat_map(|payee| self.people[*payee].finals())
    }

    fn one_coin_one_final(&self) -> bool {
        let all: Vec<_> = self.finals().collect();
        let coins: BTreeSet<_> = all.iter().map(|(coin, _)| *coin).collect();
        coins.len() == all.len()
    }

    fn nothing_final_is_lost(&self) -> bool {
        self.finals().all(|(coin, tx)| self.notary.spent(&coin).is_none_or(|first| first == tx))
    }

    fn all_final_is_certified(&self) -> bool {
        self.finals().all(|(coin, _)| self.notary.spent(&coin).is_some())
    }

    /// The lock is over, and whoever was paid has asked the notary.
    fn is_over(&self) -> bool {
        let asked = |claim: &Claim| self.notary.spent(&claim.source).is_some();
        self.late && PAYEES.iter().all(|payee| self.people[*payee].claims().iter().all(asked))
    }

    /// Of each coin that the notary has no spend of, exactly one party's key moves it now.
    fn one_can_spend(&self, start: &Start) -> bool {
        let mut open = vec![(start.coin, start.owner.clone())];
        while let Some((coin, owner)) = open.pop() {
            match self.notary.spent(&coin) {
                // What the payer made of it is the payer's.
                Some(TO_ITSELF) => {}
                Some(tx) => {
                    let wish = self.wishes.get(&tx).and_then(|wish| wish.payment.as_ref());
                    let Some(payment) = wish else { return false };
                    let made = payment.transaction.made();
                    open.extend(made.map(|(coin, made)| (coin, made.owner.clone())));
                }
                None => {
                    let judge = Judge::of_certified(NetworkId::LOCAL, &NoSeals);
                    let opens = |key: &&SecretKey| {
                        let unlock = Unlock::Signature(key.sign(&spend_digest(&coin, &TO_ITSELF)));
                        owner.check(&coin, &TO_ITSELF, &unlock, UNTIL, &judge).is_ok()
                    };
                    if start.keys.iter().filter(opens).count() != 1 {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Whether a payee was paid by a key alone once the lock had ended, and the notary took it.
    fn certified_by_key(&self, payee: usize) -> bool {
        let incoming = self.people[payee].device.incoming().values();
        let mut late =
            incoming.filter(|i| i.accepted && i.tier == Tier::Signed && i.at == time(true));
        late.any(|i| self.notary.spent_by(i.tx))
    }
}
