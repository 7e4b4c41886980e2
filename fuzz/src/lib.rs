//! Everything that reads bytes from a stranger, each behind `fn(&[u8])`.
//!
//! A target must hold for **any** input: it panics when a property is broken, and only then. To
//! add one, write the function in a file under `targets/` and name it in [`TARGETS`]; inputs worth
//! starting from go to `fuzz/seeds/NAME/`, one file each. Then run `scripts/fuzz.sh --seconds 60 NAME`.
#![forbid(unsafe_code)]

mod targets;

pub use targets::TARGETS;

/// One function that takes arbitrary bytes.
pub struct Target {
    /// Room and subject, as in `tree_inclusion`; also its folder under `fuzz/seeds`.
    pub name: &'static str,
    /// The longest input worth trying, in bytes: a little over the decoder's own limit.
    pub longest: usize,
    /// Takes the input; a panic is a finding.
    pub run: fn(&[u8]),
}

#[cfg(test)]
mod tests {
    use super::TARGETS;
    use std::path::Path;

    #[test]
    fn names_are_distinct_and_fit_a_folder() {
        for (at, target) in TARGETS.iter().enumerate() {
            assert!(TARGETS[..at].iter().all(|other| other.name != target.name), "{}", target.name);
            assert!(target.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        }
    }

    #[test]
    fn every_seed_belongs_to_a_target_and_passes() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
        for folder in std::fs::read_dir(seeds).expect("fuzz/seeds exists") {
            let folder = folder.expect("fuzz/seeds can be listed").path();
            let name = folder.file_name().and_then(|n| n.to_str()).expect("a plain name");
            let target = TARGETS
                .iter()
                .find(|t| t.name == name)
                .unwrap_or_else(|| panic!("fuzz/seeds/{name} has no target"));
            for seed in std::fs::read_dir(&folder).expect("a folder of seeds") {
                let path = seed.expect("a seed can be listed").path();
                (target.run)(&std::fs::read(path).expect("a seed can be read"));
            }
        }
    }
}
