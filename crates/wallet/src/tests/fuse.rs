use crate::StoreError;

/// Makes a store fail for good at its n-th write, just before it or just after it: what a crash is
/// to the wallet. A fake; the file below it is real.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fuse {
    left: u32,
    after: bool,
    blown: bool,
}

impl Fuse {
    pub(crate) fn new(writes: u32, after: bool) -> Self {
        Self { left: writes, after, blown: false }
    }

    pub(crate) fn has_blown(&self) -> bool {
        self.blown
    }

    pub(crate) fn error() -> StoreError {
        StoreError::Io { doing: "write", path: "fake".into(), why: "a fake crash".into() }
    }

    pub(crate) fn before(&mut self) -> Result<(), StoreError> {
        self.blown |= self.left == 0 && !self.after;
        if self.blown { Err(Self::error()) } else { Ok(()) }
    }

    pub(crate) fn after(&mut self) -> Result<(), StoreError> {
        self.blown |= self.left == 0;
        self.left = self.left.saturating_sub(1);
        if self.blown { Err(Self::error()) } else { Ok(()) }
    }
}
