use super::*;

#[test]
fn a_finished_modest_file_passes() {
    let text = "//! Add two amounts.\nfn add() {}\n";
    assert_eq!(faults_in("crates/core/src/lib.rs", text), Vec::<String>::new());
}

#[test]
fn work_left_undone_is_found_in_any_file() {
    for mark in UNFINISHED {
        let line = format!("ok\n# {mark} later\n");
        assert_eq!(faults_in("justfile", &line).len(), 1, "{mark}");
    }
}

#[test]
fn a_mark_inside_a_word_is_not_a_mark() {
    assert_eq!(unfinished("x:1", "let METODOS = 1;"), None);
    assert_eq!(unfinished("x:1", "todo = \"deny\""), None);
}

#[test]
fn a_boast_is_found_in_prose_and_source_whatever_its_case() {
    for word in BOASTS {
        let line = format!("This is {}.", word.to_uppercase());
        assert_eq!(faults_in("docs/a.md", &line).len(), 1, "{word}");
        assert_eq!(faults_in("crates/core/src/a.rs", &line).len(), 1, "{word}");
        assert_eq!(faults_in("package.json", &line), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn a_local_path_is_found_where_it_starts() {
    for path in LOCAL {
        for line in [format!("{path}x"), format!("see `{path}x`"), format!("file://{path}x")] {
            assert!(local_path("x:1", &line).is_some(), "{line}");
        }
    }
}

#[test]
fn an_address_or_relative_path_is_not_a_local_path() {
    for path in LOCAL.iter().filter(|p| p.starts_with('/')) {
        assert_eq!(local_path("x:1", &format!("https://example.org{path}x")), None);
        assert_eq!(local_path("x:1", &format!("${{DIR}}{path}x")), None);
    }
}

#[test]
fn a_file_is_measured_without_blank_and_comment_lines() {
    let long = "let a = 1;\n".repeat(MAX_CODE_LINES);
    assert_eq!(too_long("a.rs", &format!("// why\n\n{long}")), None);
    assert!(too_long("a.rs", &format!("{long}let b = 2;\n")).is_some());
}

#[test]
fn only_rooms_are_measured() {
    let long = "let a = 1;\n".repeat(MAX_CODE_LINES + 1);
    assert_eq!(faults_in("crates/core/src/a.rs", &long).len(), 1);
    assert_eq!(faults_in("bench/src/a.rs", &long), Vec::<String>::new());
}

#[test]
fn a_room_without_the_workspace_lints_is_refused() {
    let on = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
    let off = "[package]\nname = \"a\"\n\n[lints]\n\n[dependencies]\nworkspace = true\n";
    assert_eq!(faults_in("crates/a/Cargo.toml", on), Vec::<String>::new());
    assert_eq!(faults_in("crates/a/Cargo.toml", off).len(), 1);
    assert_eq!(faults_in("crates/a/Cargo.toml", "").len(), 1);
}

#[test]
fn a_workspace_that_lowers_a_lint_is_refused() {
    let kept = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"deny\"\n";
    assert_eq!(missing_lints(kept), Vec::<String>::new());
    assert_eq!(missing_lints(&kept.replace("forbid", "warn")).len(), 1);
    assert_eq!(missing_lints("[workspace.lints.clippy]\nmissing_docs = \"deny\"\n").len(), 2);
}

#[test]
fn a_room_may_not_silence_missing_docs() {
    let text = concat!("#![allow(missing", "_docs)]\n");
    assert_eq!(faults_in("crates/core/src/lib.rs", text).len(), 1);
}

#[test]
fn licences_and_lock_files_are_not_ours_to_word() {
    assert!(is_foreign("LICENSE-MIT"));
    assert!(is_foreign("fuzz/Cargo.lock"));
    assert!(is_foreign("fuzz/seeds/tree_inclusion/empty"));
    assert!(!is_foreign("docs/licences.md"));
}
