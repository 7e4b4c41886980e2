use std::collections::BTreeMap;
use tally_tree::{CertificateError, Digest, ExclusionCertificate, InclusionCertificate};
use tally_tree::{Key, MAX_CERTIFICATE_BYTES, Tree, Value};

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
