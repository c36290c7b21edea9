//! Signals that end the command.

use bird_sms::ConnectorState;

use crate::error::{Aborted, CliError};
use crate::exit::Code;

/// Waits for SIGINT, SIGTERM or SIGHUP, or for Ctrl-C on other systems, and returns its exit code.
pub(crate) async fn interrupted() -> Code {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let handlers = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        );
        if let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = handlers {
            return tokio::select! {
                _ = interrupt.recv() => Code::Interrupted,
                _ = terminate.recv() => Code::Terminated,
                _ = hangup.recv() => Code::HungUp,
            };
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // No handler could be installed. The default action of the signal ends the process.
        std::future::pending::<()>().await;
    }
    Code::Interrupted
}

/// Returns the error of a command that a signal ended.
pub(crate) fn aborted(code: Code, state: ConnectorState) -> CliError {
    let signal = code.name().replace('-', " ");
    let message = match state {
        ConnectorState::NotCreated => format!("{signal}, and no connector was created"),
        ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => format!(
            "{signal} while the connector was being created: a connector may exist, and its id is not known"
        ),
        ConnectorState::Exists(id) => {
            format!("{signal}: connector {id} exists, and its channel is not ready yet")
        }
    };
    CliError::Aborted(Aborted { code, message, state })
}
