//! Put a length before a message, and find it again.

use std::ops::Range;

use crate::channel::TransportError;
use crate::varint::{self, Read};

/// The frame of `message`: its length, then itself.
pub fn join(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + varint::MAX_BYTES);
    varint::write(message.len() as u64, &mut frame);
    frame.extend_from_slice(message);
    frame
}

/// Where the first message lies in `bytes`, or `None` if it is not all there yet.
///
/// The limit is checked as soon as the length is known, before any of the message is waited for.
///
/// # Errors
/// [`TransportError::Malformed`] if the length is not one in its shortest form,
/// [`TransportError::TooLarge`] if it is above `max`.
pub fn split(bytes: &[u8], max: usize) -> Result<Option<Range<usize>>, TransportError> {
    let (size, start) = match varint::read(bytes) {
        Read::Number(size, start) => (size, start),
        Read::Short => return Ok(None),
        Read::Bad => return Err(TransportError::Malformed),
    };
    let max_size = max as u64;
    if size > max_size {
        return Err(TransportError::TooLarge { size, max: max_size });
    }
    // Fits: it is at most `max`, which is a usize.
    let end = start + size as usize;
    Ok((bytes.len() >= end).then_some(start..end))
}
