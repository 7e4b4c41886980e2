//! Claims, and what is asked of the endpoints of a network by whoever wants them certified.

use std::time::Duration;

use tally_agent::settle::{
    Answer, Ask, EndpointId, Errand, Learned, Said, Settling, Told, Trouble,
};
use tally_core::evidence::{Claim, Claims};
use tally_core::id::{CoinId, Digest, TxId};
use tally_core::keys::SecretKey;
use tally_core::notary::{TrustBase, UnicityCertificate};
use tally_core::predicate::{Predicate, Unlock, spend_digest};
use tally_core::time::Time;
use tally_testkit::{LATENCY, Manner, NOW, Network, VALIDATORS, run_errand};

/// The time of every errand.
pub(crate) const AT: Time = NOW;
/// The time of a network's first round, a day before.
const BEFORE: Time = Time::from_unix(AT.unix() - 86_400);

/// A network in its first round, long ago.
pub(crate) fn network() -> Network {
    Network::new(BEFORE)
}

/// Whose certificates count.
pub(crate) fn trust() -> TrustBase {
    network().trust().clone()
}

/// A certificate of a root by a quorum.
pub(crate) fn certificate(round: u64, root: Digest) -> UnicityCertificate {
    tally_testkit::certificate(round, root, AT, &[0, 1, 2])
}

/// The spend of a coin in a transaction, signed by its owner.
pub(crate) fn claim(coin: u8, tx: u8) -> Claim {
    let (source, tx) = (CoinId::new([coin; 32]), TxId::new([tx; 32]));
    let owner = SecretKey::new([0x22; 32]).expect("a scalar");
    Claim {
        enrollment: None,
        owner: Predicate::Signature(owner.public()),
        source,
        tx,
        expires_at: None,
        unlock: Unlock::Signature(owner.sign(&spend_digest(&source, &tx))),
        certified: false,
    }
}

/// A transaction with one spend.
pub(crate) fn claims(coin: u8, tx: u8) -> Claims {
    Claims { tx: TxId::new([tx; 32]), spends: [claim(coin, tx)].into() }
}

/// Has a claim certified.
pub(crate) fn spend(network: &mut Network, claim: &Claim) {
    let ask = Ask::Submit(vec![vec![claim.request()]]);
    let said = network.answer(0, AT, &ask);
    assert_eq!(said, Some(Answer::Submitted(vec![Ok(Said::Certified)])));
}

/// The answer of whoever does not do what it is asked, now or ever.
pub(crate) fn refused(later: bool) -> Answer {
    Answer::Nothing(Trouble::Fault { word: "NO".into(), message: "no".into(), later })
}

/// What an endpoint does with a question: an answer, or none at all.
pub(crate) type Endpoint<'a> = Box<dyn FnMut(&mut Network, &Ask) -> Option<Answer> + 'a>;

/// The endpoint of a validator.
pub(crate) fn of<'a>(validator: usize, manner: Manner) -> Endpoint<'a> {
    Box::new(move |network, ask| network.answer_as(manner, validator, AT, ask))
}

/// The endpoint of a validator that keeps to the rules, and certifies at once.
pub(crate) fn honest<'a>(validator: usize) -> Endpoint<'a> {
    of(validator, Manner::Honest)
}

/// Those of four that do.
pub(crate) fn all_honest() -> Vec<Endpoint<'static>> {
    (0..VALIDATORS).map(honest).collect()
}

/// An errand to four endpoints that wants nothing yet.
pub(crate) fn errand() -> Errand {
    Errand {
        trust: trust(),
        endpoints: vec![Told::default(); VALIDATORS],
        kept: None,
        nonce: Digest::new([0x77; 32]),
        now: AT,
        watch: false,
        forks: None,
        histories: Vec::new(),
        states: Vec::new(),
    }
}

/// What came of an errand.
pub(crate) struct Run {
    pub(crate) machine: Settling,
    pub(crate) learned: Vec<Learned>,
    pub(crate) took: Duration,
    pub(crate) decided: Option<Duration>,
    pub(crate) asked: Vec<usize>,
}

impl Run {
    /// The spends that were certified.
    pub(crate) fn certified(&self) -> Vec<(CoinId, TxId)> {
        let of = |learned: &Learned| match learned {
            Learned::Certified(settlement) => settlement.proofs.clone(),
            _ => Vec::new(),
        };
        self.learned.iter().flat_map(of).map(|proof| (proof.source, proof.tx)).collect()
    }
}

/// Runs an errand to its end.
pub(crate) fn run(network: &mut Network, errand: Errand, endpoints: &mut [Endpoint<'_>]) -> Run {
    timed(network, errand, endpoints, |_, _| LATENCY)
}

/// The same, where each answer takes its time. Nobody keeps the fork proofs that are learnt.
pub(crate) fn timed(
    network: &mut Network,
    errand: Errand,
    endpoints: &mut [Endpoint<'_>],
    takes: impl Fn(EndpointId, &Ask) -> Duration,
) -> Run {
    let mut learned = Vec::new();
    let answer = |at: EndpointId, ask: &Ask| Some((takes(at, ask), endpoints[at](network, ask)?));
    let learn = |one| {
        learned.push(one);
        Ok::<_, std::convert::Infallible>(None)
    };
    let run = match run_errand(errand, answer, learn) {
        Ok(run) => run,
        Err(never) => match never {},
    };
    let tally_testkit::Run { machine, took, decided, asked } = run;
    Run { machine, learned, took, decided, asked }
}
