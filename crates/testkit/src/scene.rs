//! Set a scene: an issuer, an asset, and people who know each other; and carry what they say.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use tally_agent::{AgentError, Conn, Done, Goal, Input, Way};
use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::device;
use tally_core::id::{AssetId, DeviceId};
use tally_core::keys::SecretKey;
use tally_core::policy::Policy;
use tally_core::predicate::Predicate;
use tally_core::time::Time;

use crate::mint::{issuer, mint, policy};
use crate::network::Network;
use crate::person::{Ended, Given, Person};

/// The time at which every scene begins.
pub const NOW: Time = Time::from_unix(1_800_000_000);
/// Most messages on one connection: more would be a loop.
const MAX_CARRIED: usize = 2_000;

/// People who know each other and an asset.
#[derive(Debug)]
pub struct Scene {
    /// The people; their place is their name.
    pub people: Vec<Person>,
    /// Who mints the asset.
    pub issuer: SecretKey,
    /// The asset.
    pub asset: AssetId,
    /// The time.
    pub now: Time,
    /// How many messages the next connection carries before it breaks, if it does.
    pub cut_after: Option<usize>,
    /// The network.
    pub network: Network,
    /// How many errands to the network there were.
    pub(crate) errands: u64,
    /// How many bytes each message of the latest connection had, in order.
    pub carried: Vec<usize>,
    serial: u64,
    minted: u64,
}

impl Scene {
    /// `people` of them, the first of whom has `units` in one pocket. All accept payments of any
    /// size, so that a test says what it does not want.
    pub fn new(people: u8, units: u64) -> Self {
        Self::with((1..=people).map(Person::new).collect(), units)
    }

    /// The same, of these people, who know nobody yet.
    pub fn with(people: Vec<Person>, units: u64) -> Self {
        let mut scene = Self::of(people, policy(&issuer()));
        if units > 0 {
            scene.mint_to(0, units);
        }
        scene
    }

    /// The same with an asset of [`issuer`] that has this policy, of which nobody has anything yet.
    pub fn of(mut people: Vec<Person>, policy: Policy) -> Self {
        let asset = policy.id();
        let network = Network::new(NOW);
        let cards: Vec<Signed> = people.iter().map(Person::card).collect();
        for (i, person) in people.iter_mut().enumerate() {
            person.trusts(NOW, network.trust());
            let mut wish = |wish| person.wish(NOW, wish).expect("a good wish");
            wish(device::Input::Policy(policy.clone()));
            wish(device::Input::AcceptPolicy(anything()));
            for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
                wish(device::Input::Contact(card.clone()));
            }
        }
        Self {
            people,
            issuer: issuer(),
            asset,
            now: NOW,
            cut_after: None,
            network,
            errands: 0,
            carried: Vec::new(),
            serial: 0,
            minted: 0,
        }
    }

    /// Gives somebody new units, in a pocket of their own.
    pub fn mint_to(&mut self, person: usize, units: u64) {
        let owner = Predicate::Signature(self.people[person].key().public());
        self.mint_under(person, units, owner);
    }

    /// The same under a predicate of theirs.
    pub fn mint_under(&mut self, person: usize, units: u64, owner: Predicate) {
        self.serial += 1;
        let minted = mint(&self.issuer, self.asset, self.serial, self.minted, units, owner);
        self.minted += units;
        let minted = device::Input::Mint(Box::new(minted));
        self.people[person].wish(self.now, minted).expect("a good mint");
    }

    /// Somebody's identity.
    pub fn id(&self, person: usize) -> DeviceId {
        self.people[person].id()
    }

    /// What everybody has, in units.
    pub fn balances(&self) -> Vec<u64> {
        self.people.iter().map(|person| person.balance(&self.asset)).collect()
    }

    /// One person pays another over a connection.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn pay(&mut self, payer: usize, payee: usize, units: u64) -> Result<Done, Ended> {
        let (asset, amount) = (self.asset, Amount::new(units));
        let goal = Goal::Pay { payee: self.id(payee), asset, amount };
        self.connect(payer, payee, goal)
    }

    /// Two people meet over a connection.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn meet(&mut self, one: usize, other: usize) -> Result<Done, Ended> {
        let contact = self.id(other);
        self.connect(one, other, Goal::Meet { contact })
    }

    /// Connects two people, one of whom has a goal, until that is reached or cannot be.
    ///
    /// # Errors
    /// [`Ended`] of whoever has the goal, or of the other side's loss of power.
    pub fn connect(&mut self, one: usize, other: usize, goal: Goal) -> Result<Done, Ended> {
        let most = self.cut_after.take().unwrap_or(MAX_CARRIED);
        self.carried.clear();
        let (mine, theirs) = (self.people[one].next_conn(), self.people[other].next_conn());
        let opened = self.give(one, Input::Opened { conn: mine, goal })?;
        self.give(other, Input::Opened { conn: theirs, goal: Goal::Serve })?;
        let ended = self.carry([(one, mine), (other, theirs)], opened, most);
        // Whoever lost power has no connection any more.
        let _ = self.give(other, Input::Closed { conn: theirs, why: None });
        ended
    }

    /// Carries messages both ways, until the first side's goal is reached or cannot be.
    fn carry(
        &mut self,
        ends: [(usize, Conn); 2],
        opened: Given,
        most: usize,
    ) -> Result<Done, Ended> {
        let mut left = most;
        let mut on_the_way = VecDeque::new();
        let mut given = opened;
        let mut side = 0;
        loop {
            if let Some(end) = given.end_of(ends[side].1).filter(|_| side == 0) {
                return Ok(end?);
            }
            if given.end_of(ends[side].1).is_some() {
                break;
            }
            on_the_way.extend(given.on(ends[side].1).into_iter().map(|packet| (1 - side, packet)));
            let Some((to, bytes)) = on_the_way.pop_front() else { break };
            if left == 0 {
                break;
            }
            left -= 1;
            self.carried.push(bytes.len());
            side = to;
            let (person, conn) = ends[side];
            given = self.give(person, Input::Packet { conn, bytes })?;
        }
        let (person, conn) = ends[0];
        let closed = self.give(person, Input::Closed { conn, why: None })?;
        Ok(closed.end_of(conn).unwrap_or(Err(AgentError::Closed))?)
    }

    /// Gives somebody an input at the scene's time.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn give(&mut self, person: usize, input: Input) -> Result<Given, Ended> {
        self.people[person].give(self.now, input)
    }

    /// Somebody asks for a payment.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn invoice(&mut self, payee: usize, units: u64) -> Result<Signed, Ended> {
        let (asset, amount) = (self.asset, Amount::new(units));
        let given = self.give(payee, Input::Invoice { asset, amount, valid_for: 600 })?;
        Ok(given.invoice.ok_or(AgentError::Busy)?)
    }

    /// Starts somebody's agent again.
    pub fn restart(&mut self, person: usize) {
        let now = self.now;
        self.people[person].restart(now);
    }
}

impl Given {
    /// What was sent over a connection.
    pub fn on(&self, conn: Conn) -> Vec<Vec<u8>> {
        let packets = self.packets.iter().filter(|(way, _)| *way == Way::Conn(conn));
        packets.map(|(_, packet)| packet.clone()).collect()
    }

    /// How a connection ended, if it has.
    pub fn end_of(&self, conn: Conn) -> Option<Result<Done, AgentError>> {
        let over = self.over.iter().find(|(way, _)| *way == Way::Conn(conn));
        over.map(|(_, end)| end.clone())
    }
}

fn anything() -> AcceptPolicy {
    let open = TierLimits { accept: true, ..TierLimits::default() };
    AcceptPolicy { signed: open, ..AcceptPolicy::default() }
}
