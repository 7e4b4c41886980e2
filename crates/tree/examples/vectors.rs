//! Writes the test vectors of `spec/tree.md` to standard output.
//!
//! `cargo run -p tally-tree --example vectors > spec/vectors/tree.json`
//!
//! What each vector must give is stated here by hand; the tests check that the crate agrees.

use serde_json::{Value as Json, json};
use std::error::Error;
use std::io::Write;
use tally_tree::{Digest, Key, Tree, Value, leaf_hash, node_hash};

type Leaf = (Key, Value);

fn main() -> Result<(), Box<dyn Error>> {
    let vectors = json!({
        "about": "spec/tree.md; all bytes in hexadecimal; expect is ok or the stable code of the refusal",
        "trees": trees()?,
        "inclusion": inclusion()?,
        "exclusion": exclusion()?,
        "consistency": consistency()?,
    });
    writeln!(std::io::stdout(), "{vectors:#}")?;
    Ok(())
}

/// A key of one byte followed by zeros, and a value of 32 equal bytes.
fn leaf(first: u8, value: u8) -> Leaf {
    (key(first), Value::from([value; 32]))
}

fn key(first: u8) -> Key {
    let mut bytes = [0; 32];
    bytes[0] = first;
    Key::from(bytes)
}

fn tree(leaves: &[Leaf]) -> Result<Tree, Box<dyn Error>> {
    let mut tree = Tree::new();
    tree.insert_batch(leaves)?;
    Ok(tree)
}

/// Five leaves: 00 and 01 part at bit 7, both from 40 at bit 1, 80 from c0 at bit 1, all at bit 0.
fn five() -> Vec<Leaf> {
    [(0x00, 1), (0x01, 2), (0x40, 3), (0x80, 4), (0xc0, 5)].map(|(k, v)| leaf(k, v)).to_vec()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(leaves: &[Leaf]) -> Json {
    leaves.iter().map(|(key, value)| json!([hex(key), hex(value)])).collect()
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

fn trees() -> Result<Vec<Json>, Box<dyn Error>> {
    let last_bit = |last: u8| {
        let mut key = [0xff; 32];
        key[31] = last;
        (Key::from(key), Value::from([last; 32]))
    };
    let spread: Vec<_> = (0..100)
        .map(|i| {
            let (key, value) = (Key::from([i; 32]), Value::from([i; 32]));
            (Key::from(*leaf_hash(&key, &value).as_bytes()), value)
        })
        .collect();
    [
        ("no leaf", vec![]),
        ("one leaf: its hash is the root", five()[..1].to_vec()),
        ("two leaves that part at the first bit", vec![leaf(0x00, 1), leaf(0x80, 2)]),
        ("two leaves that part at the last bit", vec![last_bit(0xfe), last_bit(0xff)]),
        ("five leaves", five()),
        ("a hundred leaves", spread),
    ]
    .into_iter()
    .map(|(name, leaves)| {
        let root = hex(tree(&leaves)?.root());
        Ok(json!({ "name": name, "leaves": list(&leaves), "root": root }))
    })
    .collect()
}

fn inclusion() -> Result<Vec<Json>, Box<dyn Error>> {
    let (tree, (key, value)) = (tree(&five())?, leaf(0x01, 2));
    let (root, good) = (tree.root(), tree.prove(&key).ok_or("present")?.encode());
    let vector =
        |name: &str, root: &Digest, (key, value): Leaf, certificate: &[u8], expect: &str| {
            json!({
                "name": name, "root": hex(root), "key": hex(key), "value": hex(value),
                "certificate": hex(certificate), "expect": expect,
            })
        };
    let (mismatch, length) = ("CERTIFICATE_ROOT_MISMATCH", "CERTIFICATE_LENGTH");
    let alone = leaf_hash(&key, &value);
    let mut swapped = good.clone();
    swapped[32..96].rotate_left(32);
    Ok(vec![
        vector("a leaf at depth 7", &root, (key, value), &good, "ok"),
        vector("the only leaf", &alone, (key, value), &[0; 32], "ok"),
        vector("another value", &root, leaf(0x01, 3), &good, mismatch),
        vector("another key", &root, leaf(0x02, 2), &good, mismatch),
        vector("another root", &alone, (key, value), &good, mismatch),
        vector("a changed sibling", &root, (key, value), &changed(&good, 40), mismatch),
        vector("two siblings swapped", &root, (key, value), &swapped, mismatch),
        vector("a depth more than siblings", &root, (key, value), &changed(&good, 1), length),
        vector("a depth less than siblings", &root, (key, value), &changed(&good, 0), length),
        vector("a sibling missing", &root, (key, value), &good[..good.len() - 32], length),
        vector("a sibling more", &root, (key, value), &[&good[..], &[0; 32]].concat(), length),
        vector("half a sibling", &root, (key, value), &good[..good.len() - 16], length),
        vector("no bytes", &root, (key, value), &[], length),
    ])
}

fn exclusion() -> Result<Vec<Json>, Box<dyn Error>> {
    let (tree, absent) = (tree(&five())?, key(0x41));
    let (root, good) = (tree.root(), tree.prove_absence(&absent).ok_or("absent")?.encode());
    let off = tree.prove_absence(&key(0x20)).ok_or("absent")?.encode();
    let vector = |name: &str, root: &Digest, key: &Key, certificate: &[u8], expect: &str| {
        json!({
            "name": name, "root": hex(root), "key": hex(key),
            "certificate": hex(certificate), "expect": expect,
        })
    };
    let (mismatch, length) = ("CERTIFICATE_ROOT_MISMATCH", "CERTIFICATE_LENGTH");
    let present = "CERTIFICATE_KEY_PRESENT";
    Ok(vec![
        vector("an absent key beside a leaf", &root, &absent, &good, "ok"),
        vector("an absent key outside the last node's region", &root, &key(0x20), &off, "ok"),
        vector("the empty tree", &Digest::EMPTY, &absent, &[], "ok"),
        vector("nothing, for a tree that is not empty", &root, &absent, &[], mismatch),
        vector("a present key", &root, &key(0x40), &good, present),
        vector("a key on another way", &root, &key(0xc1), &good, "CERTIFICATE_WRONG_PATH"),
        vector("another root", &Digest::EMPTY, &absent, &good, mismatch),
        vector("a changed sibling", &root, &absent, &changed(&good, 40), mismatch),
        vector("a changed value", &root, &absent, &changed(&good, good.len() - 1), mismatch),
        vector("a changed leaf key", &root, &absent, &changed(&good, good.len() - 33), mismatch),
        vector("the leaf missing", &root, &absent, &good[..good.len() - 64], length),
        vector("a byte more", &root, &absent, &[&good[..], &[0]].concat(), length),
    ])
}

fn keep(hash: Digest) -> Vec<u8> {
    [&[0], hash.as_ref()].concat()
}

fn open((key, value): Leaf) -> Vec<u8> {
    [&[4], key.as_ref(), value.as_ref()].concat()
}

fn open_node(depth: u8, region: &Key, left: Digest, right: Digest) -> Vec<u8> {
    [&[3, depth], region.as_ref(), left.as_ref(), right.as_ref()].concat()
}

fn hash((key, value): Leaf) -> Digest {
    leaf_hash(&key, &value)
}

fn consistency() -> Result<Vec<Json>, Box<dyn Error>> {
    let mut vectors = honest()?;
    vectors.extend(tampered()?);
    vectors.extend(dishonest());
    Ok(vectors)
}

fn growth(
    name: &str,
    roots: [Digest; 2],
    batch: &[Leaf],
    proof: impl AsRef<[u8]>,
    expect: &str,
) -> Json {
    json!({
        "name": name, "before": hex(roots[0]), "after": hex(roots[1]), "batch": list(batch),
        "proof": hex(proof), "expect": expect,
    })
}

fn honest() -> Result<Vec<Json>, Box<dyn Error>> {
    let proved = |name: &str, before: &[Leaf], batch: &[Leaf]| {
        let mut tree = tree(before)?;
        let root = tree.root();
        let proof = tree.insert_batch_with_proof(batch)?;
        Ok(growth(name, [root, tree.root()], batch, proof.as_bytes(), "ok"))
    };
    let five = five();
    vec![
        proved("the first leaf", &[], &five[..1]),
        proved("the first five leaves", &[], &five),
        proved("a leaf beside a leaf", &five[1..], &five[..1]),
        proved("a leaf beside a node", &[five[0], five[1], five[3]], &[five[2]]),
        proved("three leaves in two places", &[five[1], five[3]], &[five[0], five[2], five[4]]),
        proved("no leaf", &five, &[]),
    ]
    .into_iter()
    .collect()
}

/// An honest proof, with something changed.
fn tampered() -> Result<Vec<Json>, Box<dyn Error>> {
    let five = five();
    let (old, batch) = ([five[1], five[3]], [five[0], five[2], five[4]]);
    let mut tree = tree(&old)?;
    let before = tree.root();
    let good = tree.insert_batch_with_proof(&batch)?.encode();
    let roots = [before, tree.root()];
    let with = |name: &str, batch: &[Leaf], proof: &[u8], expect: &str| {
        growth(name, roots, batch, proof, &format!("CONSISTENCY_{expect}"))
    };
    let end = good.len();
    let [a, b, c] = batch;
    let without_old = tree_root(&[five[0], five[2], five[3], five[4]])?;
    let wrong_after = [before, without_old];
    let wrong_before = [without_old, tree.root()];
    Ok(vec![
        growth("a leaf deleted", wrong_after, &batch, &good, "CONSISTENCY_ROOT_AFTER"),
        growth("another root before", wrong_before, &batch, &good, "CONSISTENCY_ROOT_BEFORE"),
        with("a changed value", &[a, leaf(0x40, 9), c], &good, "ROOT_AFTER"),
        with("a leaf too few", &[a, b], &good, "BATCH_LENGTH"),
        with("a leaf too many", &[a, b, c, leaf(0xc1, 6)], &good, "BATCH_LENGTH"),
        with("not sorted", &[b, a, c], &good, "BATCH_ORDER"),
        with("a key twice", &[a, a, b, c], &good, "BATCH_ORDER"),
        with("cut inside an instruction", &batch, &good[..end - 1], "MALFORMED"),
        with("cut between instructions", &batch, &good[..end - 2], "NOT_A_TREE"),
        with("an instruction more", &batch, &[&good[..], &[2, 0]].concat(), "NOT_A_TREE"),
        with("an unknown instruction", &batch, &[&good[..], &[5]].concat(), "MALFORMED"),
        with("another depth", &batch, &changed(&good, end - 1), "MISPLACED"),
        with("no proof", &batch, &[], "BATCH_LENGTH"),
    ])
}

fn tree_root(leaves: &[Leaf]) -> Result<Digest, Box<dyn Error>> {
    Ok(tree(leaves)?.root())
}

/// Proofs written by someone who wants a leaf gone, or found twice.
fn dishonest() -> Vec<Json> {
    let (old, new, again) = (leaf(0x00, 1), leaf(0x40, 2), leaf(0x00, 9));
    let before = hash(old);
    let misplaced = node_hash(0, &key(0), &hash(new), &hash(old));
    let twice = node_hash(7, &key(0), &hash(old), &hash(again));
    let two_regions = node_hash(1, &key(0), &hash(old), &hash(leaf(0xc0, 3)));
    let pair = node_hash(1, &key(0), &hash(old), &hash(new));
    let (added, inner) = (leaf(0x80, 4), leaf(0x60, 4));
    let over = node_hash(0, &key(0), &pair, &hash(added));
    let under = node_hash(1, &key(0), &pair, &hash(inner));
    let opened = open_node(1, &key(0), hash(old), hash(new));
    let loose = open_node(1, &key(0x40), hash(old), hash(new));
    let (joined_0, joined_1) = ([2u8, 0], [2u8, 1]);
    let refused = |name: &str, roots, batch: &[Leaf], proof: Vec<u8>, expect: &str| {
        growth(name, roots, batch, proof, &format!("CONSISTENCY_{expect}"))
    };
    let hidden = [&[1], &keep(before)[..], &joined_0].concat();
    let shown = [&[1], &open(old)[..], &joined_0].concat();
    let second = [&open(old)[..], &[1, 2, 7]].concat();
    let across = [&open(old)[..], &[1], &joined_1].concat();
    let same_depth = [&opened[..], &[1], &joined_1].concat();
    let loose_region = [&loose[..], &[1], &joined_0].concat();
    let opened_for_nothing = [&open(old)[..], &open(new), &joined_1, &[1], &joined_0].concat();
    vec![
        refused(
            "an old leaf hidden on the wrong side",
            [before, misplaced],
            &[new],
            hidden,
            "HIDDEN",
        ),
        refused("an old leaf on the wrong side", [before, misplaced], &[new], shown, "MISPLACED"),
        refused("a present key again", [before, twice], &[again], second, "MISPLACED"),
        refused(
            "a node over two regions",
            [before, two_regions],
            &[leaf(0xc0, 3)],
            across,
            "MISPLACED",
        ),
        refused(
            "a node above one of its own depth",
            [pair, under],
            &[inner],
            same_depth,
            "MISPLACED",
        ),
        refused("a region beyond its depth", [pair, over], &[added], loose_region, "MALFORMED"),
        refused("more opened than needed", [pair, over], &[added], opened_for_nothing, "REDUNDANT"),
        refused("a kept tree and no leaf", [before; 2], &[], keep(before), "REDUNDANT"),
        refused("258 subtrees waiting", [before; 2], &[], vec![1; 258], "NOT_A_TREE"),
    ]
}
