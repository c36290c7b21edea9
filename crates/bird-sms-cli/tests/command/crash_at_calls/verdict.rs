//! Checks of what a run with a fault leaves behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use bird_sandbox::StoredConnector;
use bird_test_peer::fixtures::nth_id;
use serde_json::Value;

use crate::harness::Rows;

/// The result of one case.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The rows of the table in which the case is counted: the call and its fault.
    pub(super) places: Vec<(String, String)>,
    pub(super) reached: bool,
    pub(super) lost: Vec<String>,
    pub(super) doubled: Vec<String>,
    pub(super) wrong_plans: Vec<String>,
}

impl Verdict {
    /// Checks that a run that was not killed has put each connector id into the journal, the outcomes or its output.
    pub(super) fn check_report(&mut self, rows: &Rows, book: &[StoredConnector], output: &Output) {
        let files = ["j.jsonl", "out.jsonl"].map(|name| std::fs::read(rows.path(name)));
        let files =
            files.into_iter().flatten().chain([output.stdout.clone(), output.stderr.clone()]);
        let text = String::from_utf8(files.collect::<Vec<_>>().concat()).unwrap();
        let unsaid = book.iter().filter(|connector| !text.contains(&connector.id.to_string()));
        self.lost.extend(unsaid.map(|connector| format!("{} is in no output", connector.id)));
    }

    /// Returns each row's next step according to the journal, and checks that it doesn't contradict the server.
    pub(super) fn check_journal(
        &mut self,
        rows: &Rows,
        book: &[StoredConnector],
    ) -> BTreeMap<String, &'static str> {
        let entries = entries(&rows.path("j.jsonl"));
        let mut plan = BTreeMap::new();
        for number in (1..=rows.count).map(nth_id) {
            let mut of_row =
                entries.iter().filter(|entry| entry["phoneNumberId"] == number.as_str());
            let last = of_row.next_back().cloned().unwrap_or_default();
            let next = match last["event"].as_str() {
                Some("intent" | "unknown" | "exists") => "leftAlone",
                Some("created" | "not-ready") => "toWaitFor",
                Some("ready") => "ready",
                None | Some(_) => "toCreate",
            };
            let stored = book.iter().find(|stored| stored.phone_number_id == number);
            let id = stored.map(|stored| stored.id.to_string());
            let contradicts = match next {
                "toCreate" => stored.is_some(),
                "leftAlone" => false,
                _ => last["connectorId"].as_str() != id.as_deref(),
            };
            if contradicts {
                self.wrong_plans.push(format!("{next} {last}, but the server has {stored:?}"));
            }
            plan.insert(number, next);
        }
        plan
    }

    /// Checks the outcomes of the next run: ready rows are on the server, and all others were left alone.
    pub(super) fn check_outcomes(
        &mut self,
        rows: &Rows,
        book: &[StoredConnector],
        next: &BTreeMap<String, &'static str>,
    ) {
        let outcomes = entries(&rows.path("out.jsonl"));
        for (number, next) in next {
            let outcome = outcomes.iter().find(|outcome| outcome["phone_number_id"] == **number);
            let outcome = outcome.cloned().unwrap_or_default();
            let stored = book.iter().find(|stored| stored.phone_number_id == *number);
            let right = match outcome["status"].as_str() {
                Some("ready") => stored.is_some_and(|stored| {
                    outcome["connector_id"] == stored.id.to_string()
                        && outcome["channel_id"] == stored.channel_id.to_string()
                }),
                Some("unknown" | "exists") => *next == "leftAlone",
                _ => false,
            };
            if !right {
                self.wrong_plans.push(format!("{next} {outcome}, but the server has {stored:?}"));
            }
        }
    }

    /// Checks that in the end each row has one connector, and that the journal has its channel.
    pub(super) fn check_end(&mut self, rows: &Rows, book: &[StoredConnector]) {
        let entries = entries(&rows.path("j.jsonl"));
        for number in (1..=rows.count).map(nth_id) {
            let stored: Vec<_> = book.iter().filter(|one| one.phone_number_id == number).collect();
            let last = entries.iter().rfind(|entry| entry["phoneNumberId"] == number.as_str());
            let last = last.cloned().unwrap_or_default();
            let is_in_journal = stored.first().is_some_and(|stored| {
                last["event"] == "ready"
                    && last["connectorId"] == stored.id.to_string()
                    && last["channelId"] == stored.channel_id.to_string()
            });
            if !is_in_journal {
                self.lost.push(format!("{number}: {stored:?} {last}"));
            }
            self.doubled.extend(stored.iter().skip(1).map(|stored| format!("{stored:?}")));
        }
    }
}

/// Returns the lines of a file that are valid JSON. A line that a fault has cut is not, unless it only lost its line
/// break.
fn entries(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
