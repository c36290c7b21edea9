//! `bird-sms numbers` and `use-cases`, and the lookup of phone numbers for other commands.

use std::collections::{BTreeSet, HashMap};
use std::convert::{Infallible, identity};
use std::fmt::Write as _;
use std::future;
use std::io::{self, IsTerminal};
use std::time::Duration;

use bird_sms::{
    ConnectorId, ConnectorState, EndpointType, Number, NumbersError, PhoneNumberId, Requirement,
    UseCase, Workspace, escape_controls,
};
use futures_util::{Stream, TryStreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{NumbersArgs, UseCasesArgs};
use crate::error::CliError;
use crate::json::to_json;
use crate::output::{print, print_message};
use crate::signal::{aborted, interrupted};
use crate::workspace::build_workspace;

pub(crate) async fn list(args: &NumbersArgs) -> Result<(), CliError> {
    let connected = build_workspace(&args.shared, identity).await?;
    let workspace = &connected.workspace;
    let mut numbers = read(workspace.numbers()).await?;
    if args.rows {
        return print(&rows(&numbers));
    }
    for other in [read(workspace.short_codes()).await, read(workspace.alphanumeric_senders()).await]
    {
        match other {
            Ok(other) => numbers.extend(other),
            // The key may be allowed to view only long code numbers.
            Err(CliError::Numbers(error)) => warn(&error),
            Err(error) => return Err(error),
        }
    }
    if args.shared.json {
        return print_json_lines(numbers.iter().map(|number| {
            json!({
                "phoneNumberId": number.id,
                "phoneNumber": number.phone_number,
                "country": number.country,
                "type": kind(number),
                "connectorIds": number.connectors,
            })
        }));
    }
    let cells = |number: &Number| {
        let country = number.country.clone().unwrap_or_default();
        let connectors: Vec<_> = number.connectors.iter().map(ToString::to_string).collect();
        // `none shown` does not mean that the number is free: Bird doesn't document when a connector is shown.
        let shown =
            if connectors.is_empty() { "none shown".to_owned() } else { connectors.join(",") };
        [
            number.phone_number.clone(),
            country,
            kind(number).to_owned(),
            number.id.to_string(),
            shown,
        ]
    };
    let header = ["NUMBER", "COUNTRY", "TYPE", "ID", "CONNECTOR"];
    print(&table(header, &numbers.iter().map(cells).collect::<Vec<_>>()))
}

pub(crate) async fn use_cases(args: &UseCasesArgs) -> Result<(), CliError> {
    let connected = build_workspace(&args.shared, identity).await?;
    let use_cases = read(connected.workspace.use_cases()).await?;
    if args.shared.json {
        return print_json_lines(use_cases.iter().map(|use_case| {
            json!({ "useCaseId": use_case.id, "name": use_case.name, "status": use_case.status })
        }));
    }
    let cells = |use_case: &UseCase| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [use_case.id.to_string(), text(&use_case.name), text(&use_case.status)]
    };
    print(&table(["ID", "NAME", "STATUS"], &use_cases.iter().map(cells).collect::<Vec<_>>()))
}

fn print_json_lines(values: impl Iterator<Item = Value>) -> Result<(), CliError> {
    print(&values.map(|value| to_json(&value) + "\n").collect::<String>())
}

/// Reads a whole list, unless a signal arrives.
pub(crate) async fn read<T>(
    list: impl Stream<Item = Result<T, NumbersError>>,
) -> Result<Vec<T>, CliError> {
    tokio::select! {
        all = list.try_collect() => all.map_err(CliError::Numbers),
        code = interrupted() => Err(aborted(code, ConnectorState::NotCreated)),
        never = print_if_slow() => match never {},
    }
}

async fn print_if_slow() -> Infallible {
    tokio::time::sleep(Duration::from_secs(3)).await;
    print_message("Still reading; -v shows each attempt");
    future::pending().await
}

/// Prints a warning about something that could not be read.
pub(crate) fn warn(error: &NumbersError) {
    print_message(format_args!("Warning: {}. {}", error.chain(), error.hint()));
}

/// Returns the number type of a long code number, or the endpoint type of any other number.
fn kind(number: &Number) -> &str {
    match (&number.endpoint_type, &number.number_type) {
        (EndpointType::LongCodeNumber, number_type) => {
            number_type.as_ref().map_or("", |number_type| number_type.as_str())
        }
        (endpoint_type, _) => endpoint_type.as_str(),
    }
}

/// Returns CSV rows for a batch: one for each number that shows no connector and may have SMS.
fn rows(numbers: &[Number]) -> String {
    let mut seen = BTreeSet::new();
    let mut rows = "name,phone_number_id\n".to_owned();
    for number in numbers {
        if number.connectors.is_empty() && !number.excludes_sms() && seen.insert(number.id) {
            let name = escape_controls(&number.phone_number).replace('"', "\"\"");
            let quote = if name.contains(['"', ',']) { "\"" } else { "" };
            let _ = writeln!(rows, "{quote}SMS {name}{quote},{}", number.id);
        }
    }
    rows
}

/// Formats rows as lines: with a header and aligned columns on a terminal, and separated by tabs elsewhere.
fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| escape_controls(cell).into_owned()))
        .collect();
    let is_aligned = io::stdout().is_terminal();
    if is_aligned {
        rows.insert(0, header.map(str::to_owned));
    }
    let width = |nth: usize| rows.iter().map(|row| row[nth].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| if is_aligned { format!("{cell:width$}") } else { cell.clone() });
        let separator = if is_aligned { "  " } else { "\t" };
        cells.collect::<Vec<_>>().join(separator).trim_end_matches(' ').to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The result of a check of a number.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    phone_number_id: PhoneNumberId,
    phone_number: Option<String>,
    connector_ids: Vec<ConnectorId>,
    /// Reasons why the number cannot send yet.
    pub(crate) missing: Vec<String>,
    /// Notes, such as the connectors that use the number.
    notes: Vec<String>,
    /// True if the number or its requirements could be read.
    #[serde(skip)]
    pub(crate) is_read: bool,
}

impl Report {
    /// Reads a number and its requirements. Prints a warning for each part that the key may not view.
    pub(crate) async fn read(workspace: &Workspace, id: PhoneNumberId) -> Result<Self, CliError> {
        let mut report = Self {
            phone_number_id: id,
            phone_number: None,
            connector_ids: Vec::new(),
            missing: Vec::new(),
            notes: Vec::new(),
            is_read: true,
        };
        match known(read(stream::once(workspace.number(id))).await)? {
            Some(numbers) => numbers.into_iter().for_each(|number| report.add_number(number)),
            None => report.notes.push("the state of the number is unknown".to_owned()),
        }
        if let Some(requirements) = known(read(workspace.requirements(id)).await)? {
            for it in &requirements {
                report.add_requirement(it);
            }
        } else {
            // A 404 means that Bird did not find the number, not that it has no requirements.
            report.is_read = report.phone_number.is_some();
            report.notes.push("its requirements are unknown".to_owned());
        }
        Ok(report)
    }

    fn add_number(&mut self, number: Number) {
        if number.excludes_sms() {
            self.missing.push("the number has no SMS".to_owned());
        }
        for state in number.states.iter().filter(|it| it.capability.starts_with("sms-")) {
            let mut text = format!("{} is {}", state.capability, state.status);
            if !state.issues.is_empty() {
                text = format!("{text}: {}", state.issues.join(", "));
            }
            match &*state.status {
                "active" => {}
                "inactive" => self.missing.push(text),
                _ => self.notes.push(text),
            }
        }
        for id in &number.connectors {
            self.notes.push(format!(
                "connector {id} uses the number; `bird-sms wait {id}` prints its channel"
            ));
        }
        self.phone_number = Some(number.phone_number);
        self.connector_ids = number.connectors;
    }

    fn add_requirement(&mut self, requirement: &Requirement) {
        if !requirement.is_satisfied() {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
            let Requirement { kind, name, status, message, issues, .. } = requirement;
            let reasons = message.iter().chain(issues).cloned().collect::<Vec<_>>().join("; ");
            let reasons = if reasons.is_empty() { reasons } else { format!(": {reasons}") };
            let what = format!("requirement {} ({})", text(name), text(kind));
            self.missing.push(format!("{what} is {}{reasons}", text(status)));
        }
    }

    /// Returns the report as lines.
    pub(crate) fn text(&self) -> String {
        let number = self.phone_number.as_deref().unwrap_or("unknown");
        let mut lines = vec![format!("Number {number} ({})", self.phone_number_id)];
        lines.extend(self.missing.iter().map(|text| format!("Missing: {text}")));
        lines.extend(self.notes.iter().map(|text| format!("Note: {text}")));
        if self.missing.is_empty() && self.is_read {
            lines.push("Nothing is known to be missing.".to_owned());
        }
        lines.iter().map(|line| escape_controls(line)).collect::<Vec<_>>().join("\n")
    }
}

/// Prints a warning and returns `None` if a read is not allowed or its response is not as documented.
fn known<T>(result: Result<T, CliError>) -> Result<Option<T>, CliError> {
    match result {
        Ok(read) => Ok(Some(read)),
        Err(CliError::Numbers(error))
            if error
                .response()
                .is_some_and(|it| it.problem.is_some() || matches!(it.status, 403 | 404)) =>
        {
            warn(&error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Looks up the id of a phone number in E.164.
pub(crate) async fn find(workspace: &Workspace, number: &str) -> Result<PhoneNumberId, CliError> {
    let found = read(workspace.numbers_starting_with(number)).await?;
    choose(number, &by_number(&found)).map_err(CliError::Usage)
}

/// The ids of long code numbers by their digits. The plus is left out because Bird may leave it out.
pub(crate) type ByNumber = HashMap<String, Vec<PhoneNumberId>>;

pub(crate) fn by_number(numbers: &[Number]) -> ByNumber {
    let mut by_number = ByNumber::new();
    for Number { id, phone_number, .. } in numbers {
        let ids = by_number.entry(phone_number.trim_start_matches('+').to_owned()).or_default();
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    by_number
}

/// Returns the only id of a phone number, or a message if it has none or several.
pub(crate) fn choose(number: &str, numbers: &ByNumber) -> Result<PhoneNumberId, String> {
    let digits = number.trim_start_matches('+');
    match numbers.get(digits).map(Vec::as_slice) {
        Some([id]) => Ok(*id),
        Some(ids) => {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            Err(format!("the number {number} has several ids; give one of {}", ids.join(", ")))
        }
        None => {
            let mut longer: Vec<_> =
                numbers.keys().filter(|other| other.starts_with(digits)).collect();
            longer.sort_unstable();
            let longer: Vec<_> =
                longer.iter().take(5).map(|it| format!("+{}", escape_controls(it))).collect();
            let candidates = match &longer[..] {
                [] => "`bird-sms numbers` with the same options lists its numbers".to_owned(),
                longer => format!("it has {}", longer.join(", ")),
            };
            Err(format!("the workspace has no long code number {number}; {candidates}"))
        }
    }
}
