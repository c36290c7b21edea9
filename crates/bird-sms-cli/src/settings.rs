//! From arguments and the environment to a workspace.

use std::path::Path;

use bird_sandbox::Sandbox;
use bird_sms::{
    AccessKey, Client, ClientBuilder, ConfigurationError, PollPolicy, Workspace, WorkspaceId,
};

use crate::args::Shared;
use crate::report::Failure;

/// A workspace, and the sandbox that it is in when it is not Bird's.
pub(crate) struct Connected {
    pub(crate) workspace: Workspace,
    /// It serves until it is dropped.
    pub(crate) _sandbox: Option<Sandbox>,
}

pub(crate) async fn connect(
    shared: &Shared,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Connected, Failure> {
    let id = shared.workspace_id.as_deref().map(str::parse::<WorkspaceId>).transpose()?;
    let mut poll = PollPolicy::default();
    poll.backoff.initial = shared.poll_interval;
    let builder = Client::builder().install_timeout(shared.timeout).poll_policy(poll);
    let builder = configure(builder);
    if shared.sandbox {
        // With a workspace of its own: in one of the user's name, its connectors would pass for real ones
        // in a journal.
        let sandbox = Sandbox::builder()
            .start()
            .await
            .map_err(|error| Failure::Unexpected(error.to_string()))?;
        let client = builder
            .base_url(sandbox.base_url())
            .access_key(AccessKey::new(sandbox.access_key())?)
            .build()?;
        let workspace = client.workspace(sandbox.workspace_id().into());
        return Ok(Connected { workspace, _sandbox: Some(sandbox) });
    }
    let id = id.ok_or_else(|| {
        Failure::Usage("there is no workspace; give --workspace-id or set BIRD_WORKSPACE_ID".into())
    })?;
    let mut builder = match &shared.access_key_file {
        Some(path) => builder.access_key(key_of_file(path)?),
        None => builder.from_env()?,
    };
    if let Some(url) = &shared.api_url {
        builder = builder.base_url(url);
    }
    let client = builder.build().map_err(|error| match error {
        ConfigurationError::NoAccessKey => {
            Failure::Usage(format!("{error} or give --access-key-file"))
        }
        other => other.into(),
    })?;
    let workspace = client.workspace(id);
    Ok(Connected { workspace, _sandbox: None })
}

fn key_of_file(path: &Path) -> Result<AccessKey, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::Usage(format!("the access key file {path} cannot be read: {error}"))
    })?;
    // Editors end a file with a line break, which is not part of the key.
    let key = text.strip_suffix('\n').unwrap_or(&text);
    let key = key.strip_suffix('\r').unwrap_or(key);
    AccessKey::new(key)
        .map_err(|error| Failure::Usage(format!("{error} (in the file {})", path.display())))
}
