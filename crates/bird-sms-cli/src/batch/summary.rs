use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bird_sms::ConnectorState;
use serde::Serialize;

use super::outcome::Outcome;
use crate::exit::Code;
use crate::status::Status;

/// How many rows of a batch have each outcome.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) rows: u64,
    pub(super) ready: u64,
    /// The ready rows that were already ready before this run.
    pub(super) ready_before: u64,
    /// The connectors that this run created.
    created: u64,
    not_ready: u64,
    /// The rows whose connector exists, but whose wait was stopped.
    pub(super) stopped: u64,
    /// The rows counted as stopped or not ready that are missing from the journal.
    pub(super) not_in_journal: u64,
    /// True if something else changed or removed the journal.
    #[serde(skip)]
    pub(super) journal_changed: bool,
    /// How many rows were refused, by HTTP status and error code. The key is empty for a configuration error.
    refused: BTreeMap<String, u64>,
    unreachable: u64,
    unknown: u64,
    exists: u64,
    /// The rows that may have a second connector.
    possible_duplicates: u64,
    /// The rows that this run did not begin before it was stopped.
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

    /// Returns how many rows have an outcome from this run or an earlier one.
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

    /// Returns `Unknown` if any row has or may have a connector without a ready channel.
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
        // The rows that are missing from the journal were also counted as stopped or not ready.
        let stopped = (self.stopped + self.not_ready).saturating_sub(self.not_in_journal);
        let not_ready = self.not_ready.min(stopped);
        for (count, what) in [
            (not_ready, Status::NotReady.text()),
            (stopped - not_ready, Status::Stopped.text()),
            (
                self.not_in_journal,
                "exist but are not in the journal; give --adopt PHONE_NUMBER_ID=CONNECTOR_ID for each one that is printed above",
            ),
            (self.refused(), &refusals),
            (self.unreachable, Status::Unreachable.text()),
            (self.unknown, Status::Unknown.text()),
            (self.exists, Status::Exists.text()),
            (self.possible_duplicates, "may have a second connector; check the Bird dashboard"),
            (self.not_begun, "not begun"),
        ] {
            // If the journal was changed, leave out the advice: the same command could create everything again.
            let what =
                if self.journal_changed { what.split(';').next().unwrap_or(what) } else { what };
            if count > 0 {
                let _ = write!(text, "\n{count} {what}");
            }
        }
        text
    }
}
