//! Put the parts of a validator together, over any links.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use commonware_broadcast::buffered;
use commonware_consensus::marshal::core::Actor as Marshal;
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex::config::{ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::{self, scheme::ed25519::Scheme};
use commonware_consensus::types::{Epoch, FixedEpocher, ViewDelta};
use commonware_cryptography::Signer as _;
use commonware_cryptography::certificate::{ConstantProvider, Verifier as _};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::sha256::{Digest, Sha256};
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Quota, Spawner, Storage};
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_utils::{NZU16, NZU64, NZUsize, NonZeroDuration, ordered::Set};
use rand_core::CryptoRng;
use tally_core::notary::NodeId;
use tokio::sync::mpsc;

use super::app::App;
use super::executor::{Executor, Finals};
use super::gossip::{Gossip, MAX_REQUESTS_MESSAGE};
use super::tuning::Tuning;
use super::wire::{WireBlock, to_digest};
use super::{NAMESPACE, channel};
use crate::block::Block;
use crate::store::Store;
use crate::validator::{Outgoing, Validator};

/// Messages that wait inside the engine.
const MAILBOX: NonZeroUsize = NZUsize!(1_024);

/// More blocks than any network will make: there is one epoch.
const EPOCH_LENGTH: std::num::NonZeroU64 = NZU64!(u64::MAX / 2);

/// The channels of a validator, by number, and who manages its connections.
pub struct Links<S, R, P, B> {
    /// Senders and receivers, by the numbers of [`channel`].
    pub channels: [(S, R); channel::COUNT],
    /// Who the peers are.
    pub peers: P,
    /// How a faulty peer is shut out.
    pub blocker: B,
}

/// What a validator consists of before it runs.
pub struct Parts {
    /// Its key for consensus.
    pub key: PrivateKey,
    /// All validators' keys for consensus, with their names.
    pub names: BTreeMap<PublicKey, NodeId>,
    /// The first block.
    pub genesis: Block,
    /// What it knows.
    pub validator: Validator,
    /// What it wants to tell.
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// Where final blocks go.
    pub store: Store,
    /// How long it waits for what.
    pub tuning: Tuning,
    /// What its files in commonware's storage begin with.
    pub prefix: String,
}

/// How many messages a second each channel carries from a peer.
pub fn channel_quotas() -> [Quota; channel::COUNT] {
    let quota = |count: u32| Quota::per_second(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
    let mut quotas = [quota(1_024); channel::COUNT];
    quotas[channel::BACKFILL as usize] = quota(256);
    quotas[channel::BLOCKS as usize] = quota(256);
    quotas[channel::REQUESTS as usize] = quota(512);
    quotas[channel::FORKS as usize] = quota(64);
    quotas
}

/// The longest message between this many validators.
pub fn max_message(validators: u32) -> u32 {
    let blocks = marshal::max_payload_size::<Standard<WireBlock>, Scheme>(validators, &());
    let votes = simplex::max_payload_size::<Scheme, Digest>(validators);
    u32::try_from(blocks.max(votes).max(MAX_REQUESTS_MESSAGE)).unwrap_or(u32::MAX)
}

/// Starts a validator. It runs until the handle, or the context that it came from, is aborted.
///
/// Nothing if its key is not one of the validators'.
// Most of it is settings; apart, their generic types would be longer than they are.
#[allow(clippy::too_many_lines)]
pub async fn start<E, S, R, P, B>(
    context: E,
    parts: Parts,
    links: Links<S, R, P, B>,
) -> Option<Handle<()>>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    let Parts { key, names, genesis, validator, outgoing, store, tuning, prefix } = parts;
    let keys = Set::from_iter_dedup(names.keys().cloned());
    let scheme = Scheme::signer(NAMESPACE, keys, key.clone())?;
    let me = key.public_key();
    let [votes, certificates, resolver, blocks_back, blocks, requests, seals, forks] =
        links.channels;
    let cache = CacheRef::new(NZU16!(4_096), nonzero(tuning.pages));
    let buffer = nonzero(tuning.buffer);

    let resolver_back = backfill::init(
        context.child("backfill"),
        backfill::Config {
            public_key: me.clone(),
            peer_provider: links.peers.clone(),
            blocker: links.blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NonZeroDuration::new_panic(tuning.fetch),
            fetch_retry_delay: tuning.fetch / 10,
            priority_requests: false,
            priority_responses: false,
        },
        blocks_back,
    );
    let (broadcast, broadcast_mailbox) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: MAILBOX,
            deque_size: 16,
            priority: false,
            codec_config: (),
            peer_provider: links.peers.clone(),
            strategy: Sequential,
        },
    );
    let finalizations = archive(
        &context,
        "finalizations",
        &prefix,
        &cache,
        buffer,
        Scheme::certificate_codec_config_unbounded(),
    )
    .await?;
    let archived = archive(&context, "blocks", &prefix, &cache, buffer, ()).await?;
    let epocher = FixedEpocher::new(EPOCH_LENGTH);
    let first = to_digest(genesis.hash());
    let (actor, mailbox, _) = Marshal::<_, Standard<WireBlock>, _, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        archived,
        marshal::Config {
            provider: ConstantProvider::<Scheme, Epoch>::new(scheme.clone()),
            epocher: epocher.clone(),
            start: Start::Genesis(WireBlock::digested(genesis)),
            partition_prefix: format!("{prefix}marshal"),
            mailbox_size: MAILBOX,
            view_retention: ViewDelta::new(64),
            prunable_items_per_section: NZU64!(256),
            page_cache: cache.clone(),
            replay_buffer: buffer,
            key_write_buffer: buffer,
            value_write_buffer: buffer,
            block_codec_config: (),
            max_repair: NZUsize!(32),
            max_pending_acks: NZUsize!(32),
            strategy: Sequential,
        },
    )
    .await;

    let app = App::<Scheme>::new(validator.clone(), tuning);
    let stored = mailbox.clone();
    let inline = Inline::new(context.child("inline"), app, mailbox, epocher);
    let engine = simplex::Engine::new(
        context.child("simplex"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker: links.blocker,
            automaton: inline.clone(),
            relay: inline.clone(),
            reporter: inline,
            track_historical_votes: false,
            strategy: Sequential,
            partition: format!("{prefix}simplex"),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: simplex::Floor::Genesis(first),
            replay_buffer: buffer,
            write_buffer: buffer,
            page_cache: cache,
            leader_timeout: tuning.leader,
            certification_timeout: tuning.certification,
            timeout_retry: tuning.retry,
            view_retention: ViewDelta::new(64),
            skip: SkipPolicy::Enabled { timeout: tuning.skip, budget: SkipBudget::Participants },
            fetch_timeout: NonZeroDuration::new_panic(tuning.fetch),
            fetch_retry_delay: tuning.fetch / 10,
            forward: ForwardPolicy::SilentVoters,
        },
    );

    let (tasks, queue) = mpsc::unbounded_channel();
    let executor = Executor::new(validator.clone(), store, queue, stored);
    context.child("executor").dedicated().spawn(move |context| executor.run(context));
    let finals = Finals::new(validator.clone(), tasks.clone());
    let names = Arc::new(names);
    Gossip { validator, names, requests, seals, forks, outgoing, tasks }.start(&context);
    broadcast.start(blocks);
    actor.start(finals, broadcast_mailbox, resolver_back);
    Some(engine.start(votes, certificates, resolver))
}

/// Opens one of marshal's two archives; nothing if it cannot be opened.
async fn archive<E, V>(
    context: &E,
    name: &'static str,
    prefix: &str,
    cache: &CacheRef,
    buffer: NonZeroUsize,
    codec_config: V::Cfg,
) -> Option<prunable::Archive<EightCap, E, Digest, V>>
where
    E: Clock + Storage + Metrics + Spawner,
    V: commonware_codec::CodecShared,
{
    let config = prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{prefix}{name}-meta"),
        key_partition: format!("{prefix}{name}-key"),
        key_page_cache: cache.clone(),
        value_partition: format!("{prefix}{name}-value"),
        compression: None,
        codec_config,
        items_per_section: NZU64!(1_024),
        key_write_buffer: buffer,
        value_write_buffer: buffer,
        replay_buffer: buffer,
    };
    let opened = prunable::Archive::init(context.child(name), config).await;
    opened.inspect_err(|error| tracing::error!(%error, name, "an archive cannot be opened")).ok()
}

fn nonzero(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}
