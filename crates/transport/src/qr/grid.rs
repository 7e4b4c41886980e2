//! Lay out bytes as the modules of one code.

use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

use super::{MAX_STILL, QrError, check_message};

/// One code, without its white border.
pub(super) struct Grid(QrCode);

impl Grid {
    /// The smallest code that holds `bytes` in byte mode at level M.
    ///
    /// Byte mode alone: a reader returns exactly these bytes only for a single segment of bytes.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, QrError> {
        check_message(bytes, MAX_STILL)?;
        let segments = [QrSegment::make_bytes(bytes)];
        let (level, boost) = (QrCodeEcc::Medium, false);
        QrCode::encode_segments_advanced(&segments, level, Version::MIN, Version::MAX, None, boost)
            .map(Self)
            .map_err(|_| QrError::TooLarge { size: bytes.len(), max: MAX_STILL })
    }

    /// Modules along a side, with a border of `border` modules.
    pub(super) fn side(&self, border: u32) -> u32 {
        self.0.size().unsigned_abs() + 2 * border
    }

    /// Whether the module is dark; everything outside the code is light.
    pub(super) fn is_dark(&self, column: u32, row: u32, border: u32) -> bool {
        // A side is at most 177 modules plus its border, so the coordinates are small.
        let inside = |at: u32| at as i32 - border as i32;
        self.0.get_module(inside(column), inside(row))
    }
}
