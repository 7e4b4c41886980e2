use std::collections::BTreeMap;
use tally_tree::{CertificateError, ConsistencyProof, Digest, ExclusionCertificate};
use tally_tree::{InclusionCertificate, Key, MAX_CERTIFICATE_BYTES, Tree, Value};

/// What decodes is canonical, within its limit, and leads to exactly one root.
pub fn inclusion(bytes: &[u8]) {
    let Ok(certificate) = InclusionCertificate::decode(bytes) else {
        return;
    };
    assert!(bytes.len() <= MAX_CERTIFICATE_BYTES);
    assert_eq!(certificate.encode(), bytes);
    assert_eq!(certificate.encoded_len(), bytes.len());
    let (key, value) = (Key::from([0x5a; 32]), Value::from([1; 32]));
    let root = certificate.root(&key, &value);
    assert_eq!(certificate.verify(&root, &key, &value), Ok(()));
    let other = Value::from([2; 32]);
    assert_eq!(certificate.verify(&root, &key, &other), Err(CertificateError::RootMismatch));
}

/// What decodes is canonical and never excludes the key that it shows.
pub fn exclusion(bytes: &[u8]) {
    let Ok(certificate) = ExclusionCertificate::decode(bytes) else {
        return;
    };
    assert!(bytes.len() <= MAX_CERTIFICATE_BYTES);
    assert_eq!(certificate.encode(), bytes);
    assert_eq!(certificate.encoded_len(), bytes.len());
    let verdict = certificate.verify(&Digest::EMPTY, &Key::from([0x5a; 32]));
    match certificate.found() {
        None => assert_eq!(verdict, Ok(())),
        Some((key, _)) => {
            assert!(verdict.is_err());
            let shown = certificate.verify(&Digest::EMPTY, &key);
            assert_eq!(shown, Err(CertificateError::KeyPresent));
        }
    }
}

/// What decodes is canonical, and shows nothing of roots that it does not hash to.
pub fn consistency(bytes: &[u8]) {
    let Ok(proof) = ConsistencyProof::decode(bytes) else { return };
    assert_eq!(proof.encode(), bytes);
    let batch: Vec<(Key, Value)> =
        (0..4).map(|at| (key_at(0, at << 6), Value::from([at; 32]))).collect();
    let roots = [Digest::EMPTY, Digest::from([0x5a; 32])];
    for some in (0..=batch.len()).map(|n| &batch[..n]) {
        let verdict = proof.verify(&roots[0], &roots[1], some);
        assert!(verdict.is_err(), "no proof leads to a root that nobody computed");
    }
}

/// The honest proof of growth is accepted, and no other proof of the same growth is. The input is
/// leaves that were there, leaves that are added, and an edit of the proof.
pub fn growth(bytes: &[u8]) {
    let Some((&[counts, at_high, at_low, with], rest)) = bytes.split_first_chunk() else { return };
    let mut leaves = BTreeMap::new();
    for &[depth, bits, value] in rest.as_chunks::<3>().0 {
        leaves.entry(key_at(depth, bits)).or_insert(Value::from([value; 32]));
    }
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (place, leaf) in leaves.into_iter().enumerate() {
        if counts >> (place % 8) & 1 == 0 { old.push(leaf) } else { new.push(leaf) }
    }
    let mut tree = Tree::new();
    tree.insert_batch(&old).expect("the keys of a map are distinct");
    let before = tree.root();
    let proof = tree.insert_batch_with_proof(&new).expect("the new keys are not the old ones");
    assert_eq!(proof.verify(&before, &tree.root(), &new), Ok(()));

    let mut edited = proof.encode();
    let at = usize::from(u16::from_be_bytes([at_high, at_low]));
    match edited.get_mut(at) {
        Some(byte) => *byte ^= with.max(1),
        None => edited.push(with),
    }
    if let Ok(edited) = ConsistencyProof::decode(&edited) {
        assert!(edited.verify(&before, &tree.root(), &new).is_err());
    }
}

/// A tree does what a map does, proves what it holds and what it does not, and its root depends on
/// nothing but its leaves. Each operation is three bytes: what to do, where, and with which value.
pub fn operations(bytes: &[u8]) {
    let (mut tree, mut map) = (Tree::new(), BTreeMap::new());
    for &[what, at, with] in bytes.as_chunks::<3>().0 {
        let (key, value) = (key_at(what >> 2, at), Value::from([with; 32]));
        match what & 3 {
            0 => {
                assert_eq!(tree.insert(key, value).is_ok(), !map.contains_key(&key));
                map.entry(key).or_insert(value);
            }
            1 => {
                assert_eq!(tree.replace(&key, value).ok(), map.get(&key).copied());
                map.entry(key).and_modify(|held| *held = value);
            }
            _ => prove(&tree, &key, map.get(&key)),
        }
    }
    let leaves: Vec<(Key, Value)> = map.into_iter().collect();
    assert_eq!(tree.iter().collect::<Vec<_>>(), leaves);
    let mut again = Tree::new();
    again.insert_batch(&leaves).expect("the keys of a map are distinct");
    assert_eq!(again.root(), tree.root());
}

/// Keys that part from each other at every depth: `depth` chooses the byte in which `bits` stand.
fn key_at(depth: u8, bits: u8) -> Key {
    let mut bytes = [0; 32];
    bytes[usize::from(depth) % 32] = bits;
    Key::from(bytes)
}

fn prove(tree: &Tree, key: &Key, held: Option<&Value>) {
    let (included, excluded) = (tree.prove(key), tree.prove_absence(key));
    match held {
        Some(value) => {
            assert_eq!(excluded, None);
            let certificate = included.expect("a leaf that is there is proved");
            assert_eq!(certificate.verify(&tree.root(), key, value), Ok(()));
            let read = InclusionCertificate::decode(&certificate.encode());
            assert_eq!(read.as_ref(), Ok(&certificate));
        }
        None => {
            assert_eq!(included, None);
            let certificate = excluded.expect("a leaf that is not there is proved absent");
            assert_eq!(certificate.verify(&tree.root(), key), Ok(()));
            let read = ExclusionCertificate::decode(&certificate.encode());
            assert_eq!(read.as_ref(), Ok(&certificate));
        }
    }
}
