//! Signals, and what to say of the connector when one comes.

use crate::exit::Code;
use crate::progress::{Progress, Stage};
use crate::report::Failure;

/// Ends when the process is asked to, with the code to exit with.
pub(crate) async fn interrupted() -> Code {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return Code::Terminated,
                result = tokio::signal::ctrl_c() => result.ok(),
            };
            return Code::Interrupted;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // No handler could be set: the signal ends the process itself.
        std::future::pending::<()>().await;
    }
    Code::Interrupted
}

pub(crate) fn failure(code: Code, progress: &Progress) -> Failure {
    let what = if code == Code::Terminated { "terminated" } else { "interrupted" };
    let (message, id, may_exist) = match progress.stage() {
        Stage::Start => (format!("{what}; nothing was created"), None, false),
        Stage::Creating => (
            format!(
                "{what} while the connector was being created: one may exist, and its id is not known; \
                 look for it in the dashboard before trying again"
            ),
            None,
            true,
        ),
        Stage::Created(id) => {
            (format!("{what}; connector {id} exists, its channel is not there yet"), Some(id), true)
        }
    };
    Failure::Ended {
        code,
        message,
        connector_id: id.map(|id| id.to_string()),
        connector_may_exist: may_exist,
    }
}
