//! What the documents name has to exist.

use std::fs;
use std::path::Path;

/// The Rust code below a folder, as one text.
fn code(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &code(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn the_tests_that_the_fault_table_names_exist_and_no_row_is_missing() {
    let root = crate::root();
    let table = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let code = code(&root.join("crates"));
    let mut named = 0;
    for name in table.split('`').skip(1).step_by(2) {
        let name = name.rsplit("::").next().unwrap();
        let is_test = name.matches('_').count() >= 2 && !name.contains(' ');
        if is_test {
            assert!(code.contains(&format!("fn {name}(")), "no such test: {name}");
            named += 1;
        }
    }
    assert!(named > 60, "{named}");
    for row in 1..=33 {
        assert!(table.contains(&format!("\n| {row} | ")), "row {row} is missing");
    }
}
