//! Put the parts of a validator together, over any links.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use commonware_broadcast::buffered;
use commonware_consensus::marshal::core::Actor as Marshal;
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::{marshal, simplex, simplex::scheme::ed25519::Scheme};
use commonware_cryptography::Signer as _;
use commonware_cryptography::certificate::Verifier as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::sha256::Digest;
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_runtime::{Clock, Handle, Metrics, Quota, Spawner, Storage};
use commonware_utils::ordered::Set;
use rand_core::CryptoRng;
use tally_core::notary::NodeId;
use tokio::sync::mpsc;

use super::app::App;
use super::executor::{Executor, Finals};
use super::gossip::{Gossip, MAX_REQUESTS_MESSAGE};
use super::settings::Settings;
use super::tuning::Tuning;
use super::wire::{WireBlock, to_digest};
use super::{NAMESPACE, channel};
use crate::block::Block;
use crate::store::Store;
use crate::validator::{Outgoing, Validator};

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
    let Links { channels, peers, blocker } = links;
    let [votes, certificates, resolver, blocks_back, blocks, requests, seals, forks] = channels;
    let keys = Set::from_iter_dedup(names.keys().cloned());
    let scheme = Scheme::signer(NAMESPACE, keys, key.clone())?;
    let settings = Settings::new(key.public_key(), tuning, prefix);

    let asked = settings.backfill(peers.clone(), blocker.clone());
    let asked = backfill::init(context.child("backfill"), asked, blocks_back);
    let (broadcast, spread) =
        buffered::Engine::new(context.child("broadcast"), settings.broadcast(peers));
    let unbounded = Scheme::certificate_codec_config_unbounded();
    let finalizations = settings.archive(&context, "finalizations", unbounded).await?;
    let archived = settings.archive(&context, "blocks", ()).await?;
    let first = to_digest(genesis.hash());
    let config = settings.marshal(scheme.clone(), WireBlock::digested(genesis));
    let (actor, mailbox, _) = Marshal::<_, Standard<WireBlock>, _, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        archived,
        config,
    )
    .await;

    let app = App::<Scheme>::new(validator.clone(), tuning);
    let stored = mailbox.clone();
    let inline = Inline::new(context.child("inline"), app, mailbox, Settings::epocher());
    let config = settings.simplex(scheme, first, inline, blocker);
    let engine = simplex::Engine::new(context.child("simplex"), config);

    let (tasks, queue) = mpsc::unbounded_channel();
    let executor = Executor::new(validator.clone(), store, queue, stored);
    context.child("executor").dedicated().spawn(move |context| executor.run(context));
    let finals = Finals::new(validator.clone(), tasks.clone());
    let names = Arc::new(names);
    Gossip { validator, names, requests, seals, forks, outgoing, tasks }.start(&context);
    broadcast.start(blocks);
    actor.start(finals, spread, asked);
    Some(engine.start(votes, certificates, resolver))
}
