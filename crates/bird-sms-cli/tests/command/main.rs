//! The command as a process.

mod batch;
mod crash;
mod install;
mod readme;

use std::process::{Output, Stdio};

use bird_sandbox::Sandbox;
use tokio::process::Command;

/// The command, without what the environment of the tests might say.
fn bird_sms(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bird-sms"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["BIRD_ACCESS_KEY", "BIRD_API_URL", "BIRD_WORKSPACE_ID", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

fn in_sandbox(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = bird_sms(args);
    command
        .env("BIRD_ACCESS_KEY", sandbox.access_key())
        .env("BIRD_API_URL", sandbox.base_url())
        .env("BIRD_WORKSPACE_ID", sandbox.workspace_id().to_string());
    command
}

/// What became of it: exit code, stdout, stderr.
async fn run(mut command: Command) -> (i32, String, String) {
    ended(command.output().await.unwrap())
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Sends it a signal.
fn signal(process: &tokio::process::Child, name: &str) {
    let pid = process.id().unwrap().to_string();
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
    assert!(status.unwrap().success());
}
