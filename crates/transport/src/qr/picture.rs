//! Write codes as PNG and APNG files, and read such files as grey pixels.

use std::io::Cursor;

use png::{
    BitDepth, ColorType, Decoder, DecodingError, Encoder, EncodingError, Limits, Reader,
    Transformations,
};

use super::grid::Grid;
use super::scan::scan_luma;
use super::{MAX_LOOP_PIXELS, MAX_PICTURE_BYTES, MAX_PIXELS, MAX_SCALE, QrError};

/// White border in modules, as the standard asks.
const BORDER: u32 = 4;
/// Frames of a loop shown in a second.
const FRAMES_PER_SECOND: u16 = 8;
/// Memory that the PNG reader may take for its own tables, in bytes.
const READER_BYTES: usize = 64 * 1024 * 1024;

/// Writes codes of equal size as one file: a PNG of the only one, or an APNG that loops through them.
pub(super) fn encode(grids: &[Grid], scale: u32) -> Result<Vec<u8>, QrError> {
    if scale == 0 || scale > MAX_SCALE {
        return Err(QrError::Scale(scale));
    }
    // Writing to memory fails only if the file would outgrow it.
    write(grids, scale).map_err(|error| QrError::Picture(error.to_string()))
}

fn write(grids: &[Grid], scale: u32) -> Result<Vec<u8>, EncodingError> {
    let side = grids.first().map_or(0, |grid| grid.side(BORDER)) * scale;
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    if grids.len() > 1 {
        // A loop has a few hundred frames, and 0 plays mean endless.
        encoder.set_animated(grids.len() as u32, 0)?;
        encoder.set_frame_delay(1, FRAMES_PER_SECOND)?;
    }
    let mut writer = encoder.write_header()?;
    for grid in grids {
        writer.write_image_data(&pixels(grid, scale))?;
    }
    writer.finish()?;
    Ok(file)
}

/// One bit a pixel, 1 for white, each row filled up to whole bytes.
fn pixels(grid: &Grid, scale: u32) -> Vec<u8> {
    let side = grid.side(BORDER);
    let row_bytes = (side * scale).div_ceil(8) as usize;
    let mut out = Vec::with_capacity(row_bytes * (side * scale) as usize);
    for row in 0..side {
        let mut line = vec![0; row_bytes];
        for pixel in 0..side * scale {
            if !grid.is_dark(pixel / scale, row, BORDER) {
                line[(pixel / 8) as usize] |= 0x80 >> (pixel % 8);
            }
        }
        for _ in 0..scale {
            out.extend_from_slice(&line);
        }
    }
    out
}

/// The pictures of a PNG or APNG file, read one after the other.
pub(super) struct Pictures<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    count: u32,
    left: u64,
}

/// One picture in grey.
pub(super) struct Luma {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl<'a> Pictures<'a> {
    /// Reads the header of a file, and refuses what would take too much room to read on.
    pub(super) fn open(file: &'a [u8]) -> Result<Self, QrError> {
        if file.len() > MAX_PICTURE_BYTES {
            return Err(QrError::PictureTooLarge);
        }
        let limits = Limits { bytes: READER_BYTES };
        let mut decoder = Decoder::new_with_limits(Cursor::new(file), limits);
        decoder.set_transformations(Transformations::normalize_to_color8());
        let header = decoder.read_header_info().map_err(unreadable)?;
        if u64::from(header.width) * u64::from(header.height) > MAX_PIXELS {
            return Err(QrError::PictureTooLarge);
        }
        let reader = decoder.read_info().map_err(unreadable)?;
        let animation = reader.info().animation_control();
        let count = animation.map_or(1, |control| control.num_frames.max(1));
        Ok(Self { reader, count, left: MAX_LOOP_PIXELS })
    }

    /// How many pictures the file announces.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn next_luma(&mut self) -> Result<Luma, QrError> {
        let info = self.reader.info();
        let pixels = u64::from(info.width) * u64::from(info.height);
        self.left = self.left.checked_sub(pixels).ok_or(QrError::PictureTooLarge)?;
        let size = self.reader.output_buffer_size();
        let mut buffer = vec![0; size.ok_or(QrError::PictureTooLarge)?];
        let info = self.reader.next_frame(&mut buffer).map_err(unreadable)?;
        buffer.truncate(info.buffer_size());
        Ok(Luma {
            width: info.width,
            height: info.height,
            pixels: to_grey(&buffer, info.color_type),
        })
    }
}

impl Luma {
    pub(super) fn scan(&self) -> Result<Vec<u8>, QrError> {
        scan_luma(self.width, self.height, &self.pixels)
    }
}

/// Brings 8-bit samples to grey, on white where they are transparent.
fn to_grey(samples: &[u8], color: ColorType) -> Vec<u8> {
    match color {
        ColorType::Grayscale | ColorType::Indexed => samples.to_vec(),
        ColorType::GrayscaleAlpha => {
            let pixels = samples.chunks_exact(2);
            pixels.map(|pixel| on_white(pixel[0], pixel[1])).collect()
        }
        ColorType::Rgb => samples.chunks_exact(3).map(brightness).collect(),
        ColorType::Rgba => {
            let pixels = samples.chunks_exact(4);
            pixels.map(|pixel| on_white(brightness(&pixel[..3]), pixel[3])).collect()
        }
    }
}

fn brightness(rgb: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(rgb[channel]));
    // Weights of ITU-R BT.601, in 256ths; the sum stays below 256.
    ((77 * red + 150 * green + 29 * blue) / 256) as u8
}

fn on_white(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    ((grey * alpha + 255 * (255 - alpha)) / 255) as u8
}

fn unreadable(error: DecodingError) -> QrError {
    match error {
        DecodingError::LimitsExceeded => QrError::PictureTooLarge,
        other => QrError::Picture(other.to_string()),
    }
}
