//! `cargo xtask crash`: the crash test of batches in full, of which `cargo test` runs a few rounds.

use std::path::Path;

use crate::command::{cargo, succeed};

pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    succeed(cargo().current_dir(root).args([
        "test",
        "--locked",
        "-p",
        "bird-sms-cli",
        "--test",
        "command",
        "--",
        "--ignored",
        "--nocapture",
        "crash::",
    ]))
}
