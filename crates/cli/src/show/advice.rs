//! What to do about a refusal by somebody else.

/// What a payer does about a refusal that a payee sent: only its code travels.
pub fn advice(code: &str) -> &'static str {
    match code {
        "ACCEPT_TIER" => "payments of this tier are not accepted there: pay with a stronger tier",
        "ACCEPT_PER_PAYMENT" => {
            "the payment is too large for its tier: pay less, or with a stronger tier"
        }
        "ACCEPT_PER_PAYER" => {
            "you owe too much there that is not settled: settle first, or pay with a stronger tier"
        }
        "ACCEPT_TOTAL" => "too much is not settled there: ask the payee to settle first",
        "ACCEPT_SETTLE_MARGIN" => "the coin's lock ends too soon: pay with another coin",
        "EVIDENCE_CERTIFICATION" => {
            "the payee does not believe the network that certified this: it needs its trust base (tally notary add)"
        }
        "ACCEPT_UNSETTLED" | "ACCEPT_CERTIFIED_AGE" => {
            "the payee wants you to settle earlier payments first: settle when online"
        }
        "UNLOCK_SLOT_PROOF" => {
            "a proof behind this payment does not count there, or its seal does not (was yours taken back? tally seal status); pay with another coin, its own waits for the end of its lock (tally status)"
        }
        "SLOT_SEAL"
        | "ENROLLMENT_ENROLLER"
        | "ENROLLMENT_REVOKED"
        | "ENROLLMENT_ENDS"
        | "ENROLLMENT_DEVELOPMENT" => {
            "your seal's enrollment does not count for this asset: renew it (tally seal enroll), or pay with another coin"
        }
        "BRICKED" => {
            "this device was proved to have paid twice with the same money: nobody takes it any more"
        }
        _ => "a rule of the protocol is broken: ask for a new invoice, and see `tally history`",
    }
}
