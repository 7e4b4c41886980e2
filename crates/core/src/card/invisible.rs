//! Know the characters that do not show, or that show as another one would.

/// Ranges of characters that a name cannot have, ascending: what Unicode 15 calls format characters,
/// line and paragraph separators, private use and ignorable by default; every space but the plain one;
/// and letters and symbols that are drawn blank.
const INVISIBLE: [(char, char); 34] = [
    ('\u{a0}', '\u{a0}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2000}', '\u{200f}'),
    ('\u{2028}', '\u{202f}'),
    ('\u{205f}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffd}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{16fe4}', '\u{16fe4}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{f0000}', '\u{ffffd}'),
    ('\u{100000}', '\u{10fffd}'),
];

/// Whether a character could make one name look like another.
pub(super) fn is_invisible(c: char) -> bool {
    let place = INVISIBLE.partition_point(|(_, last)| *last < c);
    INVISIBLE.get(place).is_some_and(|(first, _)| *first <= c)
}

#[cfg(test)]
mod tests {
    use super::{INVISIBLE, is_invisible};

    #[test]
    fn the_ranges_ascend_and_hold_their_ends_and_nothing_beside_them() {
        let mut before = ' ';
        for (first, last) in INVISIBLE {
            assert!(before < first && first <= last, "{first:?}");
            assert!(is_invisible(first) && is_invisible(last), "{first:?}");
            for beside in [u32::from(first) - 1, u32::from(last) + 1] {
                let beside =
                    char::from_u32(beside).filter(|c| !INVISIBLE.iter().any(|r| r.0 == *c));
                assert!(!beside.is_some_and(is_invisible), "{beside:?}");
            }
            before = last;
        }
    }

    #[test]
    fn what_people_are_called_shows() {
        for c in "Zoë O'Brien-Łukasz Анна Ωμέγα 山田 かな 한국 अनिल שרה مريم 🎸 ḍ̇".chars()
        {
            assert!(!is_invisible(c), "{c:?}");
        }
    }
}
