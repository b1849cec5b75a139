//! Each check finds what it is for, and nothing else.

use super::*;

const GOOD: &str = "//! What it is for.\n\nfn main() {}\n";

fn problems(path: &str, text: &str) -> Vec<String> {
    check(path, text).iter().map(|found| format!("{}: {}", found.place, found.problem)).collect()
}

/// The problems of a file that is good but for this line, its fourth.
fn of_line(path: &str, line: &str) -> Vec<String> {
    problems(path, &format!("{GOOD}{line}\n"))
}

#[test]
fn a_good_file_has_no_findings() {
    assert_eq!(problems("a/src/lib.rs", GOOD), [""; 0]);
}

#[test]
fn a_file_has_at_most_400_production_lines() {
    let production = "//! Long.\n".repeat(FILE_LINES_MAX);
    let with_tests = format!("{production}#[cfg(test)]\n{GOOD}");
    assert_eq!(problems("a/src/long.rs", &with_tests), [""; 0]);
    let too_long = format!("{production}{GOOD}");
    let expected = ["a/src/long.rs: 403 production lines, at most 400"];
    assert_eq!(problems("a/src/long.rs", &too_long), expected);
    for tests in ["a/src/long/tests.rs", "a/tests/long.rs"] {
        assert_eq!(problems(tests, &too_long), [""; 0]);
    }
    assert_eq!(problems("tests/harness/src/long.rs", &too_long).len(), 1);
}

#[test]
fn a_crate_has_at_most_3000_production_lines() {
    assert_eq!(check_crate("a", CRATE_LINES_MAX), None);
    let found = check_crate("a", CRATE_LINES_MAX + 1).unwrap();
    assert_eq!(found.problem, "3001 production lines, at most 3000");
}

#[test]
fn a_file_begins_with_what_it_is_for() {
    assert_eq!(problems("a/src/lib.rs", "use std::fmt;\n"), ["a/src/lib.rs: no module doc"]);
}

#[test]
fn a_module_has_its_own_name() {
    assert_eq!(problems("a/src/b/mod.rs", GOOD), ["a/src/b/mod.rs: a file mod.rs"]);
}

#[test]
fn a_line_has_at_most_100_columns_also_in_a_text() {
    let wide = format!("let text = \"{}\";", "ä".repeat(100));
    assert_eq!(of_line("a/src/lib.rs", &wide), ["a/src/lib.rs:4: 114 columns, at most 100"]);
    let snapshot = format!("expect![[r#\"\n{wide}\"#]];\n{wide}");
    assert_eq!(of_line("a/src/lib.rs", &snapshot), ["a/src/lib.rs:6: 114 columns, at most 100"]);
    assert_eq!(of_line("a/README.md", &wide), [""; 0]);
}

#[test]
fn words_of_unfinished_work_are_found_in_all_files() {
    for word in WORDS {
        let expected = format!("a/x.sh:4: the word {word}");
        assert_eq!(of_line("a/x.sh", &format!("# {word}: later")), [expected]);
    }
    assert_eq!(of_line("a/x.sh", "mktemp fetching-XXXXXX"), [""; 0]);
}

#[test]
fn paths_of_one_machine_are_found_in_all_files() {
    for line in ["cd /work", "see (/home/me/x)", "a=/root/x", "\"/work/x\""] {
        assert_eq!(of_line("README.md", line).len(), 1, "{line}");
    }
    for line in
        ["~/work", "${HOME}/work", "a/home", "https://a.org/home", "/workspace", "x/../root"]
    {
        assert_eq!(of_line("README.md", line), [""; 0], "{line}");
    }
}

#[test]
fn only_chassis_reads_the_environment() {
    for line in ["let a = std::env::var(\"A\");", "std::env::vars()", "let b = var_os(name);"] {
        assert_eq!(of_line("a/src/lib.rs", line).len(), 1, "{line}");
        for free in ["deploy/chassis/src/lib.rs", "a/build.rs", "tests/harness/src/lib.rs"] {
            assert_eq!(of_line(free, line), [""; 0], "{free}");
        }
    }
    assert_eq!(of_line("a/src/lib.rs", "// Not env::var."), [""; 0]);
}

#[test]
fn tasks_are_spawned_where_their_end_is_noticed() {
    for line in ["tokio::spawn(work());", "tokio::task::spawn(work());"] {
        assert_eq!(of_line("a/src/lib.rs", line).len(), 1, "{line}");
        assert_eq!(of_line("a/src/lib.rs", &format!("#[cfg(test)]\n{line}")), [""; 0]);
    }
    assert_eq!(of_line("a/src/lib.rs", "tasks.spawn(work());"), [""; 0]);
}

#[test]
fn only_chassis_ends_the_process() {
    let line = "std::process::exit(1);";
    assert_eq!(of_line("a/src/main.rs", line), ["a/src/main.rs:4: process::exit("]);
    assert_eq!(of_line("deploy/chassis/src/exit.rs", line), [""; 0]);
}

#[test]
fn functions_are_measured() {
    let text = "fn one() {}\n\nimpl A {\n    pub fn two(\n        a: u8,\n    ) {\n    }\n}\n";
    assert_eq!(function_lines(text), [1, 4]);
    assert_eq!(p90((1..=10).collect()), 10);
    assert_eq!(p90((1..=20).collect()), 19);
    assert_eq!(p90(Vec::new()), 0);
}
