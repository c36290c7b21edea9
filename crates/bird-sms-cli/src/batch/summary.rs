use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bird_sms::ConnectorState;
use serde::Serialize;

use super::outcome::Outcome;
use crate::exit::Code;
use crate::status::Status;

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
    /// The rows whose connector exists, and whose wait was stopped.
    pub(super) stopped: u64,
    /// The stopped and not ready rows that the journal lacks.
    pub(super) not_in_journal: u64,
    /// True if something else changed or removed the journal.
    #[serde(skip)]
    pub(super) journal_changed: bool,
    /// The number of refused rows by status and code. The key of a configuration error is empty.
    refused: BTreeMap<String, u64>,
    unreachable: u64,
    unknown: u64,
    exists: u64,
    /// The rows that may have a second connector.
    possible_duplicates: u64,
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
        self.possible_duplicates += u64::from(outcome.warning.is_some());
        match outcome.status {
            Status::Stopped => self.stopped += 1,
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

    fn refused(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Returns the number of rows that have an outcome, of this run or an earlier one.
    pub(super) fn ended(&self) -> u64 {
        let exist = self.ready + self.not_ready + self.stopped + self.unknown + self.exists;
        exist + self.refused() + self.unreachable
    }

    pub(super) fn finish(&mut self, elapsed: Duration) {
        self.not_begun = self.rows - self.ended();
        self.elapsed_seconds = elapsed.as_secs_f64();
    }

    /// Returns the exit code of the worst outcome.
    pub(super) fn code(&self) -> Code {
        [
            (self.unknown + self.exists, Status::Unknown.code()),
            (self.not_ready + self.stopped, Status::NotReady.code()),
            (self.refused(), Status::Refused.code()),
            (self.unreachable, Status::Unreachable.code()),
            (self.not_begun, Code::Unexpected),
        ]
        .into_iter()
        .find_map(|(count, code)| (count > 0).then_some(code))
        .unwrap_or(Code::Done)
    }

    /// Returns `Unknown` if a row has a connector, or may have one, whose channel is not ready.
    pub(super) fn state(&self) -> ConnectorState {
        if self.unknown + self.exists + self.not_ready + self.stopped > 0 {
            ConnectorState::Unknown
        } else {
            ConnectorState::NotCreated
        }
    }

    pub(super) fn text(&self) -> String {
        let plural = if self.created == 1 { "" } else { "s" };
        let mut text = format!(
            "{} of {} rows ready ({} before this run), {} connector{plural} created, in {:.1} s",
            self.ready, self.rows, self.ready_before, self.created, self.elapsed_seconds
        );
        let kinds: Vec<_> =
            self.refused.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        let refusals = format!("{} ({})", Status::Refused.text(), kinds.join(", "));
        // A batch whose journal fails stops, so the rows that the journal lacks are stopped.
        let stopped = (self.stopped + self.not_ready).saturating_sub(self.not_in_journal);
        let not_ready = self.not_ready.min(stopped);
        for (count, what) in [
            (not_ready, Status::NotReady.text()),
            (stopped - not_ready, Status::Stopped.text()),
            (
                self.not_in_journal,
                "exist and are not in the journal; give --adopt NUMBER=ID for each one that is printed above",
            ),
            (self.refused(), &refusals),
            (self.unreachable, Status::Unreachable.text()),
            (self.unknown, Status::Unknown.text()),
            (self.exists, Status::Exists.text()),
            (self.possible_duplicates, "may have a second connector; check the Bird dashboard"),
            (self.not_begun, "not begun"),
        ] {
            // Without its journal, the same command would create everything again.
            let what =
                if self.journal_changed { what.split(';').next().unwrap_or(what) } else { what };
            if count > 0 {
                let _ = write!(text, "\n{count} {what}");
            }
        }
        text
    }
}
