//! Checks the settings without creating anything.

use tracing::Instrument;

use super::read::malformed;
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::{AttemptError, CheckError, CheckProblem, ErrorResponse};

/// The result of a [check](Workspace::check) that found nothing wrong.
///
/// It doesn't show whether the key may create connectors. Only a POST can show that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Access {
    /// The workspace was found, and the key may view its connectors.
    Confirmed,
    /// The key may view connectors, but the response doesn't tell whether the workspace was found.
    WorkspaceUnconfirmed,
}

impl Workspace {
    /// Checks the access key, its role and policy, the workspace id and the connection. Creates nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
    /// # let transport = sandbox.transport();
    /// # let key = sandbox.access_key();
    /// # let id = sandbox.workspace_id();
    /// # let workspace = bird_sms::test_util::workspace(transport, key, id);
    /// match workspace.check().await {
    ///     Ok(access) => println!("{access:?}"),
    ///     Err(error) => eprintln!("{}. {}", error.chain(), error.hint()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Sends one GET of a random connector id, and doesn't retry it. No such connector exists, so the response shows
    /// whether the key and the workspace are right.
    ///
    /// # Errors
    ///
    /// Fails with the [`CheckProblem`] that follows from the response, or from the lack of a response.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a GET changes nothing.
    pub async fn check(&self) -> Result<Access, CheckError> {
        let span = tracing::info_span!("check", workspace_id = %self.id());
        self.read_random_connector().instrument(span).await
    }

    async fn read_random_connector(&self) -> Result<Access, CheckError> {
        let events = EventSink::default();
        let random = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let request = self.state().get_request(random.into());
        let call = self.call(None, &events);
        let sent = call.send_once(Route::Get, request, None).await;
        let cause = match sent {
            Ok(response) => malformed(self, &response, "no connector has the requested id"),
            Err(failed) => failed.error,
        };
        let problem = match &cause {
            AttemptError::Response(response) => match read(response) {
                Ok(access) => return Ok(access),
                Err(problem) => problem,
            },
            AttemptError::Transport(_) => CheckProblem::Unreachable,
            _ => CheckProblem::NotBird,
        };
        Err(CheckError { problem, cause })
    }
}

/// Reads the response to the GET of a connector that does not exist.
///
/// The vendor documents the statuses: 401 for an unknown key and for a role without access to the API, 403 for a policy
/// that does not allow `view`, and 404. The texts in the bodies are not documented, so they only refine the meaning of
/// the status.
fn read(response: &ErrorResponse) -> Result<Access, CheckProblem> {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    let text = text(&response.code) + " " + &text(&response.message);
    Err(match response.status {
        407 => CheckProblem::Unreachable,
        408 | 429 | 460 | 499 => CheckProblem::Unavailable,
        ..400 => CheckProblem::NotBird,
        // A page from a proxy or another server: Bird's errors have a code or a message.
        400..=499 if response.excerpt.is_some() => CheckProblem::NotBird,
        401 if response.other_product => CheckProblem::OtherProduct,
        401 | 403 if text.contains("role") => CheckProblem::Role,
        401 => CheckProblem::AccessKey,
        403 => CheckProblem::Policy,
        404 if text.trim().is_empty() => CheckProblem::NotBird,
        // Text that mentions both is about a connector that is not in the workspace.
        404 if text.contains("connector") => return Ok(Access::Confirmed),
        404 if text.contains("workspace") => CheckProblem::Workspace,
        404 => return Ok(Access::WorkspaceUnconfirmed),
        _ => CheckProblem::Unavailable,
    })
}
