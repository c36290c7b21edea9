//! `bird-sms batch`: many installs from a file, with a journal.

mod input;
mod journal;
mod outcome;
mod plan;
mod progress;
mod run;
mod summary;

use std::io;
use std::path::Path;

use bird_sms::{JournalState, PhoneNumberId, RateLimits, SmsConnectorRequest, UnknownRows};
use same_file::Handle;

use self::input::{Input, Row};
use self::journal::{JournalContent, JournalFile, JournalFileError};
use self::plan::Plan;
use self::run::Run;
use crate::args::{Adoption, BatchArgs, SharedArgs};
use crate::error::CliError;
use crate::exit::Code;
use crate::output::to_json;
use crate::workspace::build_workspace;

/// The end of a batch.
pub(crate) struct BatchEnd {
    /// The counts, for a person or as JSON.
    pub(crate) summary: String,
    pub(crate) code: Code,
    /// Why the batch stopped early, if it did.
    pub(crate) error: Option<CliError>,
}

/// Runs a batch to its end, or up to a signal.
pub(crate) async fn run(args: &BatchArgs, shared: &SharedArgs) -> Result<BatchEnd, CliError> {
    let input = Input::check(&args.input)
        .map_err(|error| unreadable(&args.input, &error))?
        .map_err(|report| CliError::Usage(format!("{}: {report}", args.input.display())))?;
    let limits = RateLimits {
        posts_per_second: args.posts_per_second,
        gets_per_second: args.gets_per_second,
    };
    if args.dry_run {
        return dry_run(args, shared, &input, limits);
    }
    let connected = build_workspace(shared, |client| client.rate_limits(limits)).await?;
    let (journal, mut content) = JournalFile::open(&args.journal, connected.workspace.id())?;
    if let Some(out) = &args.out {
        ensure_not_overwriting(out, &args.input, "rows")?;
        ensure_not_overwriting(out, &args.journal, "journal")?;
    }
    adopt(args, &mut content.rows)?;
    for Adoption { phone_number_id, connector_id } in &args.adopt {
        journal.adopt(*phone_number_id, *connector_id).await.map_err(|error| {
            CliError::Unexpected(format!(
                "the journal cannot be written: {error}; nothing was sent"
            ))
        })?;
    }
    let plan = plan(args, &input, content.rows)?;
    let mut run = Run::new(args, shared, journal, plan, &input)
        .map_err(|error| CliError::Usage(format!("the output cannot be written: {error}")))?;
    run.report_skipped(&input)?;
    let error = run.install(args, &connected.workspace, &input).await?;
    let (summary, json) = (run.summary, shared.json);
    let code = match &error {
        Some(error) => error.code(),
        None => summary.code(),
    };
    let summary = if json { to_json(&summary) } else { summary.text() };
    // The summary says all that there is to say about a signal.
    let error =
        error.filter(|_| !matches!(code, Code::Interrupted | Code::Terminated | Code::HungUp));
    Ok(BatchEnd { summary, code, error })
}

fn dry_run(
    args: &BatchArgs,
    shared: &SharedArgs,
    input: &Input,
    limits: RateLimits,
) -> Result<BatchEnd, CliError> {
    // An embedded sandbox would be a new workspace.
    let workspace_id = shared.workspace_id.as_deref().filter(|_| !shared.sandbox);
    let workspace_id = workspace_id.map(str::parse).transpose()?;
    let mut content = JournalContent::read(&args.journal, workspace_id)?;
    adopt(args, &mut content.rows)?;
    let summary = plan(args, input, content.rows)?.describe(limits, shared.json);
    Ok(BatchEnd { summary, code: Code::Done, error: None })
}

fn plan(args: &BatchArgs, input: &Input, journal: JournalState) -> Result<Plan, CliError> {
    let unknown = if args.retry_unknown { UnknownRows::Retry } else { UnknownRows::LeaveAlone };
    let rows = input.rows().map_err(|error| unreadable(&args.input, &error))?;
    Plan::new(rows.map(expect_valid_row), journal, unknown)
}

/// Applies the adoptions to what the journal says.
fn adopt(args: &BatchArgs, rows: &mut JournalState) -> Result<(), CliError> {
    for Adoption { phone_number_id, connector_id } in &args.adopt {
        ensure_adoptable(rows, *phone_number_id)?;
        let entry = bird_sms::JournalEntry::Adopted { connector_id: *connector_id };
        rows.apply(*phone_number_id, &entry);
    }
    Ok(())
}

/// Refuses an outcome file that is a file which is needed: it would be overwritten.
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

/// Refuses to adopt a connector for a row whose connector is known, or that has none.
fn ensure_adoptable(rows: &JournalState, number: PhoneNumberId) -> Result<(), CliError> {
    let state = rows.row(number).connector_state();
    if state.may_exist() && state.connector_id().is_none() {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "the journal has no unknown outcome for phone number {number}; --adopt is for those alone"
    )))
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::Usage(format!("{} cannot be read: {error}", path.display()))
}

/// Rows were checked before, and are read from a copy that no other process knows.
fn expect_valid_row(row: Row) -> Result<SmsConnectorRequest, CliError> {
    row.map_err(|_| {
        CliError::Unexpected("the copy of the rows cannot be read; nothing was sent".to_owned())
    })
}

impl From<JournalFileError> for CliError {
    fn from(error: JournalFileError) -> Self {
        Self::Usage(error.to_string())
    }
}
