//! Ask a network of validators, and believe only what verifies.
//!
//! [`Settling`] is a machine without I/O: it says what to ask of which endpoint, is given the answers,
//! checks every one of them, and says what was learnt. Whoever carries the questions (a wallet with
//! HTTP and threads, a page with `fetch`) decides nothing and checks nothing.
//!
//! | room | what it does |
//! |---|---|
//! | `ask` | questions and answers, as plain data with their limits |
//! | `check` | holds an answer against the trust base: the one place where answers are believed |
//! | `desk` | one open question an endpoint, deadlines, and whom to ask first |
//! | `look` | who is there as a validator, what each shows as the present, whether they agree |
//! | `decide`, `case` | has transactions certified, histories abreast |
//! | `proofs` | collects proofs under one certificate |
//! | `states` | whether states are spent, or unspent now |
//! | `gossip` | fork proofs, both ways |
//! | `machine` | all of them as one |
//!
//! Fewer than a third of the validators, lying, old or silent, can only delay (spec `SETTLE-9` to
//! `SETTLE-19`).

mod ask;
mod case;
mod check;
mod decide;
mod desk;
mod gossip;
mod learned;
mod look;
mod machine;
mod proofs;
mod split;
mod states;
mod trouble;

pub use ask::{
    Answer, Ask, AskId, EndpointId, Exclusion, Growth, MAX_ANSWER, MAX_AT_ONCE, MAX_ENDPOINTS,
    MAX_FORKS, MAX_GROWTH_ANSWER, MAX_SUBMITTED, Order, Said, Step,
};
pub use case::Decision;
pub use check::{MAX_AWAY, Verdict, Verifier, is_present};
pub use desk::{Doubt, MAX_DOUBTS, MAX_QUESTIONS};
pub use gossip::Told;
pub use learned::{Learned, Progress};
pub use machine::{Errand, Input, MAX_TIME, Output, Settling};
pub use split::SplitView;
pub use states::Standing;
pub use trouble::Trouble;
