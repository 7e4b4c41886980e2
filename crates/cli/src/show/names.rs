//! What a wallet calls people and assets.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_core::amount::Amount;
use tally_core::device::Device;
use tally_core::id::{AssetId, DeviceId};
use tally_core::keys::PublicKey;

use super::short;

/// What a wallet calls things: enough to show events while the wallet is at work.
///
/// Anyone may take any name and any ticker. Where two have the same, people see digits beside it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    contacts: BTreeMap<DeviceId, String>,
    keys: BTreeMap<PublicKey, DeviceId>,
    assets: BTreeMap<AssetId, (String, u8)>,
    /// How often each name of a contact is taken, without regard to case.
    named: BTreeMap<String, usize>,
    /// How often each ticker is taken.
    tickers: BTreeMap<String, usize>,
}

impl Names {
    /// What `device` calls its contacts and assets.
    pub fn of(device: &Device) -> Self {
        let contacts = device.contacts().iter();
        let assets = device.policies().iter();
        Self {
            named: counted(contacts.clone().map(|(_, c)| c.name.as_str().to_lowercase())),
            tickers: counted(assets.clone().map(|(_, p)| p.ticker.to_string())),
            keys: contacts.clone().map(|(id, c)| (c.owner.clone(), *id)).collect(),
            contacts: contacts
                .map(|(id, c)| (*id, c.name.as_str().to_owned()))
                .chain([(device.id(), "yourself".to_owned())])
                .collect(),
            assets: assets.map(|(id, p)| (*id, (p.ticker.to_string(), p.decimals))).collect(),
        }
    }
}

fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

impl Names {
    /// Whether several contacts have this name.
    fn is_shared(&self, name: &str) -> bool {
        self.named.get(&name.to_lowercase()).is_some_and(|count| *count > 1)
    }

    /// Whether several assets have this ticker.
    fn is_shared_ticker(&self, ticker: &str) -> bool {
        self.tickers.get(ticker).is_some_and(|count| *count > 1)
    }

    /// The contact who has this key.
    pub fn of_key(&self, key: &PublicKey) -> Option<DeviceId> {
        self.keys.get(key).copied()
    }
}

/// Somebody's device.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The device.
    pub device: String,
    /// The name on its card, if it is a contact.
    pub name: Option<String>,
    /// Whether another contact has the same name.
    #[serde(skip)]
    shared: bool,
}

impl Who {
    /// A device under the name that it has here.
    pub fn of(names: &Names, device: &DeviceId) -> Self {
        let name = names.contacts.get(device).cloned();
        let shared = name.as_deref().is_some_and(|name| names.is_shared(name));
        Self { device: device.to_string(), name, shared }
    }

    /// The name, or the start of the id; both, if another contact has the same name.
    pub fn text(&self) -> String {
        match &self.name {
            Some(name) if self.shared => format!("{name} ({})", short(&self.device)),
            Some(name) => name.clone(),
            None => short(&self.device).into(),
        }
    }
}

/// An amount with what it is of.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Money {
    /// With its decimal point.
    pub amount: String,
    /// In smallest units.
    pub units: u64,
    /// The asset's short name, if the asset is known.
    pub ticker: Option<String>,
    /// The asset.
    pub asset: String,
    /// Whether another asset has the same short name.
    #[serde(skip)]
    shared: bool,
}

impl Money {
    /// An amount of an asset under the name that it has here.
    pub fn of(names: &Names, asset: &AssetId, amount: Amount) -> Self {
        let known = names.assets.get(asset);
        let decimals = known.map_or(0, |(_, decimals)| *decimals);
        Self {
            amount: amount.display(decimals).to_string(),
            units: amount.units(),
            ticker: known.map(|(ticker, _)| ticker.clone()),
            asset: asset.to_string(),
            shared: known.is_some_and(|(ticker, _)| names.is_shared_ticker(ticker)),
        }
    }

    /// What names the asset in a command.
    pub fn name(&self) -> &str {
        match &self.ticker {
            Some(ticker) if !self.shared => ticker,
            _ => &self.asset,
        }
    }

    /// Such as `4.50 COIN`, or `4.50 COIN (4c2c31ff3ef2)` if two known assets are called so.
    pub fn text(&self) -> String {
        let asset = self.ticker.as_deref().unwrap_or_else(|| short(&self.asset));
        let digits = if self.shared { format!(" ({})", short(&self.asset)) } else { String::new() };
        format!("{} {asset}{digits}", self.amount)
    }
}
