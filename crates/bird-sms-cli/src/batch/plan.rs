//! The plan of a batch: the next step of each row. The dry run, the report of skipped rows and the run all use it.

use std::time::Duration;

use bird_sms::{
    BatchItem, JournalState, NextStep, PhoneNumberId, RateLimits, RowState, SmsConnectorRequest,
    UnknownRows,
};
use serde::Serialize;

use crate::json::to_json;

/// The next step of each row, by the journal.
pub(super) struct Plan {
    journal: JournalState,
    unknown: UnknownRows,
    pub(super) counts: Counts,
}

/// The number of rows by next step.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    rows: u64,
    #[serde(rename = "toCreate")]
    create: u64,
    #[serde(rename = "toWaitFor")]
    wait: u64,
    #[serde(rename = "ready")]
    done: u64,
    left_alone: u64,
    /// Rows of the journal that are unfinished and not in the input.
    #[serde(skip)]
    pub(super) elsewhere: u64,
    /// How long the run takes by the rate limits alone.
    at_least_seconds: f64,
}

impl Plan {
    pub(super) fn new<E>(
        rows: impl Iterator<Item = Result<SmsConnectorRequest, E>>,
        journal: JournalState,
        unknown: UnknownRows,
    ) -> Result<Self, E> {
        let unfinished = journal.rows().filter(|(_, row)| row.is_unfinished()).count();
        let mut plan = Self { journal, unknown, counts: Counts::default() };
        let mut unfinished_here = 0;
        for row in rows {
            let number = row?.phone_number_id();
            unfinished_here += u64::from(plan.row(number).is_unfinished());
            plan.counts.rows += 1;
            *match plan.next(number) {
                NextStep::Create => &mut plan.counts.create,
                NextStep::Wait(_) => &mut plan.counts.wait,
                NextStep::Done => &mut plan.counts.done,
                NextStep::LeaveAlone => &mut plan.counts.left_alone,
            } += 1;
        }
        plan.counts.elsewhere = unfinished as u64 - unfinished_here;
        Ok(plan)
    }

    pub(super) fn row(&self, number: PhoneNumberId) -> RowState {
        self.journal.row(number)
    }

    pub(super) fn next(&self, number: PhoneNumberId) -> NextStep {
        self.row(number).next(self.unknown)
    }

    /// Returns the item of a row, if the batch does anything for the row.
    pub(super) fn item(&self, request: SmsConnectorRequest) -> Option<BatchItem> {
        let row = self.row(request.phone_number_id());
        match row.next(self.unknown) {
            NextStep::Create | NextStep::Wait(_) => {
                Some(BatchItem::resume(request, row).unknown_rows(self.unknown))
            }
            NextStep::LeaveAlone | NextStep::Done => None,
        }
    }

    /// Describes the plan, as text or as JSON.
    pub(super) fn describe(&self, limits: RateLimits, json: bool) -> String {
        let Counts { rows, create, wait, done, left_alone, .. } = self.counts;
        let posts = Duration::from_secs(create) / limits.posts_per_second;
        let gets = Duration::from_secs(create + wait) / limits.gets_per_second;
        let at_least = posts.max(gets).as_secs_f64();
        if json {
            return to_json(&Counts { at_least_seconds: at_least, ..self.counts });
        }
        let plural = if rows == 1 { "" } else { "s" };
        format!(
            "{rows} row{plural}, nothing sent: {create} would be installed, {wait} waited for, {done} are ready, \
             {left_alone} are left alone because a connector may exist. The run takes at least {at_least:.1} s by the \
             rate limits, and the time of one provisioning"
        )
    }
}
