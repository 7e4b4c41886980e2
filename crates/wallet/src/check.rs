//! Look a wallet over, and say what is wrong and what to do.

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub what: String,
    /// What to do, if it is not; empty otherwise.
    pub next: String,
}
