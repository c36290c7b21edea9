//! `bird-sms batch`: many installs from a file, with a journal.

mod input;
mod outcome;
mod plan;
mod progress;
mod run;
mod summary;
mod unknown;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bird_sandbox::{ConnectorSeed, Sandbox};
use bird_sms::{
    AdoptionError, ConnectorState, FileJournal, Journal, JournalContent, JournalEntry,
    JournalState, NextStep, PhoneNumberId, RateLimits, UnknownRows, Workspace,
};
use same_file::Handle;
use serde_json::json;

use self::input::Input;
use self::outcome::{Outcome, check_writable, is_journal};
use self::plan::Plan;
use self::run::Run;
use crate::args::{Adoption, BatchArgs};
use crate::error::CliError;
use crate::exit::Code;
use crate::json::to_json;
use crate::numbers::{by_number, read};
use crate::output::print_message;
use crate::workspace::build_workspace;

/// The result of a batch.
pub(crate) struct BatchEnd {
    /// The counts, as text or as JSON.
    pub(crate) summary: String,
    pub(crate) code: Code,
    /// `Unknown` if any row has or may have a connector without a ready channel.
    pub(crate) state: ConnectorState,
    /// The error that ended the batch, unless it is the error of a row.
    pub(crate) error: Option<CliError>,
}

/// Runs a batch until it ends or a signal stops it.
pub(crate) async fn run(args: &BatchArgs) -> Result<BatchEnd, CliError> {
    let shared = &args.shared;
    let defaults = args.create.defaults()?;
    let input = Input::check(&args.input, &defaults)
        .map_err(|error| read_error(&args.input, &error))?
        .map_err(|report| unusable(args, &report))?;
    let limits = RateLimits {
        posts_per_second: args.posts_per_second,
        gets_per_second: args.gets_per_second,
    };
    let configure = |client| args.poll.configure(args.create.configure(client)).rate_limits(limits);
    let connected = build_workspace(shared, configure).await?;
    let workspace = &connected.workspace;
    let input = resolve(args, input, workspace).await?;
    let id = *workspace.id().as_uuid();
    if input.rows().any(|request| *request.phone_number_id().as_uuid() == id) {
        let problem = format!("the phone number id {id} is the id of the workspace");
        return Err(unusable(args, &problem));
    }
    check_numbers(args, &input)?;
    let out = args.out.as_deref().filter(|out| *out != Path::new("-"));
    out.map_or(Ok(()), |out| check_out(args, out))?;
    let base_url =
        if shared.sandbox { FileJournal::SANDBOX } else { workspace.client().base_url() };
    if args.dry_run {
        return dry_run(
            args,
            &input,
            limits,
            JournalContent::read(&args.journal, Some(workspace.id()), base_url)?,
        );
    }
    if std::fs::metadata(&args.journal).is_ok_and(|file| file.len() == 0) {
        let path = args.journal.display();
        print_note(args, &format!("The journal {path} is empty: every row counts as new"));
    }
    let journal = Arc::new(FileJournal::open_at(&args.journal, workspace.id(), base_url)?);
    // Check again, because a link to the journal is only detected once the journal exists.
    out.map_or(Ok(()), |out| check_out(args, out))?;
    report_torn_line(args, journal.torn_line());
    let load = || async {
        journal.load().await.map_err(|error| {
            CliError::Unexpected(format!("the journal cannot be read: {error}; nothing was sent"))
        })
    };
    if let Some(sandbox) = &connected.sandbox {
        seed(sandbox, &load().await?);
    }
    for Adoption { phone_number_id, connector_id } in args.adopt.iter().copied() {
        let adopted = workspace.adopt(&*journal, phone_number_id, connector_id).await;
        adopted.map_err(|error| refuse_adoption(phone_number_id, error))?;
    }
    let plan = Plan::new(input.rows(), &load().await?, |number| unknown_rows(args, number));
    let mut run = Run::new(args, journal, plan, &input)
        .map_err(|error| CliError::Usage(format!("the output cannot be written: {error}")))?;
    let (code, error) = run.install(workspace).await;
    let state = run.summary.state();
    let summary = run.summary;
    let summary = if shared.json { to_json(&summary) } else { summary.text() };
    Ok(BatchEnd { summary, code, state, error })
}

/// Adds to a sandbox the connectors that earlier runs created in other sandboxes.
fn seed(sandbox: &Sandbox, journal: &JournalState) {
    for (number, row) in journal.rows() {
        if let Some(id) = row.connector_state().connector_id() {
            let mut seed = ConnectorSeed::new("", number.into());
            seed.id = Some(id.into());
            seed.channel_id = row.channel_id().map(Into::into);
            // This cannot conflict, because the sandbox is new and each number has one row.
            let _ = sandbox.seed_connector(&seed);
        }
    }
}

/// Looks up the ids of phone numbers in the list of all numbers, which takes one GET for each 99 numbers.
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

/// Checks that each phone number id in `--adopt` and `--retry-unknown` has a row.
fn check_numbers(args: &BatchArgs, input: &Input) -> Result<(), CliError> {
    let adopted = args.adopt.iter().map(|adoption| (adoption.phone_number_id, "--adopt"));
    let retried = args.retry_unknown.iter().flatten().map(|number| (*number, "--retry-unknown"));
    match adopted.chain(retried).find(|(number, _)| !input.has(*number)) {
        Some((number, option)) => {
            Err(CliError::Usage(format!("no row has the phone number id {number} of {option}")))
        }
        None => Ok(()),
    }
}

fn unknown_rows(args: &BatchArgs, number: PhoneNumberId) -> UnknownRows {
    match &args.retry_unknown {
        Some(numbers) if numbers.is_empty() || numbers.contains(&number) => UnknownRows::Retry,
        _ => UnknownRows::LeaveAlone,
    }
}

fn dry_run(
    args: &BatchArgs,
    input: &Input,
    limits: RateLimits,
    mut content: JournalContent,
) -> Result<BatchEnd, CliError> {
    report_torn_line(args, content.torn_line);
    for Adoption { phone_number_id, connector_id } in args.adopt.iter().copied() {
        let check = content.rows.check_adoption(phone_number_id, connector_id);
        check.map_err(|error| refuse_adoption(phone_number_id, error))?;
        content.rows.apply(phone_number_id, &JournalEntry::Adopted { connector_id }, None);
    }
    let plan = Plan::new(input.rows(), &content.rows, |number| unknown_rows(args, number));
    for request in input.rows() {
        let number = request.phone_number_id();
        let row = content.rows.row(number);
        if row.next(unknown_rows(args, number)) == NextStep::LeaveAlone {
            let outcome = Outcome::skipped(input.line(number), &request, row);
            print_message(unknown::describe(args, &outcome, row.sent_at()));
        }
    }
    let summary = plan.describe(limits, args.shared.json);
    Ok(BatchEnd { summary, code: Code::Done, state: ConnectorState::NotCreated, error: None })
}

fn refuse_adoption(number: PhoneNumberId, error: AdoptionError) -> CliError {
    match error {
        AdoptionError::Read(error) => CliError::Read(error, false),
        AdoptionError::Journal(error) => CliError::Unexpected(format!(
            "the journal cannot be written: {error}; no connector was created"
        )),
        error => CliError::Usage(format!(
            "the connector cannot be adopted for phone number id {number}: {error}"
        )),
    }
}

/// Prints that the last line of the journal is ignored, if a crash tore it.
fn report_torn_line(args: &BatchArgs, torn_line: Option<u64>) {
    if let Some(line) = torn_line {
        let path = args.journal.display();
        print_note(
            args,
            &format!(
                "Line {line} of the journal {path} was torn by a crash and is ignored: no step followed it"
            ),
        );
    }
}

fn print_note(args: &BatchArgs, text: &str) {
    if args.shared.json {
        print_message(to_json(&json!({ "event": "note", "message": text })));
    } else {
        print_message(text);
    }
}

/// Checks that the outcome file can be written and would not overwrite another file of the batch.
fn check_out(args: &BatchArgs, out: &Path) -> Result<(), CliError> {
    let handle = |path: &Path| {
        if path == Path::new("-") {
            return Handle::stdin().ok();
        }
        // Opening a pipe could block, so only regular files are opened.
        path.is_file().then(|| Handle::from_path(path).ok())?
    };
    let shown = out.display();
    let key = args.shared.access_key_file.as_deref();
    let needed =
        [(Some(&*args.input), "rows"), (key, "access key"), (Some(&*args.journal), "journal")];
    for (path, what) in needed {
        // A journal that does not exist yet has no handle, so its name is compared.
        let is_same = path.is_some_and(|path| {
            handle(out).is_some_and(|out| Some(out) == handle(path)) || is_same_name(out, path)
        });
        if is_same {
            return Err(CliError::Usage(format!(
                "--out {shown} would overwrite the {what}; name another file; nothing was sent"
            )));
        }
    }
    if is_journal(out) {
        return Err(CliError::Usage(format!(
            "--out {shown} would overwrite the journal of another batch; name another file; nothing was sent"
        )));
    }
    check_writable(out).map_err(|error| {
        CliError::Usage(format!("--out {shown} cannot be written: {error}; nothing was sent"))
    })
}

/// Returns whether two paths name the same file, which need not exist yet.
fn is_same_name(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    place(a).is_some_and(|a| Some(a) == place(b))
}

fn read_error(path: &Path, error: &io::Error) -> CliError {
    CliError::Usage(format!("{} cannot be read: {error}", path.display()))
}
