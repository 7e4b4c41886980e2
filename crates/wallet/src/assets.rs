//! Make assets and mint, receive mints, and see what is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tally_agent::{Batch, Issued};
use tally_core::amount::Amount;
use tally_core::card::Card;
use tally_core::cbor::List;
use tally_core::coin::Coin;
use tally_core::device::{DeviceError, Event, Input, Mode, Pocket, RecoveryError, World};
use tally_core::evidence::{Holding, Minted};
use tally_core::id::{AssetId, CoinId};
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody, MintStanding};
use tally_core::object::MintFile;
use tally_core::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use tally_core::predicate::Predicate;
use tally_core::tier::Tier;

use crate::sealed::world;

use crate::{PeerError, Wallet, WalletError};

impl Wallet {
    /// Makes an asset of which this wallet is the only issuer, and imports it.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the numbers make no sense; [`WalletError::Store`].
    pub fn create_asset(
        &mut self,
        ticker: Ticker,
        decimals: u8,
        max_supply: Option<Amount>,
        kind: AssetKind,
    ) -> Result<AssetId, WalletError> {
        self.create_asset_with(ticker, decimals, max_supply, kind, OfflineRules::default())
    }

    /// The same, with rules for what may be done while no network is there, such as whose seals
    /// count.
    ///
    /// # Errors
    /// As [`Wallet::create_asset`].
    pub fn create_asset_with(
        &mut self,
        ticker: Ticker,
        decimals: u8,
        max_supply: Option<Amount>,
        kind: AssetKind,
        offline: OfflineRules,
    ) -> Result<AssetId, WalletError> {
        let issuers = List::new(vec![self.seal.owner_key()]).map_err(PeerError::Decode)?;
        self.add_policy(Policy {
            version: POLICY_VERSION,
            network: self.network,
            kind,
            ticker,
            decimals,
            issuers,
            threshold: 1,
            max_supply,
            offline,
            metadata: None,
        })
    }

    /// Mints `amount` of an asset of which this wallet alone is the issuer, for whoever's card it is.
    ///
    /// The serial number is used up on disk before the mint is signed: a mint that is lost after that
    /// stays counted. Serial numbers are nanoseconds of the clock, so that an issuer that was set back
    /// uses none twice, unless its clock was set back as well.
    ///
    /// # Errors
    /// [`WalletError::Mint`] when it is not this wallet's to mint, or more than the maximum supply.
    pub fn mint(
        &mut self,
        asset: AssetId,
        amount: Amount,
        to: &Card,
    ) -> Result<Minted, WalletError> {
        if to.network != self.network {
            return Err(DeviceError::NotForMe.into());
        }
        self.mint_under(asset, amount, Predicate::Signature(to.owner.clone()))
    }

    /// Mints `amount` of an asset under the predicate that its receiver asked for in an invoice, which
    /// may be a lock to a hardware seal.
    ///
    /// # Errors
    /// As [`Wallet::mint`]; [`WalletError::Mint`] for a predicate that is not one person's own.
    pub fn mint_under(
        &mut self,
        asset: AssetId,
        amount: Amount,
        owner: Predicate,
    ) -> Result<Minted, WalletError> {
        self.ready()?;
        if matches!(owner, Predicate::Reserved(_)) {
            return Err(WalletError::Mint(
                "new money is not reserved for anyone: ask for an invoice",
            ));
        }
        let policy = self.device().policies().get(&asset);
        let policy = policy.ok_or(WalletError::Mint("the asset is unknown: import it first"))?;
        let me = self.seal.owner_key();
        let place = policy.issuers.iter().position(|issuer| *issuer == me);
        let issuer =
            place.and_then(|place| u8::try_from(place).ok()).filter(|_| policy.threshold == 1);
        let issuer = issuer.ok_or(WalletError::Mint(
            "this wallet alone is not the asset's issuer: ask the issuer",
        ))?;
        if *self.device().mode() != Mode::Normal {
            return Err(DeviceError::from(RecoveryError::ReceiveOnly).into());
        }
        if amount.is_zero() || (policy.kind == AssetKind::Unique && amount != Amount::new(1)) {
            return Err(WalletError::Mint("the amount is zero, or not 1 for a unique asset"));
        }
        let issued = self.issued(&asset).unwrap_or_default();
        let before = Amount::new(issued.total);
        let total = before.checked_add(amount);
        let total = total.filter(|total| policy.max_supply.is_none_or(|max| *total <= max));
        let serial = next_serial(issued.next, since_1970().as_nanos())
            .ok_or(WalletError::Mint("the clock is past the year 2262: set it, then mint again"))?;
        let (total, next) = total
            .zip(serial.checked_add(1))
            .ok_or(WalletError::Mint("that is more than the asset's maximum supply: mint less"))?;
        let after = Issued { next, total: total.units() };
        self.keep(Batch { issued: vec![(asset, after)], ..Batch::default() })?;
        let body = MintBody {
            version: MINT_VERSION,
            network: self.network,
            asset,
            amount,
            owner,
            serial,
            issued_before: before,
        };
        let signature = self.seal.sign(&body.digest())?;
        let signatures = List::truncated(vec![IssuerSignature { issuer, signature }]);
        Ok(Minted { mint: Mint { body, signatures }, certified: None })
    }

    /// Receives a mint. Its asset must have been imported.
    ///
    /// # Errors
    /// [`WalletError::Device`] when it is not valid, or for somebody else.
    pub fn receive_mint(&mut self, minted: Minted) -> Result<Vec<Event>, WalletError> {
        let mut events = Vec::new();
        self.act(Input::Mint(Box::new(minted)), &mut |event| events.push(event.clone()))?;
        Ok(events)
    }

    /// Receives a mint with its asset's document beside it, and imports the asset if the mint is valid
    /// and for this wallet: both or neither. If a proof came with it and this wallet trusts a network, the
    /// proof must hold, and the mint is certified at once.
    ///
    /// # Errors
    /// As for [`Wallet::add_policy`] and [`Wallet::receive_mint`]; [`WalletError::Notary`] when the proof
    /// does not show that this mint was the first of its serial.
    pub fn receive_mint_file(&mut self, file: MintFile) -> Result<Vec<Event>, WalletError> {
        self.ready()?;
        self.remind(&mut |_| {})?;
        let MintFile { policy, minted, proof } = file;
        let shown = match proof {
            Some(proof) => self.shown_of_mint(&policy, &minted, proof)?,
            None => None,
        };
        let mut events = Vec::new();
        let mut inputs = vec![Input::Policy(policy), Input::Mint(Box::new(minted))];
        inputs.extend(shown.map(|settlement| Input::Certified(Box::new(settlement))));
        self.run(inputs, &mut |event| events.push(event.clone()))?;
        Ok(received_certified(events))
    }

    /// Every coin that is there, with its tier as of now; and whether what lies behind it was
    /// verified just now. What was not is a payment of this wallet's that waits for the seal, or
    /// has become invalid: it counts as `Signed` and cannot be spent.
    ///
    /// # Errors
    /// None today.
    pub fn holdings(&self) -> Result<Vec<(Holding, bool)>, WalletError> {
        let notary = self.notaries.as_ref().map(crate::notary::Notaries::trust);
        let world = World { notary, ..world() };
        let look = |pocket: &Pocket, id: &CoinId, coin: &Coin| {
            // Its own proofs are in its own history, which is kept without its own enrollments.
            let evidence = self.device().with_own_enrollments(pocket.evidence.clone());
            let verified = self.device().verify(&world, &evidence).ok();
            let holding = verified.and_then(|all| all.get().get(id).cloned());
            let found = holding.is_some();
            (holding.unwrap_or_else(|| unverified(pocket, id, coin)), found)
        };
        let pockets = self.device().ledger().pockets();
        let coins = pockets.filter_map(|p| p.coin.as_ref().map(|(id, coin)| (p, id, coin)));
        Ok(coins.map(|(pocket, id, coin)| look(pocket, id, coin)).collect())
    }
}

/// A mint that came in and was certified by the proof beside it came in certified: that is said once.
fn received_certified(mut events: Vec<Event>) -> Vec<Event> {
    let [Event::Received { tx, tier, minted, .. }, Event::Settled { tx: settled, .. }] =
        events.as_mut_slice()
    else {
        return events;
    };
    if tx == settled {
        (*tier, *minted) = (Tier::Certified, MintStanding::Certified);
        events.truncate(1);
    }
    events
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The serial of a mint at so many nanoseconds since 1970. A clock past the year 2262 gives none: the
/// numbers that are left after it would not last, and one wrong moment would end the asset's issue.
fn next_serial(next: u64, nanoseconds: u128) -> Option<u64> {
    let clock = u64::try_from(nanoseconds).ok().filter(|clock| *clock <= u64::MAX / 2);
    clock.map(|clock| next.max(clock))
}

fn unverified(pocket: &Pocket, id: &CoinId, coin: &Coin) -> Holding {
    Holding {
        id: *id,
        coin: coin.clone(),
        pocket: pocket.id,
        link: pocket.link,
        tier: Tier::Signed,
        minted: MintStanding::IssuersWord,
        uncertified: 0,
        settle_by: None,
        certified_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::next_serial;

    #[test]
    fn one_moment_of_a_wrong_clock_does_not_end_an_issue() {
        let now = 1_800_000_000_000_000_000;
        assert_eq!(next_serial(0, u128::from(now)), Some(now));
        assert_eq!(next_serial(now + 5, u128::from(now)), Some(now + 5), "never one twice");
        for far in [u128::from(u64::MAX / 2) + 1, u128::from(u64::MAX), u128::MAX] {
            assert_eq!(next_serial(now, far), None, "{far}");
        }
        // A clock in 2262 leaves as many numbers as were behind it.
        assert_eq!(next_serial(now, u128::from(u64::MAX / 2)), Some(u64::MAX / 2));
    }
}
