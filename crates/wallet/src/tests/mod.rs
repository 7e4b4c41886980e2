mod backup;
mod copies;
mod crash;
mod fuse;
mod lost;
mod owner;
mod packets;
mod scene;
mod store;
mod trade;

pub(crate) use fuse::Fuse;
