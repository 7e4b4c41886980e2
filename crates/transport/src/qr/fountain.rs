//! Cut a message into frames of which any sufficient number gives it back (RaptorQ, RFC 6330).
//!
//! ```text
//! frame  = header (17) ‖ symbol
//! header = format (1: 0xa7) ‖ message length (3) ‖ symbol length (2) ‖ SHA-256(message)[..8] ‖ symbol id (3)
//! ```
//! Numbers are big-endian. One source block, one sub-block, symbol alignment 1; the last source
//! symbol is filled up with zeros. Symbol ids below the number of source symbols are the message
//! itself, all above are repair symbols.

use std::collections::BTreeSet;
use std::fmt;

use raptorq::{
    Decoder, EncodingPacket, ObjectTransmissionInformation, PayloadId, SourceBlockEncoder,
};
use sha2::{Digest, Sha256};

use super::{MAX_STILL, MIN_FRAME, QrError, check_message};
use crate::MAX_MESSAGE;

const FORMAT: u8 = 0xa7;
const HEADER: usize = 17;
const HASH: usize = 8;
/// Most source symbols of a message.
const MAX_SYMBOLS: usize = 4096;
/// Symbols beyond the needed number after which the code has surely been given wrong ones: each one
/// more makes a failure about 256 times less likely.
const MAX_EXTRA: usize = 16;
/// Symbol ids have three bytes.
const MAX_ID: u32 = 0xff_ffff;

/// An endless supply of frames of one message: first the message itself, then repair symbols.
pub struct Frames {
    transfer: Transfer,
    padded: Vec<u8>,
    encoder: SourceBlockEncoder,
    next: u32,
}

impl Frames {
    /// Prepares frames of `frame_size` bytes each, header included ([`MIN_FRAME`] to [`MAX_STILL`]).
    ///
    /// # Errors
    /// [`QrError::Empty`], [`QrError::FrameSize`], [`QrError::TooLarge`] if `bytes` is over the
    /// message limit or too long for frames this short.
    pub fn new(bytes: &[u8], frame_size: usize) -> Result<Self, QrError> {
        if !(MIN_FRAME..=MAX_STILL).contains(&frame_size) {
            return Err(QrError::FrameSize(frame_size));
        }
        let symbol = frame_size - HEADER;
        check_message(bytes, symbol * MAX_SYMBOLS)?;
        let transfer = Transfer { length: bytes.len(), symbol, hash: short_hash(bytes) };
        let mut padded = bytes.to_vec();
        padded.resize(transfer.symbols() * symbol, 0);
        let encoder = SourceBlockEncoder::new(0, &transfer.parameters(), &padded);
        Ok(Self { transfer, padded, encoder, next: 0 })
    }

    /// Frames that give the message back if none is missed.
    pub fn needed(&self) -> usize {
        self.transfer.symbols()
    }

    /// Frames to show in a loop: a quarter more than needed, and four.
    pub fn loop_length(&self) -> usize {
        let needed = self.needed();
        needed + needed.div_ceil(4) + 4
    }

    fn symbol(&self, id: u32) -> Option<Vec<u8>> {
        let at = id as usize;
        let size = self.transfer.symbol;
        match self.padded.chunks_exact(size).nth(at) {
            Some(source) => Some(source.to_vec()),
            None => {
                let repair = id - self.transfer.symbols() as u32;
                let packet = self.encoder.repair_packets(repair, 1).pop()?;
                Some(packet.split().1)
            }
        }
    }
}

impl Iterator for Frames {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.next > MAX_ID {
            return None;
        }
        let symbol = self.symbol(self.next)?;
        let frame = self.transfer.frame(self.next, &symbol);
        self.next += 1;
        Some(frame)
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("transfer", &self.transfer)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// How far a [`Collector`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not enough frames yet.
    Partial {
        /// Different frames so far.
        received: u32,
        /// Frames that are needed, seldom one or two more.
        needed: u32,
    },
    /// The message.
    Done(Vec<u8>),
}

/// Puts a message together from frames, in any order, some repeated, some never seen.
///
/// ```
/// use tally_transport::qr::{Collector, Frames, Progress};
/// let message = vec![7; 5000];
/// let mut collector = Collector::new();
/// for frame in Frames::new(&message, 300)?.skip(5) {
///     if let Progress::Done(result) = collector.push(&frame)? {
///         assert_eq!(result, message);
///         break;
///     }
/// }
/// # Ok::<(), tally_transport::qr::QrError>(())
/// ```
#[derive(Default)]
pub struct Collector {
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    Collecting {
        transfer: Transfer,
        decoder: Box<Decoder>,
        seen: BTreeSet<u32>,
    },
    Done {
        transfer: Transfer,
        message: Vec<u8>,
    },
}

impl Collector {
    /// Starts without any frame; the first one chooses the message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what one code held.
    ///
    /// # Errors
    /// [`QrError::NotAFrame`] or [`QrError::OtherTransfer`], which change nothing;
    /// [`QrError::Corrupt`] if the frames give another message than announced: then it starts empty.
    pub fn push(&mut self, frame: &[u8]) -> Result<Progress, QrError> {
        let (transfer, id, symbol) = Transfer::parse(frame)?;
        if self.transfer().is_some_and(|current| *current != transfer) {
            return Err(QrError::OtherTransfer);
        }
        if let State::Empty = self.state {
            self.state = State::Collecting {
                decoder: Box::new(Decoder::new(transfer.parameters())),
                seen: BTreeSet::new(),
                transfer,
            };
        }
        let mut decoded = None;
        if let State::Collecting { decoder, seen, .. } = &mut self.state
            && seen.insert(id)
        {
            let packet = EncodingPacket::new(PayloadId::new(0, id), symbol.to_vec());
            decoded = decoder.decode(packet);
        }
        if let Some(message) = decoded {
            self.finish(message)?;
        }
        self.progress()
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`QrError::Corrupt`] if so many frames gave no message that some must be wrong.
    fn progress(&mut self) -> Result<Progress, QrError> {
        match &self.state {
            State::Empty => Ok(Progress::Partial { received: 0, needed: 0 }),
            State::Done { message, .. } => Ok(Progress::Done(message.clone())),
            State::Collecting { transfer, seen, .. } => {
                if seen.len() > transfer.symbols() + MAX_EXTRA {
                    self.state = State::Empty;
                    return Err(QrError::Corrupt);
                }
                Ok(Progress::Partial {
                    received: seen.len() as u32,
                    needed: transfer.symbols() as u32,
                })
            }
        }
    }

    /// The error that says how much is missing.
    pub(super) fn incomplete(&self) -> QrError {
        let (received, needed) = match &self.state {
            State::Collecting { transfer, seen, .. } => (seen.len(), transfer.symbols()),
            _ => (0, 0),
        };
        match received {
            0 => QrError::NoCode,
            _ => QrError::Incomplete { received: received as u32, needed: needed as u32 },
        }
    }

    fn finish(&mut self, message: Vec<u8>) -> Result<(), QrError> {
        match std::mem::take(&mut self.state) {
            State::Collecting { transfer, .. } if short_hash(&message) == transfer.hash => {
                self.state = State::Done { transfer, message };
                Ok(())
            }
            _ => Err(QrError::Corrupt),
        }
    }

    fn transfer(&self) -> Option<&Transfer> {
        match &self.state {
            State::Empty => None,
            State::Collecting { transfer, .. } | State::Done { transfer, .. } => Some(transfer),
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("transfer", &self.transfer()).finish_non_exhaustive()
    }
}

/// Whether bytes read from a code look like a frame of a loop rather than a whole message.
///
/// A message that is random bytes looks like one by chance about once in 2^30.
pub fn is_frame(bytes: &[u8]) -> bool {
    Transfer::parse(bytes).is_ok()
}

/// What all frames of one message share.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transfer {
    length: usize,
    symbol: usize,
    hash: [u8; HASH],
}

impl Transfer {
    fn symbols(&self) -> usize {
        self.length.div_ceil(self.symbol)
    }

    fn parameters(&self) -> ObjectTransmissionInformation {
        let (blocks, sub_blocks, alignment) = (1, 1, 1);
        let (length, symbol) = (self.length as u64, self.symbol as u16);
        ObjectTransmissionInformation::new(length, symbol, blocks, sub_blocks, alignment)
    }

    fn frame(&self, id: u32, symbol: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(HEADER + symbol.len());
        frame.push(FORMAT);
        frame.extend_from_slice(&(self.length as u32).to_be_bytes()[1..]);
        frame.extend_from_slice(&(self.symbol as u16).to_be_bytes());
        frame.extend_from_slice(&self.hash);
        frame.extend_from_slice(&id.to_be_bytes()[1..]);
        frame.extend_from_slice(symbol);
        frame
    }

    fn parse(frame: &[u8]) -> Result<(Self, u32, &[u8]), QrError> {
        let (header, symbol) = frame.split_first_chunk::<HEADER>().ok_or(QrError::NotAFrame)?;
        let number = |at: usize, bytes: usize| {
            let digits = &header[at..at + bytes];
            digits.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
        };
        let mut hash = [0; HASH];
        hash.copy_from_slice(&header[6..14]);
        let transfer = Self { length: number(1, 3) as usize, symbol: number(4, 2) as usize, hash };
        let well_formed = header[0] == FORMAT
            && (MIN_FRAME..=MAX_STILL).contains(&frame.len())
            && transfer.symbol == symbol.len()
            && (1..=MAX_MESSAGE).contains(&transfer.length)
            && transfer.symbols() <= MAX_SYMBOLS;
        if !well_formed {
            return Err(QrError::NotAFrame);
        }
        Ok((transfer, number(14, 3), symbol))
    }
}

fn short_hash(message: &[u8]) -> [u8; HASH] {
    let digest = Sha256::digest(message);
    std::array::from_fn(|at| digest[at])
}
