//! The workspace of a command, from its arguments and the environment.

use std::path::Path;

use bird_sandbox::Sandbox;
use bird_sms::{
    AccessKey, Backoff, Client, ClientBuilder, ConfigurationError, PollInterval, PollPolicy,
    PollPrice, RetryPolicy, Workspace, WorkspaceId,
};

use crate::args::SharedArgs;
use crate::error::CliError;
use crate::regular_file::read_short_text;

/// A workspace, and the embedded sandbox that serves it until it is dropped.
pub(crate) struct Connected {
    pub(crate) workspace: Workspace,
    _sandbox: Option<Sandbox>,
}

pub(crate) async fn build_workspace(
    shared: &SharedArgs,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Connected, CliError> {
    let id = shared.workspace_id.as_deref().map(str::parse::<WorkspaceId>).transpose()?;
    let interval = match shared.poll_interval {
        Some(delay) => PollInterval::Backoff(Backoff {
            initial: delay,
            multiplier: 1.0,
            max: delay,
            jitter: 0.0,
        }),
        None => PollInterval::Price(PollPrice { price: shared.poll_price, ..Default::default() }),
    };
    let poll = PollPolicy { interval, ..PollPolicy::default() };
    let retry = RetryPolicy { create: shared.retry_create.into(), ..RetryPolicy::default() };
    let builder =
        Client::builder().install_timeout(shared.timeout).poll_policy(poll).retry_policy(retry);
    let builder = configure(builder);
    if shared.sandbox {
        // The sandbox has its own workspace id, so that its connectors in a journal are not taken for real connectors.
        let sandbox = Sandbox::builder()
            .start()
            .await
            .map_err(|error| CliError::Unexpected(error.to_string()))?;
        let client = builder
            .base_url(sandbox.base_url())
            .access_key(AccessKey::new(sandbox.access_key())?)
            .build()?;
        let workspace = client.workspace(sandbox.workspace_id().into());
        return Ok(Connected { workspace, _sandbox: Some(sandbox) });
    }
    let id = id.ok_or_else(|| {
        CliError::Usage(
            "there is no workspace id; give --workspace-id or set BIRD_WORKSPACE_ID".to_owned(),
        )
    })?;
    let mut builder = match &shared.access_key_file {
        Some(path) => builder.access_key(read_key(path)?),
        None => builder.from_env()?,
    };
    if let Some(url) = &shared.api_url {
        builder = builder.base_url(url);
    }
    let client = builder.build().map_err(|error| match error {
        ConfigurationError::NoAccessKey => {
            CliError::Usage(format!("{error} or give --access-key-file"))
        }
        other => other.into(),
    })?;
    let workspace = client.workspace(id);
    Ok(Connected { workspace, _sandbox: None })
}

fn read_key(path: &Path) -> Result<AccessKey, CliError> {
    let text = read_short_text(path).map_err(|error| {
        let path = path.display();
        CliError::Usage(format!("the access key file {path} cannot be read: {error}"))
    })?;
    // Editors end a file with a line break, which is not part of the key.
    let key = text.strip_suffix('\n').unwrap_or(&text);
    let key = key.strip_suffix('\r').unwrap_or(key);
    AccessKey::new(key)
        .map_err(|error| CliError::Usage(format!("{error} (in the file {})", path.display())))
}
