//! Runs the examples, each of which starts a sandbox in its own process.

#![expect(clippy::duplicate_mod, reason = "each example includes the module `sandbox`")]

#[path = "../examples/batch_with_journal.rs"]
mod batch_with_journal;
#[path = "../examples/blocking.rs"]
mod blocking;
#[path = "../examples/one_call.rs"]
mod one_call;
#[path = "../examples/readme.rs"]
mod readme;
#[path = "../examples/two_steps.rs"]
mod two_steps;

#[test]
fn the_example_batch_with_journal_succeeds() {
    batch_with_journal::main().unwrap();
}

#[test]
fn the_example_blocking_succeeds() {
    blocking::main().unwrap();
}

#[test]
fn the_example_one_call_succeeds() {
    one_call::main().unwrap();
}

#[test]
fn the_example_readme_succeeds() {
    readme::main().unwrap();
}

#[test]
fn the_example_two_steps_succeeds() {
    two_steps::main().unwrap();
}
