mod adversary;
mod backup;
mod copies;
mod crash;
mod fuse;
mod guard;
mod guests;
mod lost;
mod notary;
mod owner;
mod packets;
mod patched;
mod scene;
mod sealed;
mod settle;
mod store;
mod trade;

pub(crate) use fuse::Fuse;
