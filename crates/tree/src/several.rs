//! The root after several leaves of one tree are given new values.

use crate::certificate::{CertificateError, InclusionCertificate};
use crate::hash::{leaf_hash, node_hash};
use crate::types::{Digest, Key, Value};
use alloc::vec::Vec;

/// One leaf that is replaced: what it holds, what it will hold, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    /// The leaf's key.
    pub key: Key,
    /// The value that it has under the root.
    pub old: Value,
    /// The value that it is given.
    pub new: Value,
    /// Its place under the root.
    pub path: &'a InclusionCertificate,
}

/// The root after all of `leaves` are replaced, each of which is shown to be under `root`; nothing
/// else changes (TREE-14).
///
/// Where two paths meet, the sibling that one certificate states is the node on the other's way; it
/// is computed anew and the stated one is not used.
///
/// # Errors
/// [`CertificateError::RootMismatch`] if a certificate does not show its leaf under `root`, and
/// [`CertificateError::KeyPresent`] if two replacements have one key.
pub fn replaced_root(
    root: &Digest,
    leaves: &[Replacement<'_>],
) -> Result<Digest, CertificateError> {
    let mut branches = Vec::with_capacity(leaves.len());
    for (i, leaf) in leaves.iter().enumerate() {
        if leaves[..i].iter().any(|other| other.key == leaf.key) {
            return Err(CertificateError::KeyPresent);
        }
        leaf.path.verify(root, &leaf.key, &leaf.old)?;
        branches.push(Branch { leaf, depths: leaf.path.depths() });
    }
    match branches.as_slice() {
        [] => Ok(*root),
        branches => join(branches, 0).ok_or(CertificateError::RootMismatch),
    }
}

struct Branch<'a> {
    leaf: &'a Replacement<'a>,
    depths: Vec<u8>,
}

/// The new hash of the node at which all of `branches` pass, `level` nodes below the root.
fn join(branches: &[Branch<'_>], level: usize) -> Option<Digest> {
    let [first, rest @ ..] = branches else { return None };
    if rest.is_empty() && first.depths.len() == level {
        return Some(leaf_hash(&first.leaf.key, &first.leaf.new));
    }
    let depth = *first.depths.get(level)?;
    let sibling = *first.leaf.path.siblings().get(level)?;
    // Branches that share a node share its depth, unless the hash has a collision.
    if rest.iter().any(|branch| branch.depths.get(level) != Some(&depth)) {
        return None;
    }
    let child = |side: usize| {
        let below: Vec<Branch<'_>> = branches
            .iter()
            .filter(|branch| branch.leaf.key.side(depth) == side)
            .map(|branch| Branch { leaf: branch.leaf, depths: branch.depths.clone() })
            .collect();
        if below.is_empty() { Some(sibling) } else { join(&below, level + 1) }
    };
    let (left, right) = (child(0)?, child(1)?);
    Some(node_hash(depth, &first.leaf.key, &left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;
    use proptest::prelude::*;

    fn leaf(n: u16) -> (Key, Value) {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&n.reverse_bits().to_be_bytes());
        (Key::from(key), Value::from([1; 32]))
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_tree_with_the_leaves_replaced(
            size in 1u16..200,
            picks in proptest::collection::btree_set(0u16..200, 0..8),
        ) {
            let mut tree = Tree::new();
            for (key, value) in (0..size).map(leaf) {
                tree.insert(key, value).expect("distinct keys");
            }
            let new = Value::from([9; 32]);
            let picks: Vec<_> = picks.into_iter().filter(|n| *n < size).map(leaf).collect();
            let paths: Vec<_> = picks.iter().map(|(key, _)| tree.prove(key).expect("present")).collect();
            let replacements: Vec<_> = picks
                .iter()
                .zip(&paths)
                .map(|((key, old), path)| Replacement { key: *key, old: *old, new, path })
                .collect();
            let stated = replaced_root(&tree.root(), &replacements);
            for (key, _) in &picks {
                tree.replace(key, new).expect("present");
            }
            prop_assert_eq!(stated, Ok(tree.root()));
        }
    }

    #[test]
    fn a_leaf_that_is_not_under_the_root_is_refused() {
        let mut tree = Tree::new();
        let ((a, value), (b, _)) = (leaf(1), leaf(2));
        tree.insert(a, value).expect("distinct keys");
        tree.insert(b, value).expect("distinct keys");
        let path = tree.prove(&a).expect("present");
        let of = |key, old| Replacement { key, old, new: value, path: &path };
        let root = tree.root();
        let wrong = Value::from([3; 32]);
        assert_eq!(replaced_root(&root, &[of(a, wrong)]), Err(CertificateError::RootMismatch));
        assert_eq!(replaced_root(&root, &[of(b, value)]), Err(CertificateError::RootMismatch));
        let twice = [of(a, value), of(a, value)];
        assert_eq!(replaced_root(&root, &twice), Err(CertificateError::KeyPresent));
        assert_eq!(replaced_root(&root, &[]), Ok(root));
    }
}
