//! Runs the examples, each of which starts a sandbox in its own process.

#![expect(clippy::duplicate_mod, reason = "each example has the module of the sandbox")]

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
fn each_example_ends_without_an_error() {
    one_call::main().unwrap();
    readme::main().unwrap();
    two_steps::main().unwrap();
    batch_with_journal::main().unwrap();
    blocking::main().unwrap();
}
