//! Try to spend one coin twice with whole wallets, before real validators.

mod people;
mod tries;
