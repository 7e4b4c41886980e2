use proptest::prelude::*;

use super::*;
use crate::testing::{START, entry, genesis, word};

fn block(entries: Vec<Entry>) -> Block {
    let genesis = genesis();
    let root = Digest::new(word(3));
    Block::new(genesis.header(), genesis.hash(), root, START.plus(1), entries).expect("small")
}

#[test]
fn a_block_decodes_to_itself_and_is_as_long_as_it_says() {
    for entries in
        [vec![], vec![entry(&[1], 1)], (0..300).map(|i| entry(&[i, 1000 + i], i)).collect()]
    {
        let block = block(entries);
        let bytes = block.encode();
        assert_eq!(bytes.len(), block.size());
        let decoded = Block::decode(&bytes).expect("its own encoding");
        assert_eq!(decoded, block);
        assert_eq!(decoded.header(), block.header());
        assert_eq!(decoded.entries(), block.entries());
        assert_eq!(decoded.encode(), bytes);
        for (entry, at) in block.entries().iter().zip(block.offsets()) {
            assert!(bytes[at..].starts_with(entry.as_bytes()));
        }
    }
}

#[test]
fn a_header_is_as_short_as_its_limit_says() {
    let far = Header {
        height: u64::MAX,
        time: Time::from_unix(u64::MAX),
        count: u64::MAX,
        ..block(vec![]).header().clone()
    };
    let mut w = Writer::new();
    far.write(&mut w);
    assert!(w.into_bytes().len() + 6 <= MAX_HEADER_BYTES);
}

#[test]
fn a_block_whose_header_names_other_batches_does_not_decode() {
    let (one, two) = (block(vec![entry(&[1], 1)]), block(vec![entry(&[2], 1)]));
    let (one, two) = (one.encode(), two.encode());
    assert_eq!(one.len(), two.len());
    let header = 1 + encoded_size(block(vec![]).header(), &[]) - 2;
    let mixed = [&one[..header], &two[header..]].concat();
    assert_eq!(Block::decode(&mixed), Err(DecodeError::OutOfRange));
}

#[test]
fn the_order_of_batches_is_part_of_a_blocks_name() {
    let (one, two) = (entry(&[1], 1), entry(&[2], 2));
    assert_ne!(block(vec![one.clone(), two.clone()]).hash(), block(vec![two, one]).hash());
}

#[test]
fn networks_with_other_validators_have_other_chains() {
    let other = Block::genesis(Digest::new([8; 32]), START);
    assert_ne!(other.hash(), genesis().hash());
}

#[test]
fn more_requests_than_a_block_may_have_make_no_block() {
    let one = entry(&[1], 1);
    let many = vec![one; MAX_BLOCK_REQUESTS + 1];
    let genesis = genesis();
    let made = Block::new(genesis.header(), genesis.hash(), genesis.header().root, START, many);
    assert_eq!(made, Err(DecodeError::TooLarge));
}

proptest! {
    #[test]
    fn spoilt_bytes_never_panic_and_have_one_encoding(at in 0usize..700, to: u8) {
        let mut bytes = block(vec![entry(&[1, 2], 1), entry(&[3], 2)]).encode();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(block) = Block::decode(&bytes) {
            prop_assert_eq!(block.encode(), bytes);
        }
    }

    #[test]
    fn every_cut_of_a_block_is_an_error(cut in 0usize..700) {
        let bytes = block(vec![entry(&[1, 2], 1)]).encode();
        let cut = cut % bytes.len();
        prop_assert!(Block::decode(&bytes[..cut]).is_err());
    }
}
