//! Draw codes with characters.

use super::QrError;
use super::fountain::Frames;
use super::grid::Grid;

/// White border in modules: half of the standard's, so that codes fit a window; phones read it.
const BORDER: u32 = 2;

/// Draws one code that holds `bytes`, two modules a character, for a terminal with a dark background.
///
/// # Errors
/// [`QrError::Empty`], or [`QrError::TooLarge`] above [`MAX_STILL`](super::MAX_STILL) bytes.
pub fn terminal(bytes: &[u8]) -> Result<String, QrError> {
    Grid::new(bytes).map(|grid| draw(&grid))
}

/// Draws a message of any length as one loop of codes of `frame_size` bytes each.
///
/// Show each for about an eighth of a second, and start over after the last.
///
/// # Errors
/// Those of [`Frames::new`].
pub fn terminal_frames(
    bytes: &[u8],
    frame_size: usize,
) -> Result<impl Iterator<Item = String>, QrError> {
    let frames = Frames::new(bytes, frame_size)?;
    let shown = frames.loop_length();
    Ok(frames.take(shown).map(|frame| {
        terminal(&frame).expect("a frame is between 1 byte and the limit of one code")
    }))
}

fn draw(grid: &Grid) -> String {
    let side = grid.side(BORDER);
    let light = |column, row| row < side && !grid.is_dark(column, row, BORDER);
    let mut text = String::new();
    for row in (0..side).step_by(2) {
        for column in 0..side {
            text.push(match (light(column, row), light(column, row + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push('\n');
    }
    text
}
