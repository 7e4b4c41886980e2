mod crash;
mod fuse;
mod packets;
mod scene;
mod trade;

pub(crate) use fuse::Fuse;
