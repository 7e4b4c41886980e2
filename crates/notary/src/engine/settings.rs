//! What each part of the engine is configured with.

use std::num::{NonZeroU64, NonZeroUsize};

use commonware_broadcast::buffered;
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex::config::{ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::simplex::{self, scheme::ed25519::Scheme};
use commonware_consensus::types::{Epoch, FixedEpocher, ViewDelta};
use commonware_consensus::{CertifiableAutomaton, Relay, Reporter};
use commonware_cryptography::Digested;
use commonware_cryptography::certificate::ConstantProvider;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::sha256::{Digest, Sha256};
use commonware_p2p::{Blocker, Provider};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Metrics, Spawner, Storage};
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_utils::{NZU16, NZU64, NZUsize, NonZeroDuration};

use super::tuning::Tuning;
use super::wire::WireBlock;

/// Messages that wait inside the engine.
const MAILBOX: NonZeroUsize = NZUsize!(1_024);

/// More blocks than any network will make: there is one epoch.
const EPOCH_LENGTH: NonZeroU64 = NZU64!(u64::MAX / 2);

/// For how many views votes and blocks are kept that are not final.
const KEPT_VIEWS: ViewDelta = ViewDelta::new(64);

/// What the parts of one validator's engine have in common.
pub(super) struct Settings {
    me: PublicKey,
    tuning: Tuning,
    prefix: String,
    cache: CacheRef,
    buffer: NonZeroUsize,
}

impl Settings {
    pub(super) fn new(me: PublicKey, tuning: Tuning, prefix: String) -> Self {
        let nonzero = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        let cache = CacheRef::new(NZU16!(4_096), nonzero(tuning.pages));
        Self { me, tuning, prefix, cache, buffer: nonzero(tuning.buffer) }
    }

    pub(super) fn epocher() -> FixedEpocher {
        FixedEpocher::new(EPOCH_LENGTH)
    }

    /// How missing blocks are asked for.
    pub(super) fn backfill<P, B>(&self, peers: P, blocker: B) -> backfill::Config<PublicKey, P, B>
    where
        P: Provider<PublicKey = PublicKey>,
        B: Blocker<PublicKey = PublicKey>,
    {
        backfill::Config {
            public_key: self.me.clone(),
            peer_provider: peers,
            blocker,
            mailbox_size: MAILBOX,
            fetch_timeout: NonZeroDuration::new_panic(self.tuning.fetch),
            fetch_retry_delay: self.tuning.fetch / 10,
            priority_requests: false,
            priority_responses: false,
        }
    }

    /// How proposed blocks are spread.
    pub(super) fn broadcast<P>(&self, peers: P) -> buffered::Config<PublicKey, (), P, Sequential>
    where
        P: Provider<PublicKey = PublicKey>,
    {
        buffered::Config {
            public_key: self.me.clone(),
            mailbox_size: MAILBOX,
            deque_size: 16,
            priority: false,
            codec_config: (),
            peer_provider: peers,
            strategy: Sequential,
        }
    }

    /// How final blocks are put in order.
    pub(super) fn marshal(
        &self,
        scheme: Scheme,
        genesis: Digested<WireBlock>,
    ) -> marshal::Config<
        ConstantProvider<Scheme, Epoch>,
        FixedEpocher,
        Sequential,
        WireBlock,
        Digested<WireBlock>,
    > {
        marshal::Config {
            provider: ConstantProvider::<Scheme, Epoch>::new(scheme),
            epocher: Self::epocher(),
            start: Start::Genesis(genesis),
            partition_prefix: format!("{}marshal", self.prefix),
            mailbox_size: MAILBOX,
            view_retention: KEPT_VIEWS,
            prunable_items_per_section: NZU64!(256),
            page_cache: self.cache.clone(),
            replay_buffer: self.buffer,
            key_write_buffer: self.buffer,
            value_write_buffer: self.buffer,
            block_codec_config: (),
            max_repair: NZUsize!(32),
            max_pending_acks: NZUsize!(32),
            strategy: Sequential,
        }
    }

    /// How the order of blocks is agreed on.
    pub(super) fn simplex<A, B>(
        &self,
        scheme: Scheme,
        genesis: Digest,
        application: A,
        blocker: B,
    ) -> simplex::Config<Scheme, RoundRobin<Sha256>, B, Digest, A, A, A, Sequential>
    where
        A: CertifiableAutomaton<Context = Context<Digest, PublicKey>>
            + Relay
            + Reporter<Activity = Activity<Scheme, Digest>>
            + Clone,
        B: Blocker<PublicKey = PublicKey>,
    {
        let tuning = self.tuning;
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker,
            automaton: application.clone(),
            relay: application.clone(),
            reporter: application,
            track_historical_votes: false,
            strategy: Sequential,
            partition: format!("{}simplex", self.prefix),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: simplex::Floor::Genesis(genesis),
            replay_buffer: self.buffer,
            write_buffer: self.buffer,
            page_cache: self.cache.clone(),
            leader_timeout: tuning.leader,
            certification_timeout: tuning.certification,
            timeout_retry: tuning.retry,
            view_retention: KEPT_VIEWS,
            skip: SkipPolicy::Enabled { timeout: tuning.skip, budget: SkipBudget::Participants },
            fetch_timeout: NonZeroDuration::new_panic(tuning.fetch),
            fetch_retry_delay: tuning.fetch / 10,
            forward: ForwardPolicy::SilentVoters,
        }
    }

    /// Opens one of marshal's two archives; nothing if it cannot be opened.
    pub(super) async fn archive<E, V>(
        &self,
        context: &E,
        name: &'static str,
        codec_config: V::Cfg,
    ) -> Option<prunable::Archive<EightCap, E, Digest, V>>
    where
        E: Clock + Storage + Metrics + Spawner,
        V: commonware_codec::CodecShared,
    {
        let prefix = &self.prefix;
        let config = prunable::Config {
            translator: EightCap,
            metadata_partition: format!("{prefix}{name}-meta"),
            key_partition: format!("{prefix}{name}-key"),
            key_page_cache: self.cache.clone(),
            value_partition: format!("{prefix}{name}-value"),
            compression: None,
            codec_config,
            items_per_section: NZU64!(1_024),
            key_write_buffer: self.buffer,
            value_write_buffer: self.buffer,
            replay_buffer: self.buffer,
        };
        let opened = prunable::Archive::init(context.child(name), config).await;
        opened
            .inspect_err(|error| tracing::error!(%error, name, "an archive cannot be opened"))
            .ok()
    }
}
