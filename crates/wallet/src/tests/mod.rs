mod fuse;
mod scene;
mod trade;

pub(crate) use fuse::Fuse;
