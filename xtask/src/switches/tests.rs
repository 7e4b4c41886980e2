use super::*;

const BEFORE: &str = "\
impl A {
    /// One line.
    fn one(&self) -> bool { true }

    fn two(
        &self,
        of: u8,
    ) -> bool {
        if of > 1 {
            return false;
        }
        true
    }

    fn some(&self) -> impl Iterator<Item = u8> {
        [1].into_iter()
    }
}

pub(in crate::a) async fn three() {
    check();
}
";

#[test]
fn a_functions_body_is_found_whatever_its_header_looks_like() {
    let lines: Vec<&str> = BEFORE.lines().collect();
    let found: Vec<&str> = bodies(&lines).iter().map(|body| lines[body.end - 1].trim()).collect();
    assert_eq!(found, ["true", "check();"]);
}

#[test]
fn what_differs_is_the_body_of_each_function_that_changed() {
    let after = BEFORE.replace("    check();\n", "").replace("of > 1", "false");
    let differ = differ(BEFORE, &after).expect("bodies only");
    assert_eq!(differ.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 1]);
    assert!(differ[0].1.contains("if false {") && differ[1].1.is_empty());
}

#[test]
fn a_change_of_anything_else_has_no_switch() {
    for (from, to) in [("of: u8", "_: u8"), ("{ true }", "{ false }"), ("[1]", "[2]")] {
        assert!(differ(BEFORE, &BEFORE.replace(from, to)).is_err(), "{from}");
    }
}
