//! Checks the references in documents.

use std::process::Command;

use crate::command::output;

#[test]
fn tests_named_in_documents_exist() {
    let root = crate::root().unwrap();
    let document = std::fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut grep = Command::new("git");
    grep.current_dir(&root).args(["grep", "--untracked", "-h", "fn ", "--", "crates/*.rs"]);
    let functions = String::from_utf8(output(&mut grep).unwrap()).unwrap();
    let quoted = document.split('`').skip(1).step_by(2);
    let names = quoted.map(|name| name.rsplit("::").next().unwrap());
    let tests: Vec<_> =
        names.filter(|name| name.matches('_').count() >= 2 && !name.contains(' ')).collect();
    assert!(!tests.is_empty());
    for name in tests {
        assert!(functions.contains(&format!("fn {name}(")), "no such test: {name}");
    }
}
