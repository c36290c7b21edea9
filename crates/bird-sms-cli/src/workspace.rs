//! Builds the workspace of a command from its arguments and the environment.

use std::path::Path;

use bird_sandbox::Sandbox;
use bird_sms::{AccessKey, Client, ClientBuilder, PollPolicy, RetryPolicy, Workspace, WorkspaceId};
use uuid::Uuid;

use crate::args::{ConnectionArgs, CreateArgs, PollArgs};
use crate::error::CliError;
use crate::secret;

/// The workspace id of every embedded sandbox, which lets a batch resume in another sandbox. No real workspace has this
/// id, so a journal of a sandbox is never taken for a real one.
const SANDBOX_WORKSPACE: Uuid = Uuid::from_u128(0x5a4d_b0c5_0000_4000_8000_0000_0000_0001);

/// A workspace, and the embedded sandbox that serves it until it is dropped.
pub(crate) struct Connected {
    pub(crate) workspace: Workspace,
    pub(crate) sandbox: Option<Sandbox>,
}

impl PollArgs {
    pub(crate) fn configure(&self, client: ClientBuilder) -> ClientBuilder {
        let interval = self.poll_interval;
        client.poll_policy(PollPolicy { interval, ..PollPolicy::default() })
    }
}

impl CreateArgs {
    pub(crate) fn configure(&self, client: ClientBuilder) -> ClientBuilder {
        let create = self.retry_create.into();
        let client = client.look_up(!self.no_look_up);
        client.retry_policy(RetryPolicy { create, ..RetryPolicy::default() })
    }
}

/// Builds the workspace. An error names every setting that is missing or wrong.
pub(crate) async fn build_workspace(
    shared: &ConnectionArgs,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Connected, CliError> {
    let builder = configure(Client::builder().install_timeout(shared.timeout));
    if shared.sandbox {
        let sandbox = Sandbox::builder().workspace_id(SANDBOX_WORKSPACE).start().await?;
        let client = builder
            .base_url(sandbox.base_url())
            .access_key(AccessKey::new(sandbox.access_key())?)
            .build()?;
        let workspace = client.workspace(sandbox.workspace_id().into());
        return Ok(Connected { workspace, sandbox: Some(sandbox) });
    }
    let mut problems = Vec::new();
    let key = access_key(shared).map_err(|problem| problems.push(problem)).ok();
    let id = workspace_id(shared).map_err(|problem| problems.push(problem)).ok();
    let url = shared.api_url.as_deref().unwrap_or(Client::DEFAULT_BASE_URL);
    // If the key is missing, a placeholder lets the other settings be checked.
    let checked = key.map_or_else(|| AccessKey::new("-"), Ok)?;
    let client = builder.base_url(url).access_key(checked).build();
    let client = client.map_err(|error| problems.push(error.to_string())).ok();
    match (client, id) {
        (Some(client), Some(id)) if problems.is_empty() => {
            Ok(Connected { workspace: client.workspace(id), sandbox: None })
        }
        _ => Err(CliError::Usage(match &problems[..] {
            [problem] => problem.clone(),
            _ => format!(
                "{} settings are missing or wrong:\n  {}",
                problems.len(),
                problems.join("\n  ")
            ),
        })),
    }
}

fn workspace_id(shared: &ConnectionArgs) -> Result<WorkspaceId, String> {
    match shared.workspace_id.as_deref().map(str::parse::<WorkspaceId>) {
        Some(id) => id.map_err(|error| error.to_string()),
        None => {
            Err("the workspace id is missing; set BIRD_WORKSPACE_ID or give --workspace-id".into())
        }
    }
}

fn access_key(shared: &ConnectionArgs) -> Result<AccessKey, String> {
    let file = shared.access_key_file.as_deref().map(Path::display);
    match secret::text() {
        None => {
            Err("the access key is missing; set BIRD_ACCESS_KEY or give --access-key-file".into())
        }
        Some(Ok(text)) => AccessKey::new(text).map_err(|error| match file {
            Some(file) => format!("{error} (in the file {file})"),
            None => error.to_string(),
        }),
        Some(Err(error)) => {
            let file = file.map(|file| format!(" {file}")).unwrap_or_default();
            Err(format!("the access key file{file} cannot be read: {error}"))
        }
    }
}
