//! Runs a batch, reports its outcomes and shuts it down.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bird_sms::{
    BatchOutcome, ConnectorState, Error, FileJournal, Journal, UnknownRows, Warning, Workspace,
};
use serde_json::json;

use super::input::Input;
use super::outcome::{Outcome, OutcomeWriter};
use super::plan::Plan;
use super::progress::Progress;
use super::summary::Summary;
use super::unknown;
use crate::args::BatchArgs;
use crate::error::{Aborted, CliError, install_hint};
use crate::exit::Code;
use crate::json::to_json;
use crate::signal::{exit_at_third_signal, interrupted};
use crate::status::Status;

/// How long to wait at the end, or after a second signal, for the journal to store what was appended. A disk that hangs
/// must not keep the process from ending. Whatever is not stored by then is printed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Run<'a> {
    args: &'a BatchArgs,
    input: &'a Input,
    pub(super) summary: Summary,
    out: OutcomeWriter,
    progress: Progress,
    journal: Arc<FileJournal>,
    /// The rows that an earlier run left unfinished, until this run has an outcome for them.
    plan: Plan,
    /// The rows whose outcome is unknown.
    unknown: Vec<Outcome>,
    /// The hints that were printed.
    hints: HashSet<String>,
    output_error: Option<io::Error>,
    /// The status, error and hint of the refused row that made the batch shut itself down.
    refused: Option<(u16, String, String)>,
    /// The error of the journal, and the state of the connector that could not be stored.
    journal_error: Option<(io::Error, ConnectorState)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        args: &'a BatchArgs,
        journal: Arc<FileJournal>,
        plan: Plan,
        input: &'a Input,
    ) -> io::Result<Self> {
        let rows = input.len();
        Ok(Self {
            args,
            input,
            summary: Summary::new(rows),
            out: OutcomeWriter::open(args.out.as_deref(), args.shared.json, input.table)?,
            progress: Progress::new(args, rows),
            journal,
            plan,
            unknown: Vec::new(),
            hints: HashSet::new(),
            output_error: None,
            refused: None,
            journal_error: None,
        })
    }

    /// Installs the rows. Returns the exit code, and the error that ended the batch unless it is the error of a row.
    pub(super) async fn install(&mut self, workspace: &Workspace) -> (Code, Option<CliError>) {
        let elsewhere = self.plan.counts.elsewhere;
        if elsewhere > 0 {
            let plural = if elsewhere == 1 { "" } else { "s" };
            self.progress.display.print(&format!(
                "Left alone: {elsewhere} unfinished phone number{plural} in the journal without a row in this file"
            ));
        }
        let created = self.progress.observer();
        let mut installs = workspace
            .install_sms_channels(self.input.rows())
            .journal(self.journal.clone())
            .observe(move |_, event| created(event));
        installs = match &self.args.retry_unknown {
            Some(numbers) if numbers.is_empty() => installs.unknown_rows(UnknownRows::Retry),
            numbers => numbers
                .iter()
                .flatten()
                .fold(installs, |installs, number| installs.retry_unknown(*number)),
        };
        if let Some(concurrency) = self.args.concurrency {
            installs = installs.concurrency(concurrency);
        }
        let mut outcomes = installs.start();
        exit_at_third_signal();
        let mut signals = pin!(interrupted());
        let began = Instant::now();
        let mut signal = None;
        let mut stopping = false;
        self.progress.start();
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            let outcome = tokio::select! {
                // Update the remaining time every second, even without an outcome.
                _ = seconds.tick() => {
                    self.progress.advance(&self.summary);
                    continue;
                }
                outcome = outcomes.next() => outcome,
                code = &mut signals => {
                    signals.set(interrupted());
                    signal = Some(code);
                    if std::mem::replace(&mut stopping, true) {
                        break;
                    }
                    outcomes.shut_down();
                    self.print_stopping("Press Ctrl-C again");
                    continue;
                }
            };
            let Some(outcome) = outcome else { break };
            self.take(&outcome, stopping, outcomes.is_shut_down());
            let failed = self.journal_error.is_some() || self.output_error.is_some();
            if failed && !std::mem::replace(&mut stopping, true) {
                outcomes.shut_down();
                self.print_stopping("Press Ctrl-C");
            }
        }
        // After a second signal, the installs in progress are abandoned and reported.
        let abandoned = outcomes.abandon();
        // This also detects that something else changed the journal after the last entry.
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, self.journal.drain()).await;
        let stored = matches!(drained, Ok(Ok(())));
        for outcome in abandoned {
            let state = outcome.connector_state();
            // Ready rows are in the journal, and `take` prints journal errors.
            let is_printed = matches!(outcome.result, Ok(_) | Err(Error::Journal(_)));
            if !stored && !is_printed && state.may_exist() {
                self.print_not_in_journal(&self.outcome(&outcome), state);
            }
            self.take(&outcome, true, true);
        }
        if let (Ok(Err(error)), None) = (drained, &self.journal_error) {
            self.journal_error = Some((error, ConnectorState::NotCreated));
        }
        self.progress.display.finish();
        self.report_unfinished();
        self.report_unknown().await;
        if let Err(error) = self.out.flush() {
            self.output_error = Some(error);
        }
        self.summary.finish(began.elapsed());
        self.end(signal)
    }

    /// Prints that the batch is shutting down, and how to end it at once.
    fn print_stopping(&self, how_to_exit: &str) {
        self.progress.display.print(&format!(
            "Stopping: waiting for requests in flight. {how_to_exit} to exit without waiting."
        ));
    }

    fn outcome(&self, outcome: &BatchOutcome) -> Outcome {
        Outcome::of_install(self.input.line(outcome.request.phone_number_id()), outcome)
    }

    /// Counts, prints and writes the outcome of an install. `stopping` is true if this command shut the batch down.
    fn take(&mut self, outcome: &BatchOutcome, stopping: bool, shut_down: bool) {
        self.plan.unfinished.remove(&outcome.request.phone_number_id());
        if outcome.from_journal {
            self.summary.ready_before += u64::from(outcome.result.is_ok());
            self.progress.skip();
            let line = self.input.line(outcome.request.phone_number_id());
            return self.report(Outcome::skipped(line, &outcome.request, outcome.state));
        }
        let row = self.outcome(outcome);
        let shut_itself_down = shut_down && !stopping;
        if let Err(Error::Journal(error)) = &outcome.result {
            self.print_not_in_journal(&row, outcome.connector_state());
            // If the install had ended, the journal already has the connector.
            let is_lost = error.ended.is_none() && error.state.connector_id().is_some();
            self.summary.not_in_journal += u64::from(is_lost);
            if self.journal_error.is_none() || error.state.may_exist() {
                let source = io::Error::new(error.source.kind(), error.source.to_string());
                self.journal_error = Some((source, error.state));
            }
        } else if let Err(error) = &outcome.result
            && let Some(status @ (401..=403 | 429)) = error.status()
            && shut_itself_down
        {
            // `end` prints this error as the reason of the shutdown.
            let hint = error.hint().unwrap_or_default().to_owned();
            self.refused.get_or_insert_with(|| (status, error.chain(), hint));
        } else if let Err(error) = &outcome.result
            && !shut_down
            && row.status != Status::Stopped
        {
            // After a shutdown, the reason for the failures is printed once.
            self.print_failure(&row, error);
        }
        if let Some(warning) = outcome.state.warning() {
            self.print_warning(&row, warning);
        }
        self.report(row);
        self.progress.advance(&self.summary);
    }

    /// Prints the error of a row. Prints what to do after a refusal, unless the same was printed for another row.
    fn print_failure(&mut self, row: &Outcome, error: &Error) {
        let number = row.phone_number_id;
        let hint = match error.existing() {
            _ if row.status != Status::Refused => None,
            [id] => {
                let command = unknown::command(self.args);
                Some(format!(
                    "If connector {id} is the one you want: {command} --adopt {number}={id}"
                ))
            }
            _ => install_hint(error, number, Some(&self.args.shared)),
        };
        if self.args.shared.json {
            self.progress.display.print_always(&to_json(&json!({
                "event": "failed", "line": row.line, "name": row.name, "phoneNumberId": number,
                "status": row.status, "connectorId": row.connector_id, "error": row.error,
                "hint": hint,
            })));
            return;
        }
        let mut text = format!("{}: {}", row.label(), row.error.as_deref().unwrap_or_default());
        if let Some(hint) = hint
            && self.hints.insert(hint.clone())
        {
            text = format!("{text}\nhint: {hint}");
        }
        self.progress.print_failure(&text);
    }

    /// Prints the warning of an outcome. Warnings are never left out.
    fn print_warning(&self, row: &Outcome, warning: Warning) {
        let line = if self.args.shared.json {
            to_json(&json!({
                "event": "warning", "phoneNumberId": row.phone_number_id, "warning": warning,
            }))
        } else {
            format!("{}: warning: {warning}", row.label())
        };
        self.progress.display.print_always(&line);
    }

    /// Prints a row that the journal could not store. Its connector id may be recorded nowhere else.
    fn print_not_in_journal(&self, row: &Outcome, state: ConnectorState) {
        let line = if self.args.shared.json {
            to_json(&json!({
                "event": "not-in-journal", "line": row.line, "phoneNumberId": row.phone_number_id,
                "connectorState": state.kind(), "connectorId": row.connector_id,
                "channelId": row.channel_id, "error": row.error,
            }))
        } else {
            format!("{}: {}", row.label(), row.error.as_deref().unwrap_or_default())
        };
        self.progress.display.print_always(&line);
    }

    /// Reports rows that earlier runs left unfinished and that this run did not reach before it was stopped.
    fn report_unfinished(&mut self) {
        if self.plan.unfinished.is_empty() {
            return;
        }
        for request in self.input.rows() {
            if let Some(row) = self.plan.unfinished.remove(&request.phone_number_id()) {
                let line = self.input.line(request.phone_number_id());
                self.report(Outcome::skipped(line, &request, row));
            }
        }
    }

    /// Prints the rows whose outcome is unknown, with the commands that settle them.
    async fn report_unknown(&mut self) {
        if self.unknown.is_empty() {
            return;
        }
        // The journal has the time of each POST.
        let journal = tokio::time::timeout(DRAIN_TIMEOUT, self.journal.load()).await;
        let journal = journal.ok().and_then(Result::ok).unwrap_or_default();
        for row in self.unknown.drain(..) {
            let sent_at = journal.row(row.phone_number_id).sent_at();
            self.progress.display.print_always(&unknown::describe(self.args, &row, sent_at));
        }
    }

    fn report(&mut self, outcome: Outcome) {
        self.summary.count(&outcome);
        if let Err(error) = self.out.write(&outcome) {
            self.output_error = Some(error);
            self.out = OutcomeWriter::Nowhere;
        }
        if matches!(outcome.status, Status::Unknown | Status::Exists) {
            self.unknown.push(outcome);
        }
    }

    /// Returns the exit code and the error that ended the batch. The code is for the signal, or else the worst outcome.
    fn end(&mut self, signal: Option<Code>) -> (Code, Option<CliError>) {
        let worst = match self.summary.code() {
            // The journal failed before the first POST, so Bird was not necessarily unreachable.
            Code::Unreachable if self.journal_error.is_some() => Code::Unexpected,
            worst => worst,
        };
        let mut state = self.summary.state();
        let (message, hint) = if let Some((error, of)) = self.journal_error.take() {
            state = if of.may_exist() { of } else { state };
            self.summary.journal_changed = error.kind() == ErrorKind::InvalidData;
            let hint = if self.summary.journal_changed {
                "Put the journal back as it was before you run the command again. If it is lost, first remove the rows of \
                 phone numbers that have a connector in the Bird dashboard: with a new journal, they would be created \
                 again."
            } else {
                "Correct the cause and run the same command, with --adopt PHONE_NUMBER_ID=CONNECTOR_ID for each connector \
                 that is printed above. These connectors are not created again."
            };
            (
                format!("the journal could not be written, and the batch was stopped: {error}"),
                hint.to_owned(),
            )
        } else if let Some(error) = self.output_error.take() {
            let hint = "The journal has what was done. Correct the cause and run the same command to continue.";
            (format!("the output could not be written: {error}"), hint.to_owned())
        } else if let Some((status, error, help)) = self.refused.take() {
            let check = format!("{help} Run `bird-sms check` for details.");
            let (reason, hint) = match status {
                402 => (
                    "Bird requires payment",
                    "Add money to the wallet of the workspace, then run the same command to continue.",
                ),
                429 => (
                    "Bird refused every request with 429 for a whole timeout",
                    "Another program may be using up the rate limit. Run the same command later to continue.",
                ),
                _ => ("the access key was refused", &*check),
            };
            (format!("{reason}, and the batch was stopped: {error}"), hint.to_owned())
        } else {
            return (signal.unwrap_or(worst), None);
        };
        let failed = if worst == Code::Done { Code::Unexpected } else { worst };
        let code = signal.unwrap_or(failed);
        (code, Some(CliError::Aborted(Aborted { code, message, state, hint: Some(hint) })))
    }
}
