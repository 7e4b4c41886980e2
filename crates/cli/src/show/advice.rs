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
        "TRADE_LINK" => {
            "an earlier payment of yours to this payee is missing there: give it again (tally resend, or tally sync), and do not pay anew what is signed"
        }
        "EVIDENCE_UNKNOWN_ASSET" => {
            "the payee does not know the asset: give them its file, for `tally asset import`, then go on"
        }
        "EVIDENCE_BRICKED" => {
            "a device that the money came through was proved to have paid twice: settle first (tally settle)"
        }
        "BRICKED" | "TRADE_FORK" => {
            "this device was proved to have paid twice with the same money: nobody takes it any more"
        }
        _ => "a rule of the protocol is broken: ask for a new invoice, and see `tally history`",
    }
}

#[cfg(test)]
mod tests {
    use super::advice;
    use crate::error::CliError;
    use tally_core::predicate::UnlockError;
    use tally_core::trade::TradeError;
    use tally_wallet::WalletError;

    #[test]
    fn nobody_is_told_to_pay_again_what_may_be_signed() {
        let here = CliError::refused(TradeError::Link.code(), &TradeError::Link.to_string());
        let there = WalletError::Refused { code: "TRADE_LINK".into(), text: String::new() };
        for error in [here, there.into()] {
            assert!(error.next.contains("tally resend"), "{error}");
            assert!(error.next.contains("do not pay anew"), "{error}");
        }
        assert!(!UnlockError::Mismatch.to_string().contains("pay again"));
    }

    #[test]
    fn a_payer_hears_what_to_do_about_an_unknown_asset_and_about_a_conviction() {
        assert!(advice("EVIDENCE_UNKNOWN_ASSET").contains("tally asset import"));
        assert_eq!(advice("TRADE_FORK"), advice("BRICKED"));
    }
}
