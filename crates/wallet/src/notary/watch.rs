//! Compare what several validators say.
//!
//! A quorum signs one root a round. Two certificates of one round with different roots, both signed,
//! mean that a third of the validators or more signed both: whoever has the two can show it to anyone.

use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::notary::{CertifiedRoot, TrustBase, UnicityCertificate};
use tally_core::seal::TpmProofs;
use tally_transport::http::Url;

use super::{NotaryClient, NotaryError, Verifier};

/// Two certificates of one round with different roots.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SplitView {
    /// One.
    pub a: UnicityCertificate,
    /// The other.
    pub b: UnicityCertificate,
}

impl SplitView {
    /// Whether the two contradict each other, each signed by a quorum of the trusted validators:
    /// anyone with the trust base can check it.
    pub fn holds(&self, trust: &TrustBase) -> bool {
        match (self.a.verify(trust), self.b.verify(trust)) {
            (Ok(a), Ok(b)) => a.round() == b.round() && a.root() != b.root(),
            _ => false,
        }
    }

    /// The round.
    pub fn round(&self) -> u64 {
        self.a.record.round
    }
}

impl Encode for SplitView {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        self.a.encode(w);
        self.b.encode(w);
    }
}

impl Decode for SplitView {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| Ok(Self { a: Decode::decode(r)?, b: Decode::decode(r)? }))
    }
}

/// What one validator showed.
#[derive(Debug)]
pub struct Sight {
    /// The validator.
    pub url: Url,
    /// Its latest certificate, checked; or why it has none that is believed.
    pub latest: Result<CertifiedRoot, NotaryError>,
}

/// What a look at all validators has shown.
#[derive(Debug, Default)]
pub struct Watch {
    /// Each validator.
    pub sights: Vec<Sight>,
    /// Contradictions.
    pub splits: Vec<SplitView>,
    /// The latest certificate of all, to be kept and compared with the next time.
    pub latest: Option<UnicityCertificate>,
}

/// Asks every validator for its latest certificate, holds each against what was kept from before, and
/// all against one another at the earliest of their rounds.
pub(crate) fn watch(
    clients: &[NotaryClient],
    trust: &TrustBase,
    kept: Option<&UnicityCertificate>,
) -> Watch {
    let verifier = Verifier { trust, seals: &TpmProofs };
    let mut seen: Vec<(usize, UnicityCertificate)> = Vec::new();
    let mut watch = Watch::default();
    for (at, client) in clients.iter().enumerate() {
        let latest = client.certificate(None).and_then(|certificate| {
            let root = verifier.root(&certificate)?;
            seen.push((at, certificate));
            Ok(root)
        });
        watch.sights.push(Sight { url: client.url().clone(), latest });
    }
    watch.latest = seen.iter().map(|(_, c)| c).max_by_key(|c| c.record.round).cloned();
    let mut rounds: Vec<u64> = kept.map(|kept| kept.record.round).into_iter().collect();
    rounds.extend(seen.iter().map(|(_, c)| c.record.round).min());
    for round in rounds {
        let kept = kept.filter(|kept| kept.record.round == round).cloned();
        let mut of_round: Vec<UnicityCertificate> = kept.into_iter().collect();
        for (at, certificate) in &seen {
            if certificate.record.round == round {
                of_round.push(certificate.clone());
            } else if certificate.record.round > round
                && let Ok(certificate) = clients[*at].certificate(Some(round))
                && certificate.record.round == round
                && verifier.root(&certificate).is_ok()
            {
                of_round.push(certificate);
            }
        }
        watch.splits.extend(contradiction(&of_round, trust));
    }
    if let Some(kept) = kept.and_then(|kept| verifier.root(kept).ok()) {
        follow_all(&mut watch, clients, &verifier, &kept);
    }
    watch
}

/// The first two of these that contradict each other.
fn contradiction(certificates: &[UnicityCertificate], trust: &TrustBase) -> Option<SplitView> {
    let (first, rest) = certificates.split_first()?;
    let other = rest.iter().find(|other| other.record.hash != first.record.hash)?;
    let split = SplitView { a: first.clone(), b: other.clone() };
    split.holds(trust).then_some(split)
}

/// A validator whose tree did not only grow since the certificate that was kept is not believed.
fn follow_all(
    watch: &mut Watch,
    clients: &[NotaryClient],
    verifier: &Verifier<'_>,
    kept: &CertifiedRoot,
) {
    for (sight, client) in watch.sights.iter_mut().zip(clients) {
        let Ok(latest) = &sight.latest else { continue };
        if latest.round() > kept.round()
            && let Err(error) = verifier.follow(client, kept, latest.round())
        {
            sight.latest = Err(error);
        }
    }
}
