//! Signals that end the command.

use bird_sms::{ConnectorState, PhoneNumberId};

#[cfg(unix)]
use tokio::signal::unix::SignalKind;

use crate::commands::block_on;
use crate::error::{Aborted, CliError};
use crate::exit::Code;

/// Waits for SIGINT, SIGTERM or SIGHUP, or for Ctrl-C on other systems, and returns its exit code.
pub(crate) async fn interrupted() -> Code {
    #[cfg(unix)]
    {
        tokio::select! {
            () = received(SignalKind::interrupt()) => Code::Interrupted,
            () = received(SignalKind::terminate()) => Code::Terminated,
            () = received(SignalKind::hangup()) => Code::HungUp,
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        // No handler could be installed. The default action of the signal ends the process.
        std::future::pending::<()>().await;
    }
    #[cfg(not(unix))]
    Code::Interrupted
}

/// Waits for a signal. A SIGHUP that the parent process ignores, as `nohup` does, stays ignored.
#[cfg(unix)]
async fn received(kind: SignalKind) {
    let stream = (kind != SignalKind::hangup() || !is_hangup_ignored())
        .then(|| tokio::signal::unix::signal(kind));
    match stream {
        Some(Ok(mut stream)) => drop(stream.recv().await),
        // Without a handler, the default action of the signal ends the process.
        _ => std::future::pending().await,
    }
}

/// Returns whether the process ignores SIGHUP. Without unsafe code, only Linux shows that, in `/proc/self/status`.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.split("SigIgn:").nth(1).and_then(|rest| rest.lines().next());
    // The lowest bit of the hexadecimal mask is for SIGHUP, which is signal 1.
    mask.is_some_and(|mask| mask.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']))
}

/// Ends the process at the third signal. This needs a thread of its own, because a batch cannot end itself while its
/// output blocks.
pub(crate) fn exit_at_third_signal() {
    std::thread::spawn(|| {
        block_on(Box::pin(async {
            interrupted().await;
            interrupted().await;
            std::process::exit(interrupted().await as i32)
        }))
    });
}

/// Makes a write beyond the file size limit return an error. By default, a signal would end the process before it
/// prints what it knows.
pub(crate) fn ignore_file_size_signal() {
    // SIGXFSZ is 25 on all platforms that Tokio supports, except MIPS. The handler stays after the stream is dropped.
    #[cfg(unix)]
    drop(tokio::signal::unix::signal(SignalKind::from_raw(25)));
}

/// Returns the error of an install that a signal ended. `options` complete the command in its hint.
pub(crate) fn aborted_install(
    code: Code,
    state: ConnectorState,
    number: PhoneNumberId,
    options: &str,
) -> CliError {
    let mut error = aborted(code, state);
    if let CliError::Aborted(aborted) = &mut error
        && state.may_exist()
        && state.connector_id().is_none()
    {
        aborted.hint = Some(format!(
            "Run `bird-sms check --phone-number-id {number}{options}` to see the connectors of this phone number, and \
             look in the Bird dashboard before you retry."
        ));
    }
    error
}

/// Returns the error of a command that a signal ended.
pub(crate) fn aborted(code: Code, state: ConnectorState) -> CliError {
    let signal = code.signal();
    let message = match state {
        ConnectorState::NotCreated => format!("{signal}, and no connector was created"),
        ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => format!(
            "{signal} while the connector was being created: a connector may exist, but its id is not known"
        ),
        ConnectorState::Exists(id) => {
            format!("{signal}: connector {id} exists, but its channel is not ready yet")
        }
    };
    CliError::Aborted(Aborted { code, message, state, hint: None })
}
