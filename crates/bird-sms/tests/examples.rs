//! Runs the examples. Each serves its workspace itself, with a sandbox in the same process.

#![expect(clippy::duplicate_mod, reason = "each example has the module of the sandbox")]

#[path = "../examples/batch_with_journal.rs"]
mod batch_with_journal;
#[path = "../examples/blocking.rs"]
mod blocking;
#[path = "../examples/one_call.rs"]
mod one_call;
#[path = "../examples/two_steps.rs"]
mod two_steps;

#[test]
fn one_call_ends_without_an_error() {
    one_call::main().unwrap();
}

#[test]
fn two_steps_end_without_an_error() {
    two_steps::main().unwrap();
}

#[test]
fn the_batch_with_a_journal_ends_without_an_error() {
    batch_with_journal::main().unwrap();
}

#[test]
fn the_blocking_program_ends_without_an_error() {
    blocking::main().unwrap();
}
