//! Say that somebody was convicted, and what it means for this wallet.

use tally_core::device::Concern;

/// What to do about money in whose history somebody was convicted.
pub const DISPUTED: &str =
    "  money of yours is in dispute: settle now, the first to settle keeps it (tally settle)\n";

/// What of this wallet's a proof touches, in a word.
pub const fn touches(concern: Concern) -> Option<&'static str> {
    match concern {
        Concern::Money => Some("money"),
        Concern::Contact => Some("contact"),
        Concern::Nobody => None,
    }
}

/// What a proof against `who` says.
pub fn text(who: &str, did: &str, touches: Option<&str>) -> String {
    let next = match touches {
        Some("money") => DISPUTED,
        _ => "",
    };
    format!("FORK: {who} {did}. The proof is kept; the device is refused for good.\n{next}")
}

/// What a proof against this wallet's own key says.
pub fn accused(did: &str) -> String {
    format!(
        "YOUR OWN KEY {did}: this wallet was copied, its key stolen, or it went on from a backup.\n  \
         Others refuse your key from now on. Settle what you hold (tally settle), and see `tally doctor`.\n"
    )
}
