//! Make a wallet, open it, and come back after a crash.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tally_core::accept::AcceptPolicy;
use tally_core::card::{CARD_VERSION, Card, Name, Signed};
use tally_core::cbor::{Blob, from_bytes, to_bytes};
use tally_core::device::{
    Device, Entry, Event, Input, Me, Mode, Outgoing, OutgoingState, Position, Unsettled,
};
use tally_core::fields::Fields;
use tally_core::fork::ForkProof;
use tally_core::hash::Tag;
use tally_core::id::{AssetId, DeviceId, NetworkId, TxId};
use tally_core::policy::Policy;
use tally_core::time::Time;
use tally_seal::journal::Rollback;
use tally_seal::machine::Machine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::Address;
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Entropy, Purpose, Seal, SealError};
use tally_transport::session::KemSecret;

use crate::driver::Elsewhere;
use crate::live::Guest;
use crate::notary::Notaries;
use crate::sealed::{DeviceSeal, TPM, address_of};
use crate::store::{Loaded, Store};
use crate::{RandomError, StoreError, WalletError};
use tally_agent::PeerError;
use tally_agent::{Batch, Idle, Issued, Keys, Torn};

/// How a wallet is opened, and where what lies outside of its folder is.
pub struct Setup {
    /// What opens the keystore.
    pub unlock: Unlock,
    /// The cost of a passphrase guess, for keystores and backups that are written.
    pub kdf: KdfParams,
    /// Folder of the seal's journal, outside of the wallet's folder.
    pub state_dir: PathBuf,
    /// The machine that the keystore is bound to.
    pub machine: Box<dyn Machine>,
}

/// A person's wallet, open in this process and in no other.
///
/// ```
/// use tally_core::card::Name;
/// use tally_core::id::NetworkId;
/// use tally_seal::machine::HostMachine;
/// use tally_seal::unlock::{KdfParams, Unlock};
/// use tally_wallet::{Setup, Wallet};
///
/// # fn main() -> Result<(), tally_wallet::WalletError> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let dir = folder.path().join("wallet");
/// let setup = Setup {
///     unlock: Unlock::KeyFile(dir.join("keystore.key")),
///     kdf: KdfParams::default(),
///     state_dir: folder.path().join("state"),
///     machine: Box::new(HostMachine::new()),
/// };
/// let name = Name::new("Alice").expect("a name");
/// let wallet = Wallet::create(&dir, &setup, name, NetworkId::LOCAL)?;
/// assert_eq!(wallet.device().seq(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Wallet {
    pub(crate) dir: PathBuf,
    pub(crate) kdf: KdfParams,
    pub(crate) name: Name,
    pub(crate) network: NetworkId,
    pub(crate) card: Signed,
    pub(crate) agent: Agent,
    pub(crate) notaries: Option<Notaries>,
    pub(crate) seal: DeviceSeal,
    pub(crate) tpm: Option<Address>,
    pub(crate) store: Store,
    /// The number of the latest connection.
    pub(crate) conns: u64,
    pub(crate) guests: Vec<Guest>,
    /// What followed for other connections than the one that was gone on with.
    pub(crate) elsewhere: Elsewhere,
    /// How far the clock is ahead, in microseconds.
    #[cfg(test)]
    pub(crate) ahead: u64,
}

/// The agent, as it stands between two calls.
pub(crate) enum Agent {
    /// It takes inputs.
    Idle(Box<Idle>),
    /// What is in memory may differ from what is durable, so that it must be read anew.
    Torn(Box<Torn>),
    /// It is in a turn, which ended without giving it back.
    Away(Box<Device>),
}

impl Wallet {
    /// Makes a wallet in a folder that has none.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`WalletError::Seal`], [`StoreError`] when it cannot be written.
    pub fn create(
        dir: &Path,
        setup: &Setup,
        name: Name,
        network: NetworkId,
    ) -> Result<Self, WalletError> {
        Self::create_with(dir, setup, &name, network, Batch::default())
    }

    /// Makes a wallet whose first records are these, beside its own.
    pub(crate) fn create_with(
        dir: &Path,
        setup: &Setup,
        name: &Name,
        network: NetworkId,
        batch: Batch,
    ) -> Result<Self, WalletError> {
        Store::make_dir(dir)?;
        let place = Place::new(dir, &setup.state_dir);
        let machine = setup.machine.as_ref();
        let made = SoftwareSeal::create(&place, machine, &setup.unlock, setup.kdf, entropy()?);
        let seal = match made {
            // A crash may have come between the keystore and the records.
            Err(SealError::Exists { .. }) if !is_begun(dir)? => {
                SoftwareSeal::open(&place, machine, &setup.unlock)?
            }
            Err(SealError::Exists { .. }) => return Err(StoreError::Exists(dir.to_owned()).into()),
            made => made?,
        };
        if is_begun(dir)? {
            return Err(StoreError::Exists(dir.to_owned()).into());
        }
        let seal = DeviceSeal::Software(Box::new(seal));
        Self::begin(dir, setup, seal, name, network, batch)
    }

    /// Writes the first records of a wallet, and opens it.
    pub(crate) fn begin(
        dir: &Path,
        setup: &Setup,
        mut seal: DeviceSeal,
        name: &Name,
        network: NetworkId,
        mut batch: Batch,
    ) -> Result<Self, WalletError> {
        let kem = KemSecret::from_seed(*seal.derive(Purpose::Kem));
        let card = own_card(&mut *seal, &kem, name, network, now())?;
        batch.meta.push(("name", to_bytes(name)));
        batch.meta.push(("network", to_bytes(&network)));
        batch.meta.push(("card", to_bytes(&card)));
        let mut store = Store::open(dir, true)?;
        store.mark_at(&Place::new(dir, &setup.state_dir).count(&seal.owner_key()));
        store.begin(&batch)?;
        let loaded = store.load()?.ok_or_else(|| StoreError::Missing(dir.to_owned()))?;
        Self::start(dir, setup, seal, store, loaded)
    }

    /// Opens a wallet, and finishes what a crash left unfinished.
    ///
    /// If the seal's journal shows that the wallet was set back, it receives only from then on: look
    /// at [`Device::mode`].
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Missing`], [`WalletError::Seal`] when the keystore does not open, and
    /// [`WalletError::Store`] when the records cannot be read.
    pub fn open(dir: &Path, setup: &Setup) -> Result<Self, WalletError> {
        if !Store::path_in(dir).exists() {
            return Err(StoreError::Missing(dir.to_owned()).into());
        }
        let place = Place::new(dir, &setup.state_dir);
        let seal = SoftwareSeal::open(&place, setup.machine.as_ref(), &setup.unlock)?;
        let mut store = Store::open(dir, false)?;
        store.mark_at(&place.count(&seal.owner_key()));
        let loaded = store.load()?.ok_or_else(|| StoreError::Missing(dir.to_owned()))?;
        let seal = DeviceSeal::of(&place, seal, |key| loaded.meta(key))?;
        Self::start(dir, setup, seal, store, loaded)
    }

    pub(crate) fn start(
        dir: &Path,
        setup: &Setup,
        seal: DeviceSeal,
        store: Store,
        loaded: Loaded,
    ) -> Result<Self, WalletError> {
        let tpm = loaded.meta(TPM).map(address_of).transpose()?.flatten();
        let (name, network) = (meta(&loaded, "name")?, meta(&loaded, "network")?);
        let me = Me { owner: seal.owner_key(), seal: seal.identity(), network };
        let notaries = notaries_in(&loaded)?;
        let lost = store.lost(&loaded);
        let mut wallet = Self {
            dir: dir.to_owned(),
            kdf: setup.kdf,
            name,
            network,
            card: meta(&loaded, "card")?,
            agent: Agent::Away(Box::new(Device::new(me))),
            notaries: None,
            seal,
            tpm,
            store,
            conns: 0,
            guests: Vec::new(),
            elsewhere: Elsewhere::new(),
            #[cfg(test)]
            ahead: 0,
        };
        wallet.take_over(loaded, notaries)?;
        if lost > 0 {
            // What came in is gone, and the sessions are older than what they were used for.
            wallet.set_back()?;
        } else {
            wallet.come_back()?;
        }
        Ok(wallet)
    }

    /// Replaces what is in memory by what is durable.
    fn take_over(&mut self, loaded: Loaded, notaries: Option<Notaries>) -> Result<(), StoreError> {
        let keys = Keys {
            kem: KemSecret::from_seed(*self.seal.derive(Purpose::Kem)),
            database: self.seal.derive(Purpose::Database),
        };
        let loaded = tally_agent::Loaded {
            me: self.device().me().clone(),
            name: self.name.clone(),
            card: self.card.clone(),
            trust: notaries.as_ref().map(|notaries| notaries.trust().clone()),
            observed: loaded.observed(),
            changes: loaded.changes,
            sessions: loaded.sessions,
            issued: loaded.issued,
            packets: loaded.packets,
        };
        self.notaries = notaries;
        let mut idle = Idle::load(loaded, keys, Box::new(self.seal.held()));
        idle.hold(self.seal.key_in_memory());
        self.agent = Agent::Idle(Box::new(idle));
        self.guests.clear();
        self.elsewhere.clear();
        Ok(())
    }

    /// Compares the seal's journal with the records, and signs what waits for the seal.
    fn come_back(&mut self) -> Result<(), WalletError> {
        if self.device().is_away() != self.seal.is_away() {
            self.tell_away(self.seal.is_away())?;
        }
        if *self.device().mode() != Mode::Normal {
            return Ok(());
        }
        if self.journal_differs().is_some() {
            return self.set_back();
        }
        // What the seal does not do now it is asked for again by whatever needs it, which says why.
        self.look_for_tpm()?;
        self.give(tally_agent::Input::Remind, &mut |_| {}).map(drop)
    }

    /// What the journal says, if it is not where this wallet's records say that it may be: at the last
    /// step that was handed to the seal, or, after a crash, before some that are not signed, or
    /// before the last that is, as long as nothing was written since.
    pub(crate) fn journal_differs(&self) -> Option<Rollback> {
        let entry = match &self.agent {
            Agent::Idle(idle) => idle.entry(),
            Agent::Torn(torn) => torn.entry(),
            Agent::Away(device) => device.entry(),
        };
        self.journal_is_beside(&entry)
    }

    /// What the journal says, if it is at none of these places.
    pub(crate) fn journal_is_beside(&self, entry: &Entry) -> Option<Rollback> {
        let check = |at: &Position| self.seal.check(at.seq, &at.head);
        let fits = |at: &Position| matches!(check(at), Rollback::None | Rollback::FirstUse);
        let differs = !fits(&entry.to) && !entry.from.iter().any(fits);
        differs.then(|| check(&entry.to))
    }

    /// Reads what is durable anew, after something failed in between.
    pub(crate) fn ready(&mut self) -> Result<(), WalletError> {
        if matches!(self.agent, Agent::Idle(_)) {
            return Ok(());
        }
        self.store.reopen()?;
        let loaded = self.store.load()?;
        let loaded = loaded.ok_or_else(|| StoreError::Missing(self.dir.clone()))?;
        let notaries = notaries_in(&loaded)?;
        self.take_over(loaded, notaries)?;
        self.come_back()
    }

    /// Everything that the wallet knows.
    pub fn device(&self) -> &Device {
        match &self.agent {
            Agent::Idle(idle) => idle.device(),
            Agent::Torn(torn) => torn.device(),
            Agent::Away(device) => device,
        }
    }

    /// What the network is asked to certify now, which leaves out what waits for the journal.
    pub(crate) fn unsettled(&self) -> Vec<Unsettled> {
        match &self.agent {
            Agent::Idle(idle) => idle.unsettled(),
            Agent::Torn(_) | Agent::Away(_) => Vec::new(),
        }
    }

    /// The payment whose step is signed and waits for the journal, if one does.
    pub(crate) fn waits_for_journal(&self) -> Option<TxId> {
        match &self.agent {
            Agent::Idle(idle) => idle.waits_for_journal(),
            Agent::Torn(_) | Agent::Away(_) => None,
        }
    }

    /// The payments that have taken their steps and wait for the seal's proofs.
    pub(crate) fn unsigned(&self) -> Vec<TxId> {
        let proving = |o: &&Outgoing| o.state == OutgoingState::Proving;
        self.device().pending().filter(proving).map(|o| o.tx).collect()
    }

    /// The payment that waits for the seal's proof and did not `before`, if one does, as an error:
    /// whoever is to be paid has nothing to say to it.
    pub(crate) fn unproved(
        &self,
        before: &[TxId],
        why: Option<&WalletError>,
    ) -> Option<WalletError> {
        let tx = self.unsigned().into_iter().find(|tx| !before.contains(tx))?;
        let why = why.map_or_else(|| "it does not answer".to_owned(), ToString::to_string);
        Some(WalletError::Unproved { tx, why })
    }

    /// Its own contact card, to be given to others.
    pub fn card(&self) -> &Signed {
        &self.card
    }

    pub(crate) fn issued(&self, asset: &AssetId) -> Option<Issued> {
        match &self.agent {
            Agent::Idle(idle) => idle.issued(asset),
            Agent::Torn(torn) => torn.issued(asset),
            Agent::Away(_) => None,
        }
    }

    pub(crate) fn has_issued(&self) -> bool {
        match &self.agent {
            Agent::Idle(idle) => idle.has_issued(),
            Agent::Torn(torn) => torn.has_issued(),
            Agent::Away(_) => false,
        }
    }

    /// Its owner's name, as on the card.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Adds somebody whose card was handed over.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the card is not valid, or is of another network.
    pub fn add_contact(&mut self, card: Signed) -> Result<DeviceId, WalletError> {
        let device = card.open_card().map_err(PeerError::Signed)?.device();
        self.act(Input::Contact(card), &mut |_| {})?;
        Ok(device)
    }

    /// Removes a contact on whom nothing rests, with the sessions.
    ///
    /// # Errors
    /// [`WalletError::Device`] when there is no such contact, or something rests on it.
    pub fn remove_contact(&mut self, contact: DeviceId) -> Result<(), WalletError> {
        self.act(Input::RemoveContact(contact), &mut |_| {}).map(|_| ())
    }

    /// Imports an asset.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the policy is not valid, or is of another network.
    pub fn add_policy(&mut self, policy: Policy) -> Result<AssetId, WalletError> {
        let asset = policy.id();
        self.act(Input::Policy(policy), &mut |_| {})?;
        Ok(asset)
    }

    /// Sets what the owner accepts.
    ///
    /// # Errors
    /// [`WalletError::Store`] when it cannot be written.
    pub fn set_accept_policy(&mut self, policy: AcceptPolicy) -> Result<(), WalletError> {
        self.act(Input::AcceptPolicy(policy), &mut |_| {}).map(|_| ())
    }

    /// Takes over a proof that somebody paid twice with the same money.
    ///
    /// # Errors
    /// [`WalletError::Device`] when it proves nothing.
    pub fn import_fork(&mut self, proof: ForkProof) -> Result<Vec<Event>, WalletError> {
        let mut events = Vec::new();
        self.act(Input::Fork(Box::new(proof)), &mut |e| events.push(e.clone()))?;
        Ok(events)
    }
}

#[cfg(test)]
impl Wallet {
    /// Loses every session with its contacts, as a disk may.
    pub(crate) fn lose_sessions(&mut self) {
        self.store.clear_sessions();
        let blank = Device::new(self.device().me().clone());
        self.agent = Agent::Away(Box::new(blank));
        self.ready().expect("the rest is there");
    }

    /// Has the agent order its signatures, as from a key in hardware, until it is read anew.
    pub(crate) fn keep_key_elsewhere(&mut self) {
        if let Agent::Idle(idle) = &mut self.agent {
            idle.hold(None);
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        match &self.agent {
            Agent::Idle(idle) => idle.sessions(),
            Agent::Torn(torn) => torn.sessions(),
            Agent::Away(_) => 0,
        }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet")
            .field("dir", &self.dir)
            .field("name", &self.name)
            .field("device", &self.device().id())
            .finish_non_exhaustive()
    }
}

/// The time as this machine's clock has it.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Time::from_unix(since.map_or(0, |since| since.as_secs()))
}

/// Microseconds since 1970 as this machine's clock has them: a generation for who remembers none, so
/// fine that a contact who is removed and met again at once is not met with the same.
pub(crate) fn tick() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// So many random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

pub(crate) fn entropy() -> Result<Entropy, RandomError> {
    random().map(Entropy::new)
}

/// Whether the folder's records were begun.
pub(crate) fn is_begun(dir: &Path) -> Result<bool, StoreError> {
    if !Store::path_in(dir).exists() {
        return Ok(false);
    }
    Ok(Store::open(dir, false)?.load()?.is_some())
}

pub(crate) fn own_card(
    seal: &mut dyn Seal,
    kem: &KemSecret,
    name: &Name,
    network: NetworkId,
    made: Time,
) -> Result<Signed, WalletError> {
    let session_key = Blob::new(kem.public().to_bytes().to_vec()).map_err(PeerError::Decode)?;
    let card = Card {
        version: CARD_VERSION,
        network,
        name: name.clone(),
        owner: seal.owner_key(),
        seal: seal.identity(),
        session_key,
        fields: Fields::at(made),
        enrollment: seal.certificate().cloned(),
    };
    let payload = to_bytes(&card);
    let signature = seal.sign(&Signed::digest(Tag::Card, &payload))?;
    Ok(Signed::new(payload, signature).map_err(PeerError::Decode)?)
}

/// The notary's record, if there is one.
fn notaries_in(loaded: &Loaded) -> Result<Option<Notaries>, StoreError> {
    let read = |bytes| {
        Notaries::from_record(bytes)
            .map_err(|_| StoreError::Damaged("its notary cannot be read".into()))
    };
    loaded.meta(crate::settle::NOTARY).map(read).transpose()
}

fn meta<T: tally_core::cbor::Decode>(loaded: &Loaded, key: &str) -> Result<T, StoreError> {
    let bytes = loaded.meta(key).unwrap_or_default();
    from_bytes(bytes).map_err(|_| StoreError::Damaged(format!("its {key} cannot be read")))
}
