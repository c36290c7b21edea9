use std::panic::resume_unwind;

use tokio::task::JoinError;

/// Continues the panic of a task that ended, so that a batch does not swallow it.
pub(super) fn rethrow(joined: Result<(), JoinError>) {
    if let Err(error) = joined
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}
