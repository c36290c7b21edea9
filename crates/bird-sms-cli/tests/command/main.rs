//! The command as a process.

mod batch;
mod check;
mod crash;
#[cfg(target_os = "linux")]
mod crash_at_calls;
mod disk;
#[cfg(unix)]
mod files;
mod help;
mod install;
mod numbers;
mod readme;
mod rows;
mod sandbox;
mod secrets;
mod signals;
mod terminal;

use std::process::{Output, Stdio};

use bird_sandbox::Sandbox;
use tokio::process::Command;

/// Returns the command, without the environment variables of the test process that would affect it.
fn bird_sms(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bird-sms"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["BIRD_ACCESS_KEY", "BIRD_API_URL", "BIRD_WORKSPACE_ID", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Returns the command with the access key, the URL and the workspace of a sandbox.
fn in_sandbox(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = bird_sms(args);
    command
        .env("BIRD_ACCESS_KEY", sandbox.access_key())
        .env("BIRD_API_URL", sandbox.base_url())
        .env("BIRD_WORKSPACE_ID", sandbox.workspace_id().to_string());
    command
}

/// Returns a command that starts another one, with its environment and folder.
fn wrap(program: &str, args: &[&str], wrapped: &Command) -> Command {
    let wrapped = wrapped.as_std();
    let mut command = Command::new(program);
    command.args(args).arg(wrapped.get_program()).args(wrapped.get_args());
    for (name, value) in wrapped.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = wrapped.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Returns the command with the default action for SIGHUP, which a parent such as `nohup` has ignored.
fn hung_up_by_default(command: &Command) -> Command {
    // Other systems have no such option, and nothing else that sets an action without unsafe code.
    let options: &[&str] = if cfg!(target_os = "linux") { &["--default-signal=HUP"] } else { &[] };
    wrap("env", options, command)
}

/// Runs a command, which must end within a minute, and returns its exit code, stdout and stderr.
async fn run(mut command: Command) -> (i32, String, String) {
    ended(rows::within_a_minute(command.output()).await.unwrap())
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Sends a signal, such as `INT`, to a process.
fn signal(process: &tokio::process::Child, name: &str) {
    let pid = process.id().unwrap().to_string();
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
    assert!(status.unwrap().success());
}
