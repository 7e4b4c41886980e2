//! Carry one message in QR codes: one still picture, or a loop of pictures when it is longer.
//!
//! A still code holds the message as it is, in byte mode at level M, up to [`MAX_STILL`] bytes. A
//! longer message becomes a loop of [`Frames`]: RaptorQ symbols (RFC 6330), of which any sufficient
//! number gives the message back to a [`Collector`], whichever were missed.
//!
//! ```
//! use tally_transport::qr;
//! let picture = qr::encode_image(b"an invoice")?;
//! assert_eq!(qr::decode_image(&picture)?, b"an invoice");
//! # Ok::<(), qr::QrError>(())
//! ```

mod fountain;
mod grid;
mod picture;
mod scan;
mod terminal;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::MAX_MESSAGE;
use grid::Grid;

pub use fountain::{Collector, Frames, Progress, is_frame};
pub use scan::scan_luma;
pub use terminal::{terminal, terminal_frames};

/// Longest message in one code, in bytes: version 40, level M.
pub const MAX_STILL: usize = 2331;
/// Length of a frame that phones read easily, header included, in bytes: 85 by 85 modules.
pub const FRAME_BYTES: usize = 500;
/// Shortest frame, header included, in bytes.
pub const MIN_FRAME: usize = 32;
/// Largest number of pixels along a module.
pub const MAX_SCALE: u32 = 32;
/// Longest picture file that is read, in bytes.
pub const MAX_PICTURE_BYTES: usize = 32 * 1024 * 1024;
/// Most pixels in one picture that is read.
pub const MAX_PIXELS: u64 = 16 * 1024 * 1024;
/// Most pixels over all pictures of a loop that is read.
pub const MAX_LOOP_PIXELS: u64 = 16 * MAX_PIXELS;

/// Pixels along a module in [`encode_image`].
const IMAGE_SCALE: u32 = 4;

/// Makes a PNG of one code that holds `bytes`, with `scale` pixels along a module.
///
/// # Errors
/// [`QrError::Empty`], [`QrError::TooLarge`] above [`MAX_STILL`] bytes, [`QrError::Scale`].
pub fn encode_png(bytes: &[u8], scale: u32) -> Result<Vec<u8>, QrError> {
    picture::encode(&[Grid::new(bytes)?], scale)
}

/// Reads the bytes of the one code in a PNG.
///
/// # Errors
/// [`QrError::Picture`], [`QrError::PictureTooLarge`], [`QrError::NoCode`], [`QrError::NotBytes`].
pub fn decode_png(png: &[u8]) -> Result<Vec<u8>, QrError> {
    let mut pictures = picture::Pictures::open(png)?;
    pictures.next_luma()?.scan()
}

/// Makes one picture file of a message of any length up to [`MAX_MESSAGE`]: a PNG of one code if it
/// fits, else an APNG that loops through frames, a quarter more of them than a reader needs.
///
/// # Errors
/// [`QrError::Empty`], [`QrError::TooLarge`].
pub fn encode_image(bytes: &[u8]) -> Result<Vec<u8>, QrError> {
    if bytes.len() <= MAX_STILL {
        return encode_png(bytes, IMAGE_SCALE);
    }
    let frames = Frames::new(bytes, FRAME_BYTES)?;
    let shown = frames.loop_length();
    let grids = frames.take(shown).map(|frame| Grid::new(&frame)).collect::<Result<Vec<_>, _>>()?;
    picture::encode(&grids, IMAGE_SCALE)
}

/// Reads the message in a picture file made by [`encode_image`].
///
/// Pictures of a loop that cannot be read are passed over, as a camera would.
///
/// # Errors
/// Those of [`decode_png`], or [`QrError::Incomplete`] and [`QrError::Corrupt`] for a loop.
pub fn decode_image(file: &[u8]) -> Result<Vec<u8>, QrError> {
    let mut pictures = picture::Pictures::open(file)?;
    if pictures.count() == 1 {
        return pictures.next_luma()?.scan();
    }
    let mut collector = Collector::new();
    for _ in 0..pictures.count() {
        let Ok(frame) = pictures.next_luma()?.scan() else {
            continue;
        };
        match collector.push(&frame) {
            Ok(Progress::Done(message)) => return Ok(message),
            Ok(Progress::Partial { .. }) | Err(QrError::NotAFrame | QrError::OtherTransfer) => {}
            Err(error) => return Err(error),
        }
    }
    Err(collector.incomplete())
}

/// Why a code was not made or read, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QrError {
    /// Nothing to encode.
    #[error("there is nothing to show: the message is empty; give at least one byte")]
    Empty,
    /// More bytes than fit.
    #[error(
        "{size} bytes are over the limit of {max}; show them as a loop of frames, or send a file"
    )]
    TooLarge {
        /// The length in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The scale is out of range.
    #[error("a module of {0} pixels cannot be drawn; choose 1 to {MAX_SCALE}")]
    Scale(u32),
    /// The frame length is out of range.
    #[error("a frame of {0} bytes cannot be shown; choose {MIN_FRAME} to {MAX_STILL}")]
    FrameSize(usize),
    /// The file is not a PNG that can be read.
    #[error(
        "the file is not a PNG picture that can be read ({0}); save the picture as PNG and try again"
    )]
    Picture(String),
    /// The picture is too large to be read safely.
    #[error("the picture is too large to read; cut it down to the code and try again")]
    PictureTooLarge,
    /// No code was found.
    #[error(
        "no QR code was found in the picture; show it larger, flat and in focus, with its white border"
    )]
    NoCode,
    /// A code, but of text.
    #[error(
        "the QR code does not hold bytes, so Tally did not make it; scan the code that Tally shows"
    )]
    NotBytes,
    /// Not a frame of a loop.
    #[error("the code is not part of a loop of codes; read it as a single code")]
    NotAFrame,
    /// A frame of another message.
    #[error("the code belongs to another message; keep to one screen, or start again")]
    OtherTransfer,
    /// The frames are not enough.
    #[error("read {received} different codes of about {needed}; keep scanning until it is done")]
    Incomplete {
        /// Different frames so far.
        received: u32,
        /// Frames that are needed, seldom one or two more.
        needed: u32,
    },
    /// The frames do not give the message they announce.
    #[error("the codes do not fit together; start scanning again")]
    Corrupt,
}

impl QrError {
    /// The stable name of this error, for programs and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "QR_EMPTY",
            Self::TooLarge { .. } => "QR_TOO_LARGE",
            Self::Scale(_) => "QR_SCALE",
            Self::FrameSize(_) => "QR_FRAME_SIZE",
            Self::Picture(_) => "QR_PICTURE",
            Self::PictureTooLarge => "QR_PICTURE_TOO_LARGE",
            Self::NoCode => "QR_NO_CODE",
            Self::NotBytes => "QR_NOT_BYTES",
            Self::NotAFrame => "QR_NOT_A_FRAME",
            Self::OtherTransfer => "QR_OTHER_TRANSFER",
            Self::Incomplete { .. } => "QR_INCOMPLETE",
            Self::Corrupt => "QR_CORRUPT",
        }
    }
}

/// Checks the length of a whole message.
fn check_message(bytes: &[u8], max: usize) -> Result<(), QrError> {
    let max = max.min(MAX_MESSAGE);
    match bytes.len() {
        0 => Err(QrError::Empty),
        size if size > max => Err(QrError::TooLarge { size, max }),
        _ => Ok(()),
    }
}
