//! Tests of what the documents refer to.

use std::fs;
use std::path::Path;

/// Returns the Rust code below a folder as one text.
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
fn the_tests_in_the_fault_table_exist() {
    let root = crate::root().unwrap();
    let table = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let code = code(&root.join("crates"));
    let quoted = table.split('`').skip(1).step_by(2);
    let names = quoted.map(|name| name.rsplit("::").next().unwrap());
    let tests: Vec<_> =
        names.filter(|name| name.matches('_').count() >= 2 && !name.contains(' ')).collect();
    assert!(!tests.is_empty());
    for name in tests {
        assert!(code.contains(&format!("fn {name}(")), "no such test: {name}");
    }
}
