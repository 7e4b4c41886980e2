//! The rules of `spec/` have one number each, and whoever cites a rule cites one that is there.
//!
//! A rule is stated where its number opens bold text (`**TX-1.**`, `**TX-1, name.**`), and cited by its
//! number anywhere else.

use crate::hygiene::is_foreign;
use crate::{Outcome, workspace};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of files in which a rule may be cited.
const CITING: &[&str] = &["rs", "md", "mjs", "patch", "sh", "toml"];

/// A rule's number, such as `TX-1`.
type Rule = String;

/// Check the numbers of all rules, and all citations of them.
pub fn run() -> Outcome {
    let listed = workspace::output_of("git", &["ls-files", "-z", "--cached"])?;
    let files: Vec<(&str, String)> = listed
        .split('\0')
        .filter(|path| CITING.iter().any(|end| path.ends_with(&format!(".{end}"))))
        .filter(|path| !is_foreign(path))
        .filter_map(|path| {
            Some((path, std::fs::read_to_string(workspace::root().join(path)).ok()?))
        })
        .collect();
    let (stated, mut faults) = stated(files.iter().map(|(path, text)| (*path, text.as_str())));
    let mut count = 0;
    for (path, text) in &files {
        let (cited, unknown) = citations(&stated, path, text);
        count += cited;
        faults.extend(unknown);
    }
    if stated.is_empty() {
        faults.push("spec/ states no rule".into());
    }
    if faults.is_empty() {
        Ok(format!("{} rules, cited {count} times", stated.len()))
    } else {
        Err(faults)
    }
}

/// Every rule that `spec/` states, and a sentence for each number that is given twice.
fn stated<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> (BTreeSet<Rule>, Vec<String>) {
    let mut places = BTreeMap::<Rule, String>::new();
    let mut faults = Vec::new();
    for (path, text) in files.filter(|(path, _)| path.starts_with("spec/")) {
        for (line, rule) in
            rules_in(text).filter(|found| found.opens_bold).map(|f| (f.line, f.rule))
        {
            let here = format!("{path}:{line}");
            if let Some(first) = places.get(&rule) {
                faults.push(format!("{here}: {rule} is another rule, at {first}: number it anew"));
            } else {
                places.insert(rule, here);
            }
        }
    }
    (places.into_keys().collect(), faults)
}

/// How many citations of rules `text` has, and a sentence for each of a rule that nobody states.
///
/// Only what begins as some rule does is one: `SHA-256` is no citation.
fn citations(stated: &BTreeSet<Rule>, path: &str, text: &str) -> (usize, Vec<String>) {
    let kinds: BTreeSet<&str> = stated.iter().filter_map(|rule| kind(rule)).collect();
    let cited = rules_in(text).filter(|found| kind(&found.rule).is_some_and(|k| kinds.contains(k)));
    let mut count = 0;
    let mut faults = Vec::new();
    for found in cited {
        count += 1;
        if !stated.contains(&found.rule) {
            faults.push(format!("{path}:{}: no rule {} in spec/", found.line, found.rule));
        }
    }
    (count, faults)
}

fn kind(rule: &str) -> Option<&str> {
    rule.split_once('-').map(|(kind, _)| kind)
}

/// Something of a rule's form.
struct Found {
    line: usize,
    rule: Rule,
    opens_bold: bool,
}

/// Everything of a rule's form: capital letters, a hyphen, a number, and neither letter, digit nor hyphen
/// on either side.
fn rules_in(text: &str) -> impl Iterator<Item = Found> + '_ {
    (1..).zip(text.lines()).flat_map(|(line, words)| {
        words.match_indices('-').filter_map(move |(hyphen, _)| {
            let (before, after) = (&words[..hyphen], &words[hyphen + 1..]);
            let letters =
                before.len() - before.trim_end_matches(|c: char| c.is_ascii_uppercase()).len();
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let left = &before[..before.len() - letters];
            let joined = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            let alone = !left.ends_with(joined) && !after[digits..].starts_with(joined);
            let found = letters > 1 && digits > 0 && alone;
            found.then(|| Found {
                line,
                rule: words[left.len()..=hyphen + digits].to_owned(),
                opens_bold: left.ends_with("**"),
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: (&str, &str) =
        ("spec/a.md", "**RULE-1.** One. **RULE-2, name.** Two, as RULE-1.\n**LAST-12.** Last.\n");

    fn rules() -> BTreeSet<Rule> {
        stated([SPEC].into_iter()).0
    }

    #[test]
    fn a_rule_is_stated_where_its_number_opens_bold_text() {
        assert_eq!(rules().into_iter().collect::<Vec<_>>(), ["LAST-12", "RULE-1", "RULE-2"]);
        assert_eq!(stated([("docs/a.md", "**RULE-1.**")].into_iter()).0.len(), 0);
    }

    #[test]
    fn a_number_that_is_given_twice_is_named_with_both_places() {
        let (_, faults) = stated([SPEC, ("spec/b.md", "\n**RULE-2.** Other.")].into_iter());
        assert_eq!(faults, ["spec/b.md:2: RULE-2 is another rule, at spec/a.md:1: number it anew"]);
    }

    #[test]
    fn a_citation_of_no_rule_is_found_in_any_file() {
        for text in ["(RULE-3)", "`RULE-3`", "RULE-1 to RULE-3", "// see RULE-3.", "**RULE-3**"] {
            assert_eq!(
                citations(&rules(), "x.rs", text).1,
                ["x.rs:1: no rule RULE-3 in spec/"],
                "{text}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_rule_is_none() {
        for text in [
            "SHA-256",
            "RFC-9000",
            "P-256",
            "RULE-1a",
            "aRULE-9",
            "RULE-9-RULE",
            "X-RULE-9",
            "rule-9",
        ] {
            assert_eq!(citations(&rules(), "x.rs", text), (0, Vec::new()), "{text}");
        }
    }

    #[test]
    fn citations_of_rules_are_counted() {
        assert_eq!(citations(&rules(), "x.rs", "RULE-1, RULE-2\nLAST-12"), (3, Vec::new()));
    }
}
