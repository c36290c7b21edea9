//! `bird-sms batch`: many installs from a file, with a journal.

mod input;
mod outcome;
mod plan;
mod progress;
mod run;
mod summary;

use std::convert::identity;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bird_sms::{
    AdoptionError, Client, ConnectorState, FileJournal, Journal, JournalContent, JournalEntry,
    PhoneNumberId, RateLimits, UnknownRows, Workspace,
};
use same_file::Handle;

use self::input::{Defaults, Input};
use self::plan::Plan;
use self::run::Run;
use crate::args::{Adoption, BatchArgs};
use crate::error::CliError;
use crate::exit::Code;
use crate::json::to_json;
use crate::numbers::{by_number, read};
use crate::workspace::build_workspace;

/// The result of a batch.
pub(crate) struct BatchEnd {
    /// The counts, as text or as JSON.
    pub(crate) summary: String,
    pub(crate) code: Code,
    /// `Unknown` if a row has a connector, or may have one, whose channel is not ready.
    pub(crate) state: ConnectorState,
    /// What else than the rows failed.
    pub(crate) error: Option<CliError>,
}

/// Runs a batch to its end, or up to a signal.
pub(crate) async fn run(args: &BatchArgs) -> Result<BatchEnd, CliError> {
    let shared = &args.shared;
    let defaults = Defaults {
        use_case_id: args.use_case_id.as_deref().map(str::parse).transpose()?,
        channel_message_type: args.channel_message_type.as_deref().map(Into::into),
        conversational: args.conversational,
    };
    let input = Input::check(&args.input, &defaults)
        .map_err(|error| read_error(&args.input, &error))?
        .map_err(|report| unusable(args, &report))?;
    let limits = RateLimits {
        posts_per_second: args.posts_per_second,
        gets_per_second: args.gets_per_second,
    };
    if args.dry_run {
        let input = if input.is_unresolved() {
            let connected = build_workspace(shared, identity).await?;
            resolve(args, input, &connected.workspace).await?
        } else {
            input
        };
        return dry_run(args, &input, limits);
    }
    let configure = |client| args.poll.configure(args.create.configure(client)).rate_limits(limits);
    let connected = build_workspace(shared, configure).await?;
    let workspace = &connected.workspace;
    let input = resolve(args, input, workspace).await?;
    if let Some(out) = &args.out {
        ensure_not_overwriting(out, &args.input, "rows")?;
        if let Some(key) = &shared.access_key_file {
            ensure_not_overwriting(out, key, "access key")?;
        }
    }
    let base_url =
        if shared.sandbox { FileJournal::SANDBOX } else { workspace.client().base_url() };
    let journal = Arc::new(FileJournal::open_at(&args.journal, workspace.id(), base_url)?);
    if let Some(out) = &args.out {
        ensure_not_overwriting(out, &args.journal, "journal")?;
    }
    report_torn_line(args, journal.torn_line());
    for Adoption { phone_number_id, connector_id } in args.adopt.iter().copied() {
        let adopted = workspace.adopt(&*journal, phone_number_id, connector_id).await;
        adopted.map_err(|error| refuse_adoption(phone_number_id, error))?;
    }
    let state = journal.load().await.map_err(|error| {
        CliError::Unexpected(format!("the journal cannot be read: {error}; nothing was sent"))
    })?;
    let plan = Plan::new(input.rows(), &state, unknown_rows(args));
    drop(state);
    let mut run = Run::new(args, journal, plan, input.len())
        .map_err(|error| CliError::Usage(format!("the output cannot be written: {error}")))?;
    let (code, error) = run.install(args, workspace, &input).await;
    let (state, summary) = (run.summary.state(), run.summary);
    let summary = if shared.json { to_json(&summary) } else { summary.text() };
    Ok(BatchEnd { summary, code, state, error })
}

/// Looks the phone numbers of the rows up. All numbers of the workspace are read, 99 with each GET.
async fn resolve(args: &BatchArgs, input: Input, workspace: &Workspace) -> Result<Input, CliError> {
    if !input.is_unresolved() {
        return Ok(input);
    }
    let numbers = by_number(&read(workspace.numbers()).await?);
    input.resolve(&numbers).map_err(|report| unusable(args, &report))
}

fn unusable(args: &BatchArgs, report: &str) -> CliError {
    CliError::Usage(format!("{}: {report}", args.input.display()))
}

fn unknown_rows(args: &BatchArgs) -> UnknownRows {
    if args.retry_unknown { UnknownRows::Retry } else { UnknownRows::LeaveAlone }
}

fn dry_run(args: &BatchArgs, input: &Input, limits: RateLimits) -> Result<BatchEnd, CliError> {
    let shared = &args.shared;
    // An embedded sandbox would be a new workspace.
    let workspace_id = shared.workspace_id.as_deref().filter(|_| !shared.sandbox);
    let workspace_id = workspace_id.map(str::parse).transpose()?;
    let base_url = match &shared.api_url {
        _ if shared.sandbox => FileJournal::SANDBOX,
        Some(url) => url,
        None => Client::DEFAULT_BASE_URL,
    };
    let mut content = JournalContent::read(&args.journal, workspace_id, base_url)?;
    report_torn_line(args, content.torn_line);
    for Adoption { phone_number_id, connector_id } in args.adopt.iter().copied() {
        let check = content.rows.check_adoption(phone_number_id, connector_id);
        check.map_err(|error| refuse_adoption(phone_number_id, error))?;
        content.rows.apply(phone_number_id, &JournalEntry::Adopted { connector_id }, None);
    }
    let plan = Plan::new(input.rows(), &content.rows, unknown_rows(args));
    let summary = plan.describe(limits, shared.json);
    let (code, state) = (Code::Done, ConnectorState::NotCreated);
    Ok(BatchEnd { summary, code, state, error: None })
}

fn refuse_adoption(number: PhoneNumberId, error: AdoptionError) -> CliError {
    match error {
        AdoptionError::Read(error) => CliError::Read(error),
        AdoptionError::Journal(error) => CliError::Unexpected(format!(
            "the journal cannot be written: {error}; no connector was created"
        )),
        error => CliError::Usage(format!(
            "no connector can be adopted for phone number {number}: {error}"
        )),
    }
}

/// Prints that the last line of the journal is ignored, if a crash tore it.
fn report_torn_line(args: &BatchArgs, torn_line: Option<u64>) {
    if let Some(line) = torn_line {
        let path = args.journal.display();
        // Nothing is left to do when stderr is closed.
        let _ = writeln!(
            io::stderr(),
            "Line {line} of the journal {path} was torn by a crash, and is ignored: no step followed it"
        );
    }
}

/// Returns an error if the outcome file would overwrite another file of the batch.
fn ensure_not_overwriting(out: &Path, needed: &Path, what: &str) -> Result<(), CliError> {
    let handle = |path: &Path| {
        if path == Path::new("-") {
            return Handle::stdin().ok();
        }
        // A pipe cannot be opened twice.
        path.is_file().then(|| Handle::from_path(path).ok())?
    };
    if out != Path::new("-") && handle(out).is_some_and(|out| Some(out) == handle(needed)) {
        return Err(CliError::Usage(format!(
            "--out {} would overwrite the {what}; name another file; nothing was sent",
            out.display()
        )));
    }
    Ok(())
}

fn read_error(path: &Path, error: &io::Error) -> CliError {
    CliError::Usage(format!("{} cannot be read: {error}", path.display()))
}
