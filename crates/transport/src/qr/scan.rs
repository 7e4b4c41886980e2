//! Find a code in a grey picture and read its bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rxing::common::HybridBinarizer;
use rxing::qrcode::QRCodeReader;
use rxing::{
    BinaryBitmap, DecodeHints, Luma8LuminanceSource, LuminanceSource, RXingResult,
    RXingResultMetadataType, RXingResultMetadataValue, Reader,
};

use super::{MAX_PIXELS, QrError};

/// The mode indicator of bytes, in the first four bits of a code's data.
const BYTE_MODE: u8 = 0b0100;

/// Reads the bytes of the one code in a picture of `width` × `height` grey pixels (0 is black), row
/// by row: what a camera gives.
///
/// # Errors
/// [`QrError::Picture`] if the number of pixels is not `width` × `height`,
/// [`QrError::PictureTooLarge`], [`QrError::NoCode`], [`QrError::NotBytes`].
pub fn scan_luma(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, QrError> {
    let count = u64::from(width) * u64::from(height);
    if count > MAX_PIXELS {
        return Err(QrError::PictureTooLarge);
    }
    if count == 0 || count != pixels.len() as u64 {
        return Err(QrError::Picture("wrong number of pixels".to_owned()));
    }
    let drawn = || DecodeHints { PureBarcode: Some(true), ..DecodeHints::default() };
    let seen = || DecodeHints { TryHarder: Some(true), ..DecodeHints::default() };
    let source = Luma8LuminanceSource::new(pixels.to_vec(), width, height)
        .map_err(|error| QrError::Picture(error.to_string()))?;
    let found =
        read(source.clone(), seen()).or_else(|| read(source.clone(), drawn())).or_else(|| {
            let mut inverted = source;
            inverted.invert();
            read(inverted, seen())
        });
    bytes_of(&found.ok_or(QrError::NoCode)?)
}

fn read(source: Luma8LuminanceSource, hints: DecodeHints) -> Option<RXingResult> {
    let mut bitmap = BinaryBitmap::new(HybridBinarizer::new(source));
    // The reader is large and takes pictures from anywhere: should it fail on one, there is no code.
    let read = || QRCodeReader::new().decode_with_hints(&mut bitmap, &hints);
    catch_unwind(AssertUnwindSafe(read)).ok()?.ok()
}

/// The bytes of a code that holds one segment of bytes and nothing else.
fn bytes_of(found: &RXingResult) -> Result<Vec<u8>, QrError> {
    let segments = found.getRXingResultMetadata().get(&RXingResultMetadataType::BYTE_SEGMENTS);
    let in_bytes = found.getRawBytes().first().is_some_and(|first| first >> 4 == BYTE_MODE);
    match segments {
        Some(RXingResultMetadataValue::ByteSegments(segments)) if in_bytes => match &segments[..] {
            [bytes] => Ok(bytes.clone()),
            _ => Err(QrError::NotBytes),
        },
        _ => Err(QrError::NotBytes),
    }
}
