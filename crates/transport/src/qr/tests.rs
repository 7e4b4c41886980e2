use proptest::prelude::*;

use super::*;

const SIZES: [usize; 7] = [100, 500, 1273, 2331, 2332, 8000, 60_000];

/// Bytes that look random, the same in every run (xorshift).
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..size).map(|_| next()).collect()
}

#[test]
fn a_message_of_any_size_survives_one_picture_file() {
    for size in SIZES {
        let message = noise(size, size as u64);
        let file = encode_image(&message).unwrap();
        assert_eq!(decode_image(&file).unwrap(), message, "{size} bytes");
    }
}

#[test]
fn a_still_code_keeps_every_kind_of_byte() {
    let all: Vec<u8> = (0..=255).collect();
    let messages = [
        all,
        vec![0],
        vec![0; 300],
        vec![0xff; 300],
        b"0123456789".to_vec(),
        b"PLAIN TEXT".to_vec(),
        "Grüße, 支払い".as_bytes().to_vec(),
        b"\xef\xbb\xbfbyte order mark".to_vec(),
        vec![0x93, 0x5f, 0xe4, 0xaa],
    ];
    for message in messages {
        let picture = encode_png(&message, 3).unwrap();
        assert_eq!(decode_png(&picture).unwrap(), message);
    }
}

#[test]
fn a_still_code_is_read_at_every_scale() {
    let message = noise(200, 1);
    for scale in 1..=MAX_SCALE {
        let picture = encode_png(&message, scale).unwrap();
        assert_eq!(decode_png(&picture).unwrap(), message, "scale {scale}");
    }
    for scale in [0, MAX_SCALE + 1] {
        let error = encode_png(&message, scale).unwrap_err();
        assert_eq!(error.code(), "QR_SCALE");
    }
}

#[test]
fn a_still_code_holds_2331_bytes_and_not_one_more() {
    let message = noise(MAX_STILL + 1, 1);
    let code = |result: Result<Vec<u8>, QrError>| result.unwrap_err().code();
    assert_eq!(code(encode_png(&message, 1)), "QR_TOO_LARGE");
    assert_eq!(code(encode_png(b"", 1)), "QR_EMPTY");
    assert_eq!(code(encode_image(b"")), "QR_EMPTY");
    let long = vec![0; MAX_MESSAGE + 1];
    assert_eq!(code(encode_image(&long)), "QR_TOO_LARGE");
    encode_png(&message[1..], 1).unwrap();
}

#[test]
fn a_drawing_in_a_terminal_is_read_like_a_picture() {
    let message = noise(300, 1);
    let (width, height, pixels) = photograph(&terminal(&message).unwrap());
    assert_eq!(scan_luma(width, height, &pixels).unwrap(), message);
    let dark_on_light: Vec<u8> = pixels.iter().map(|pixel| 255 - pixel).collect();
    let read = scan_luma(width, height, &dark_on_light);
    assert_eq!(read.unwrap(), message);

    let mut collector = Collector::new();
    let message = noise(1000, 2);
    let done = terminal_frames(&message, 120).unwrap().any(|drawing| {
        let (width, height, pixels) = photograph(&drawing);
        let frame = scan_luma(width, height, &pixels).unwrap();
        collector.push(&frame).unwrap() == Progress::Done(message.clone())
    });
    assert!(done);
}

/// Half blocks as pixels, with some dark window around them.
fn photograph(drawing: &str) -> (u32, u32, Vec<u8>) {
    const SCALE: usize = 4;
    const MARGIN: usize = 8;
    let lines: Vec<Vec<char>> = drawing.lines().map(|line| line.chars().collect()).collect();
    let side = lines[0].len() * SCALE + 2 * MARGIN;
    let rows = lines.len() * 2 * SCALE + 2 * MARGIN;
    let mut pixels = vec![0; side * rows];
    for (y, line) in lines.iter().enumerate() {
        for (x, character) in line.iter().enumerate() {
            let halves = match character {
                '█' => [true, true],
                '▀' => [true, false],
                '▄' => [false, true],
                _ => [false, false],
            };
            for (half, light) in halves.into_iter().enumerate() {
                for at in 0..SCALE * SCALE {
                    let row = MARGIN + (2 * y + half) * SCALE + at / SCALE;
                    let column = MARGIN + x * SCALE + at % SCALE;
                    pixels[row * side + column] = if light { 255 } else { 0 };
                }
            }
        }
    }
    (side as u32, rows as u32, pixels)
}

#[test]
fn colour_and_transparency_are_read_as_they_look() {
    let message = noise(60, 1);
    let grid = Grid::new(&message).unwrap();
    let side = grid.side(4) * 4;
    let dark = |at: u32| grid.is_dark(at % side / 4, at / side / 4, 4);
    let pixels = |ink: &[u8], paper: &[u8]| -> Vec<u8> {
        let pixel = |at| if dark(at) { ink } else { paper };
        (0..side * side).flat_map(pixel).copied().collect()
    };
    let (rgb, rgba) = (png::ColorType::Rgb, png::ColorType::Rgba);
    let grey_alpha = png::ColorType::GrayscaleAlpha;
    for (color, samples) in [
        (rgb, pixels(&[0, 0, 120], &[255, 240, 200])),
        (rgba, pixels(&[0, 0, 0, 255], &[0, 0, 0, 0])),
        (grey_alpha, pixels(&[0, 255], &[0, 0])),
    ] {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(color);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&samples).unwrap();
        writer.finish().unwrap();
        assert_eq!(decode_png(&file).unwrap(), message, "{color:?}");
    }
}

#[test]
fn what_is_not_a_code_is_told_apart() {
    let code = |file: &[u8]| decode_image(file).unwrap_err().code();
    assert_eq!(code(b""), "QR_PICTURE");
    assert_eq!(code(b"not a picture"), "QR_PICTURE");
    let good = encode_png(&noise(100, 1), 2).unwrap();
    assert_eq!(code(&good[..good.len() / 2]), "QR_PICTURE");
    assert_eq!(code(&vec![0; MAX_PICTURE_BYTES + 1]), "QR_PICTURE_TOO_LARGE");
    let blank = scan_luma(100, 100, &[255; 10_000]).unwrap_err();
    assert_eq!(blank.code(), "QR_NO_CODE");
    for (width, height) in [(0, 0), (1, 3), (100, 99)] {
        let error = scan_luma(width, height, &[0; 10_000]).unwrap_err();
        assert_eq!(error.code(), "QR_PICTURE");
    }
    let error = scan_luma(u32::MAX, u32::MAX, &[]).unwrap_err();
    assert_eq!(error.code(), "QR_PICTURE_TOO_LARGE");
}

#[test]
fn a_header_that_announces_a_huge_picture_is_refused_before_any_pixel() {
    let mut file = encode_png(b"small", 1).unwrap();
    let header = 12..29;
    file[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    file[20..24].copy_from_slice(&100_000_u32.to_be_bytes());
    let checksum = crc32(&file[header]);
    file[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(decode_image(&file).unwrap_err(), QrError::PictureTooLarge);
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let table = |byte: u32| {
        (0..8).fold(byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ table((crc ^ u32::from(byte)) & 0xff))
}

#[test]
fn a_code_of_text_is_not_taken_for_bytes() {
    let segments =
        [qrcodegen::QrSegment::make_numeric("12345"), qrcodegen::QrSegment::make_bytes(b"bytes")];
    for segments in [&segments[..1], &segments[..]] {
        let level = qrcodegen::QrCodeEcc::Medium;
        let code = qrcodegen::QrCode::encode_segments(segments, level).unwrap();
        let side = (code.size() + 8) * 4;
        let pixels: Vec<u8> = (0..side * side)
            .map(|at| {
                let (x, y) = (at % side / 4 - 4, at / side / 4 - 4);
                if code.get_module(x, y) { 0 } else { 255 }
            })
            .collect();
        let error = scan_luma(side as u32, side as u32, &pixels).unwrap_err();
        assert_eq!(error.code(), "QR_NOT_BYTES");
    }
}

#[test]
fn a_loop_with_three_frames_in_ten_lost_gives_the_message() {
    for size in SIZES {
        for frame_size in [250, FRAME_BYTES] {
            let message = noise(size, 3);
            let frames = Frames::new(&message, frame_size).unwrap();
            let needed = frames.needed();
            let mut collector = Collector::new();
            let mut received = 0;
            let luck = noise(2 * needed + 100, 4);
            let result = frames.zip(luck).find_map(|(frame, luck)| {
                assert_eq!(frame.len(), frame_size);
                if luck < 77 {
                    return None;
                }
                received += 1;
                match collector.push(&frame).unwrap() {
                    Progress::Done(message) => Some(message),
                    Progress::Partial { .. } => None,
                }
            });
            assert_eq!(result.unwrap(), message, "{size} bytes");
            assert!(received <= needed + 3, "{received} of {needed}");
        }
    }
}

#[test]
fn a_loop_of_pictures_with_some_spoiled_gives_the_message() {
    let message = noise(3000, 5);
    let frames = Frames::new(&message, FRAME_BYTES).unwrap();
    let shown = frames.loop_length();
    let grids: Vec<Grid> = frames
        .take(shown)
        .enumerate()
        .map(|(at, frame)| match at % 4 {
            0 => Grid::new(&noise(FRAME_BYTES, at as u64)).unwrap(),
            _ => Grid::new(&frame).unwrap(),
        })
        .collect();
    let file = picture::encode(&grids, 2).unwrap();
    assert_eq!(decode_image(&file).unwrap(), message);
    let too_few = picture::encode(&grids[..4], 2).unwrap();
    let expected = QrError::Incomplete { received: 3, needed: 7 };
    assert_eq!(decode_image(&too_few).unwrap_err(), expected);
    let strangers = [Grid::new(b"a").unwrap(), Grid::new(b"b").unwrap()];
    let file = picture::encode(&strangers, 2).unwrap();
    assert_eq!(decode_image(&file).unwrap_err().code(), "QR_NO_CODE");
}

#[test]
fn frames_of_another_message_are_set_aside() {
    let (one, two) = (noise(2000, 1), noise(2000, 2));
    let mut collector = Collector::new();
    let mut others = Frames::new(&two, 300).unwrap();
    let mut result = None;
    for frame in Frames::new(&one, 300).unwrap().take(20) {
        if let Progress::Done(message) = collector.push(&frame).unwrap() {
            result = Some(message);
            break;
        }
        let other = others.next().unwrap();
        let error = collector.push(&other).unwrap_err();
        assert_eq!(error.code(), "QR_OTHER_TRANSFER");
        let other_size = Frames::new(&one, 301).unwrap().next().unwrap();
        assert_eq!(collector.push(&other_size).unwrap_err(), QrError::OtherTransfer);
    }
    assert_eq!(result.unwrap(), one);
}

#[test]
fn repeated_frames_count_once_and_a_finished_collector_stays_finished() {
    let message = noise(1000, 1);
    let frames: Vec<_> = Frames::new(&message, 250).unwrap().take(5).collect();
    let mut collector = Collector::new();
    for _ in 0..50 {
        let (received, needed) = (1, 5);
        let expected = Progress::Partial { received, needed };
        assert_eq!(collector.push(&frames[0]).unwrap(), expected);
    }
    for frame in &frames[1..4] {
        collector.push(frame).unwrap();
    }
    let done = Progress::Done(message);
    assert_eq!(collector.push(&frames[4]).unwrap(), done);
    assert_eq!(collector.push(&frames[0]).unwrap(), done);
}

#[test]
fn altered_frames_never_give_another_message() {
    let message = noise(1000, 1);
    let mut collector = Collector::new();
    let mut last = None;
    for (at, mut frame) in Frames::new(&message, 250).unwrap().take(5).enumerate() {
        if at == 2 {
            frame[100] ^= 1;
        }
        last = Some(collector.push(&frame));
    }
    assert_eq!(last, Some(Err(QrError::Corrupt)));
    for frame in Frames::new(&message, 250).unwrap().take(5) {
        last = Some(collector.push(&frame));
    }
    assert_eq!(last, Some(Ok(Progress::Done(message))));
}

#[test]
fn frames_of_a_wrong_shape_are_refused() {
    let message = noise(1000, 1);
    let good = Frames::new(&message, 250).unwrap().next().unwrap();
    assert!(is_frame(&good));
    let with = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] = value;
        frame
    };
    let (format, length, symbol) = (0, 1, 5);
    let no_length = [&good[..1], &[0, 0, 0], &good[4..]].concat();
    for bad in [
        with(format, 0),
        with(length, 0xff),
        with(symbol, 0),
        no_length,
        good[..249].to_vec(),
        good[..10].to_vec(),
        vec![],
        [&good[..], &[0]].concat(),
    ] {
        assert!(!is_frame(&bad));
        let error = Collector::new().push(&bad).unwrap_err();
        assert_eq!(error.code(), "QR_NOT_A_FRAME");
    }
    for size in [0, MIN_FRAME - 1, MAX_STILL + 1] {
        let error = Frames::new(&message, size).unwrap_err();
        assert_eq!(error.code(), "QR_FRAME_SIZE");
    }
    let long = noise(100_000, 1);
    let error = Frames::new(&long, MIN_FRAME).unwrap_err();
    assert_eq!(error.code(), "QR_TOO_LARGE");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_survive_a_still_code(message in proptest::collection::vec(any::<u8>(), 1..400)) {
        let picture = encode_png(&message, 2).unwrap();
        prop_assert_eq!(decode_png(&picture).unwrap(), message);
    }

    #[test]
    fn any_order_and_loss_of_frames_gives_the_message_or_asks_for_more(
        message in proptest::collection::vec(any::<u8>(), 1..3000),
        order in proptest::collection::vec(0..60_usize, 0..120),
    ) {
        let frames: Vec<_> = Frames::new(&message, 100).unwrap().take(60).collect();
        let mut collector = Collector::new();
        for at in order {
            if let Progress::Done(result) = collector.push(&frames[at]).unwrap() {
                prop_assert_eq!(result, message);
                break;
            }
        }
    }

    #[test]
    fn no_frame_bytes_make_a_collector_fail_otherwise_than_by_an_error(
        frames in proptest::collection::vec(
            (1..200_u32, 15..40_usize, any::<u32>(), any::<u8>()), 0..60),
    ) {
        let mut collector = Collector::new();
        for (length, symbol, id, fill) in frames {
            let mut frame = vec![0xa7];
            frame.extend_from_slice(&length.to_be_bytes()[1..]);
            frame.extend_from_slice(&(symbol as u16).to_be_bytes());
            frame.extend_from_slice(&[0; 8]);
            frame.extend_from_slice(&id.to_be_bytes()[1..]);
            frame.resize(17 + symbol, fill);
            let _ = collector.push(&frame);
        }
    }

    #[test]
    fn no_file_makes_reading_fail_otherwise_than_by_an_error(
        at in 0..400_usize, value: u8, cut in 0..400_usize,
    ) {
        let mut file = encode_png(b"message", 2).unwrap();
        let at = at % file.len();
        file[at] = value;
        let _ = decode_image(&file);
        let _ = decode_image(&file[..cut % file.len()]);
    }
}
