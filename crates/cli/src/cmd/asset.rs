//! Create and import assets, and read amounts of them.

use serde::Serialize;
use tally_core::amount::{Amount, MAX_DECIMALS};
use tally_core::cbor::List;
use tally_core::device::Device;
use tally_core::id::AssetId;
use tally_core::keys::PublicKey;
use tally_core::object::Object;
use tally_core::policy::{AssetKind, MAX_ENROLLERS, OfflineRules, Policy, Ticker};

use super::enroller::read_key;
use crate::args::{AssetCommand, Deliver};
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Out, Report};
use crate::show::short;

/// Does what is asked with assets.
pub fn run(at: &Context, out: Out, command: AssetCommand) -> Result<Done, CliError> {
    match command {
        AssetCommand::Create {
            ticker,
            decimals,
            max_supply,
            unique,
            enroller,
            sealed_only,
            deliver,
        } => {
            let offline = OfflineRules {
                sealed_only,
                enrollers: enrollers(&enroller)?,
                ..OfflineRules::default()
            };
            let wanted = Wanted::new(&ticker, decimals, max_supply.as_deref(), unique)?;
            create(at, out, Wanted { offline, ..wanted }, &deliver)
        }
        AssetCommand::Import { file } => {
            let policy = match carrier::load(&file)?.object {
                Object::Policy(policy) => policy,
                Object::Mint(file) => file.policy,
                Object::Invoice(file) => file.policy,
                other => return Err(carrier::wrong_kind(&other, "an asset")),
            };
            let mut wallet = at.open()?;
            let id = wallet.add_policy(policy.clone())?;
            Ok(Done::new(&Known { asset: Asset::of(wallet.device(), &id, &policy) }))
        }
        AssetCommand::List => {
            let wallet = at.open()?;
            let known = wallet.device().policies().iter();
            let assets = known.map(|(id, policy)| Asset::of(wallet.device(), id, policy)).collect();
            Ok(Done::new(&Listed { assets }))
        }
    }
}

/// Reads an amount of an asset that `me` knows.
///
/// # Errors
/// [`CliError`] when it is no amount, or zero.
pub fn parse_amount(me: &Device, asset: &AssetId, text: &str) -> Result<Amount, CliError> {
    let decimals = me.policies().get(asset).map_or(0, |policy| policy.decimals);
    amount(text, decimals)
}

fn amount(text: &str, decimals: u8) -> Result<Amount, CliError> {
    match Amount::parse(text, decimals) {
        Some(amount) if !amount.is_zero() => Ok(amount),
        _ => Err(CliError::usage(
            "AMOUNT",
            format!("{text:?} is not an amount that this asset can have"),
            &format!("give a number above zero with at most {decimals} digits behind the point"),
        )),
    }
}

struct Wanted {
    ticker: Ticker,
    decimals: u8,
    max_supply: Option<Amount>,
    kind: AssetKind,
    offline: OfflineRules,
}

fn enrollers(named: &[String]) -> Result<List<PublicKey, MAX_ENROLLERS>, CliError> {
    let mut keys = named.iter().map(|text| read_key(text)).collect::<Result<Vec<_>, _>>()?;
    keys.sort();
    keys.dedup();
    List::new(keys).map_err(|_| {
        CliError::usage("ENROLLER_KEY", "an asset names at most 16 enrollers", "name fewer")
    })
}

impl Wanted {
    fn new(ticker: &str, decimals: u8, max: Option<&str>, unique: bool) -> Result<Self, CliError> {
        let ticker = Ticker::new(ticker).ok_or_else(|| {
            let next = "use 1 to 12 of A-Z and 0-9, a letter first";
            CliError::usage("TICKER", format!("{ticker:?} cannot be a ticker"), next)
        })?;
        if decimals > MAX_DECIMALS || (unique && decimals != 0) {
            let what = format!("an asset cannot have {decimals} decimals");
            let next = "use 0 to 18, and 0 for single things";
            return Err(CliError::usage("DECIMALS", what, next));
        }
        let max_supply = max.map(|max| amount(max, decimals)).transpose()?;
        let kind = if unique { AssetKind::Unique } else { AssetKind::Fungible };
        Ok(Self { ticker, decimals, max_supply, kind, offline: OfflineRules::default() })
    }
}

#[derive(Serialize)]
struct Asset {
    ticker: String,
    asset: String,
    decimals: u8,
    kind: &'static str,
    max_supply: Option<String>,
    issuer: bool,
    network: u16,
    /// Whose word makes a hardware seal count for it.
    enrollers: Vec<String>,
    /// Whether nothing may be paid offline on a signature alone.
    sealed_only: bool,
}

impl Asset {
    fn of(me: &Device, id: &AssetId, policy: &Policy) -> Self {
        Self {
            ticker: policy.ticker.to_string(),
            asset: id.to_string(),
            decimals: policy.decimals,
            kind: kind(policy),
            max_supply: policy.max_supply.map(|max| max.display(policy.decimals).to_string()),
            issuer: policy.issuers.iter().any(|issuer| issuer == &me.me().owner),
            network: policy.network.number(),
            enrollers: policy.offline.enrollers.iter().map(ToString::to_string).collect(),
            sealed_only: policy.offline.sealed_only,
        }
    }

    fn line(&self) -> String {
        let Self { ticker, asset, decimals, kind, max_supply, issuer, enrollers, .. } = self;
        let max = max_supply.as_ref().map(|max| format!(", at most {max}")).unwrap_or_default();
        let mine = if *issuer { ", issued by this wallet" } else { "" };
        let sealed = if self.sealed_only { ", offline under a seal only" } else { "" };
        let mut line =
            format!("{}  {ticker}  {kind}, {decimals} decimals{max}{sealed}{mine}\n", short(asset));
        for enroller in enrollers {
            line += &format!("  seals count that {} enrolled\n", short(enroller));
        }
        line
    }
}

/// An asset's kind, in a word.
pub fn kind(policy: &Policy) -> &'static str {
    match policy.kind {
        AssetKind::Fungible => "fungible",
        AssetKind::Unique => "unique",
    }
}

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    asset: Asset,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Created {
    fn text(&self) -> String {
        format!("created {}{}", self.asset.line(), self.delivered.text())
    }
}

#[derive(Serialize)]
struct Known {
    #[serde(flatten)]
    asset: Asset,
}

impl Report for Known {
    fn text(&self) -> String {
        format!(
            "known now: {}Tickers are not unique: compare the digits with the issuer's.\n",
            self.asset.line()
        )
    }
}

#[derive(Serialize)]
struct Listed {
    assets: Vec<Asset>,
}

impl Report for Listed {
    fn text(&self) -> String {
        if self.assets.is_empty() {
            return "no assets yet: import one with `tally asset import FILE`\n".into();
        }
        self.assets.iter().map(Asset::line).collect()
    }
}

fn create(at: &Context, out: Out, wanted: Wanted, deliver: &Deliver) -> Result<Done, CliError> {
    carrier::check(deliver)?;
    let mut wallet = at.open()?;
    let Wanted { ticker, decimals, max_supply, kind, offline } = wanted;
    let id = wallet.create_asset_with(ticker, decimals, max_supply, kind, offline)?;
    let policy = policy_of(wallet.device(), &id)?;
    let delivered = carrier::deliver(&Object::Policy(policy.clone()), deliver, out)?;
    Ok(Done::new(&Created { asset: Asset::of(wallet.device(), &id, &policy), delivered }))
}

/// The policy of an asset that the wallet knows.
///
/// # Errors
/// [`CliError`] when it does not.
pub fn policy_of(me: &Device, asset: &AssetId) -> Result<Policy, CliError> {
    me.policies().get(asset).cloned().ok_or_else(|| {
        CliError::refused("EVIDENCE_UNKNOWN_ASSET", "the asset is not known here: import it first")
    })
}
