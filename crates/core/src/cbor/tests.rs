use super::*;
use alloc::vec;
use proptest::prelude::*;

#[derive(Debug, PartialEq, Clone)]
struct Pair {
    left: u64,
    right: Option<[u8; 2]>,
}
record!(Pair { left, right });

#[test]
fn a_record_is_an_array_of_its_fields() {
    let pair = Pair { left: 1, right: Some([7, 8]) };
    assert_eq!(to_bytes(&pair), [0x82, 0x01, 0x42, 7, 8]);
    assert_eq!(from_bytes::<Pair>(&[0x82, 0x01, 0x42, 7, 8]), Ok(pair));
    assert_eq!(from_bytes::<Pair>(&[0x82, 0x01, 0xf6]), Ok(Pair { left: 1, right: None }));
}

#[test]
fn each_deviation_from_the_canonical_form_has_its_error() {
    let cases: &[(&[u8], DecodeError)] = &[
        (&[], DecodeError::Truncated),
        (&[0x82, 0x01], DecodeError::Truncated),
        (&[0x82, 0x01, 0x42, 7], DecodeError::Truncated),
        (&[0x82, 0x01, 0xf6, 0x00], DecodeError::Trailing),
        (&[0x82, 0x18, 0x01, 0xf6], DecodeError::NotShortest),
        (&[0x98, 0x02, 0x01, 0xf6], DecodeError::NotShortest),
        (&[0x82, 0x01, 0x58, 0x02, 7, 8], DecodeError::NotShortest),
        (&[0x9f, 0x01, 0xf6, 0xff], DecodeError::NotShortest),
        (&[0x82, 0x01, 0x5f, 0x42, 7, 8, 0xff], DecodeError::NotShortest),
        (&[0x82, 0x20, 0xf6], DecodeError::WrongType),
        (&[0x82, 0x01, 0x61, 0x61], DecodeError::WrongType),
        (&[0x82, 0x01, 0xf7], DecodeError::WrongType),
        (&[0x81, 0x01], DecodeError::WrongLength),
        (&[0x83, 0x01, 0xf6, 0xf6], DecodeError::WrongLength),
        (&[0x82, 0x01, 0x41, 7], DecodeError::WrongLength),
        (&[0x82, 0x01, 0x43, 7, 8, 9], DecodeError::TooLarge),
    ];
    for (bytes, error) in cases {
        assert_eq!(from_bytes::<Pair>(bytes), Err(*error), "{bytes:02x?}");
    }
}

#[test]
fn lists_and_blobs_keep_their_limits() {
    assert_eq!(from_bytes::<List<u64, 2>>(&[0x82, 1, 2]).map(List::into_vec), Ok(vec![1, 2]));
    assert_eq!(from_bytes::<List<u64, 2>>(&[0x83, 1, 2, 3]), Err(DecodeError::TooLarge));
    assert_eq!(from_bytes::<Blob<1>>(&[0x42, 1, 2]), Err(DecodeError::TooLarge));
    assert_eq!(List::<u64, 1>::new(vec![1, 2]), Err(DecodeError::TooLarge));
    assert_eq!(Blob::<1>::new(vec![1, 2]), Err(DecodeError::TooLarge));
    // A claimed length far beyond the input allocates nothing.
    let huge = [0x9b, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(from_bytes::<List<u64, 2>>(&huge), Err(DecodeError::TooLarge));
    assert_eq!(from_bytes::<u64>(&vec![0; MAX_OBJECT + 1]), Err(DecodeError::TooLarge));
}

#[test]
fn maps_need_ascending_distinct_keys() {
    let read = |bytes: &[u8]| Reader::new(bytes).map(4, Reader::uint, Reader::uint);
    assert_eq!(read(&[0xa2, 1, 9, 2, 9]), Ok(vec![(1, 9), (2, 9)]));
    assert_eq!(read(&[0xa2, 2, 9, 1, 9]), Err(DecodeError::Unsorted));
    assert_eq!(read(&[0xa2, 1, 9, 1, 9]), Err(DecodeError::Unsorted));
    assert_eq!(read(&[0xa5, 1, 9, 2, 9]), Err(DecodeError::TooLarge));
}

#[test]
fn nesting_stops_at_its_limit() {
    fn dive(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
        r.record(1, dive)
    }
    let bytes = vec![0x81; 1000];
    assert_eq!(dive(&mut Reader::new(&bytes)), Err(DecodeError::TooLarge));
}

#[test]
fn tags_are_compared_for_equality() {
    let read = |bytes: &[u8]| Reader::new(bytes).tagged(39032, Reader::uint);
    assert_eq!(read(&[0xd9, 0x98, 0x78, 5]), Ok(5));
    assert_eq!(read(&[0xd9, 0x98, 0x79, 5]), Err(DecodeError::Unknown));
    assert_eq!(read(&[0xda, 0, 0, 0x98, 0x78, 5]), Err(DecodeError::NotShortest));
    assert_eq!(read(&[5]), Err(DecodeError::WrongType));
}

proptest! {
    #[test]
    fn any_object_survives_the_round_trip(left: u64, right: Option<[u8; 2]>) {
        let pair = Pair { left, right };
        prop_assert_eq!(from_bytes::<Pair>(&to_bytes(&pair)), Ok(pair));
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
        if let Ok(pair) = from_bytes::<Pair>(&bytes) {
            prop_assert_eq!(to_bytes(&pair), bytes);
        }
    }
}
