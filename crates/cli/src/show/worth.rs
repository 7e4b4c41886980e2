//! What a payment is worth: never the promise without what it rests on.

use serde::Serialize;
use tally_core::mint::MintStanding;
use tally_core::seal::SealTerms;
use tally_core::tier::Tier;
use tally_core::time::Time;

use super::date;

/// What stands in the place of a tier for a coin that has not moved since it was minted.
pub const MINTED: &str = "Minted";

/// What a payment is worth: never the promise without what it rests on.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Worth {
    /// The tier's name.
    pub tier: &'static str,
    /// `FINAL` or `ACCEPTED AT RISK`.
    pub word: &'static str,
    /// What stops a second spend, and what to do.
    pub because: &'static str,
    /// What that rests on.
    pub assumption: &'static str,
    /// What the mints behind it rest on.
    pub minted: &'static str,
    /// What that rests on.
    pub mint_assumption: &'static str,
    /// What enrollers say of the seals that it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<String>,
    /// When to settle at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_by: Option<String>,
}

impl Worth {
    /// What a payment of a tier is worth, of coins that were minted so.
    ///
    /// `seals` are the enrollments of the seals behind it: one that is for development is never shown
    /// as hardware.
    pub fn of(
        tier: Tier,
        minted: MintStanding,
        settle_by: Option<Time>,
        seals: &[SealTerms],
    ) -> Self {
        let toy = seals.iter().any(|terms| terms.development);
        let (word, because) = match tier {
            Tier::Signed => ("ACCEPTED AT RISK", "signed only, settle when online"),
            Tier::Bonded => ("ACCEPTED AT RISK", "signed and bonded, settle when online"),
            Tier::Reserved => {
                ("FINAL", "set aside for you beforehand, settle before the lock ends")
            }
            Tier::Sealed if toy => (
                "FOR DEVELOPMENT ONLY",
                "sealed by a TPM in software that can be copied and pay twice, settle at once",
            ),
            Tier::Sealed => ("FINAL", "sealed by hardware, settle before the lock ends"),
            Tier::Certified => ("FINAL", "certified by the network"),
        };
        let settle_by = settle_by.map(date);
        Self {
            tier: tier.name(),
            word,
            because,
            assumption: tier.assumption(),
            minted: minted.name(),
            mint_assumption: minted.assumption(),
            seals: if tier == Tier::Certified { Vec::new() } else { words(seals) },
            settle_by,
        }
    }

    /// The worth of what came in: a mint, or a payment of a tier.
    pub(super) fn of_what(
        mint: bool,
        tier: Tier,
        minted: MintStanding,
        settle_by: Option<Time>,
        seals: &[SealTerms],
    ) -> Self {
        if mint { Self::of_mint(minted) } else { Self::of(tier, minted, settle_by, seals) }
    }

    /// What a mint is worth that has not moved: it rests on its issuers alone, unless it is certified.
    pub fn of_mint(minted: MintStanding) -> Self {
        if minted == MintStanding::Certified {
            return Self::of(Tier::Certified, minted, None, &[]);
        }
        Self {
            tier: MINTED,
            word: "ACCEPTED",
            because: "signed by its issuers, not moved since",
            assumption: minted.assumption(),
            minted: minted.name(),
            mint_assumption: minted.assumption(),
            seals: Vec::new(),
            settle_by: None,
        }
    }

    /// The lines on a payee's screen.
    pub fn lines(&self) -> String {
        let Self { tier, word, because, assumption, minted, mint_assumption, .. } = self;
        let by = self.settle_by.as_ref().map(|t| format!(" (by {t})")).unwrap_or_default();
        let mut lines = format!("  {word} - {because}{by}\n");
        lines += &self.seals.iter().map(|seal| format!("  {seal}\n")).collect::<String>();
        lines += &format!("  tier {tier}: {assumption}\n");
        if *minted == MintStanding::IssuersWord.name() && *tier != MINTED {
            lines += &format!("  minted on its issuers' word: {mint_assumption}\n");
        }
        lines
    }
}

/// What enrollers say of seals, each once.
pub fn words<'a>(seals: impl IntoIterator<Item = &'a SealTerms>) -> Vec<String> {
    let mut words: Vec<String> = seals.into_iter().map(ToString::to_string).collect();
    words.sort();
    words.dedup();
    words
}
