use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bird_sms::ConnectorState;
use serde::Serialize;

use super::outcome::{Outcome, Status};
use crate::exit::Code;

/// The counts of the rows of a batch by their outcome.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) rows: u64,
    pub(super) ready: u64,
    /// The ready rows that an earlier run had finished.
    pub(super) ready_before: u64,
    /// The connectors that this run created.
    created: u64,
    not_ready: u64,
    /// The connectors among them whose creation could not be written to the journal.
    pub(super) not_in_journal: u64,
    /// The number of refused rows by status and code. The key of a configuration error is empty.
    refused: BTreeMap<String, u64>,
    unreachable: u64,
    unknown: u64,
    exists: u64,
    /// The rows that this run had not begun when it was stopped.
    pub(super) not_begun: u64,
    elapsed_seconds: f64,
}

impl Summary {
    pub(super) fn new(rows: u64) -> Self {
        Self { rows, ..Self::default() }
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        self.created += u64::from(outcome.created);
        match outcome.status {
            Status::Ready => self.ready += 1,
            Status::NotReady => self.not_ready += 1,
            Status::Refused => {
                let kind = outcome.refusal.clone().unwrap_or_default();
                *self.refused.entry(kind).or_default() += 1;
            }
            Status::Unreachable => self.unreachable += 1,
            Status::Unknown => self.unknown += 1,
            Status::Exists => self.exists += 1,
        }
    }

    /// Returns the number of rows that have an outcome, of this run or an earlier one.
    pub(super) fn ended(&self) -> u64 {
        let refused: u64 = self.refused.values().sum();
        self.ready + self.not_ready + refused + self.unreachable + self.unknown + self.exists
    }

    pub(super) fn finish(&mut self, elapsed: Duration) {
        self.not_begun = self.rows - self.ended();
        self.elapsed_seconds = elapsed.as_secs_f64();
    }

    /// Returns the exit code of the worst outcome.
    pub(super) fn code(&self) -> Code {
        if self.unknown + self.exists > 0 {
            Code::IdUnknown
        } else if self.not_ready > 0 {
            Code::NotReady
        } else if !self.refused.is_empty() {
            Code::Refused
        } else if self.unreachable > 0 {
            Code::Unreachable
        } else if self.not_begun > 0 {
            Code::Unexpected
        } else {
            Code::Done
        }
    }

    /// Returns `Unknown` if a row has a connector, or may have one, whose channel is not ready.
    pub(super) fn state(&self) -> ConnectorState {
        if self.unknown + self.exists + self.not_ready > 0 {
            ConnectorState::Unknown
        } else {
            ConnectorState::NotCreated
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} of {} rows ready ({} before this run), {} connectors created, in {:.1} s",
            self.ready, self.rows, self.ready_before, self.created, self.elapsed_seconds
        );
        let refused: u64 = self.refused.values().sum();
        let kinds: Vec<_> =
            self.refused.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        let refusals = format!("refused, no connector created ({})", kinds.join(", "));
        for (count, what) in [
            (
                self.not_ready.saturating_sub(self.not_in_journal),
                "exist without their channel; the same command continues to wait",
            ),
            (
                self.not_in_journal,
                "exist and are not in the journal; give --adopt NUMBER=ID for each one that is printed above",
            ),
            (refused, &refusals),
            (self.unreachable, "failed, no connector created"),
            (
                self.unknown,
                "unknown: a connector may exist; check the Bird dashboard, then give --adopt or --retry-unknown",
            ),
            (
                self.exists,
                "exist, and the id of their connector is not known; find it in the Bird dashboard and give --adopt",
            ),
            (self.not_begun, "not begun"),
        ] {
            if count > 0 {
                let _ = write!(text, "\n{count} {what}");
            }
        }
        text
    }
}
