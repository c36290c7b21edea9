//! The plan of a batch: the next step of each row, according to the journal.

use std::collections::HashMap;
use std::time::Duration;

use bird_sms::{
    JournalState, NextStep, PhoneNumberId, RateLimits, RowState, SmsConnectorRequest, UnknownRows,
};
use serde::Serialize;

use crate::json::to_json;

pub(super) struct Plan {
    /// The rows that an earlier run left unfinished.
    pub(super) unfinished: HashMap<PhoneNumberId, RowState>,
    pub(super) counts: Counts,
}

/// How many rows have each next step.
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
    /// How many unfinished rows of the journal are not in the input.
    #[serde(skip)]
    pub(super) elsewhere: u64,
    /// The shortest time that the rate limits allow.
    at_least_seconds: f64,
}

impl Plan {
    pub(super) fn new(
        rows: impl Iterator<Item = SmsConnectorRequest>,
        journal: &JournalState,
        unknown: impl Fn(PhoneNumberId) -> UnknownRows,
    ) -> Self {
        let mut plan = Self { unfinished: HashMap::new(), counts: Counts::default() };
        for request in rows {
            let row = journal.row(request.phone_number_id());
            if row.is_unfinished() {
                plan.unfinished.insert(request.phone_number_id(), row);
            }
            plan.counts.rows += 1;
            *match row.next(unknown(request.phone_number_id())) {
                NextStep::Create => &mut plan.counts.create,
                NextStep::Wait(_) => &mut plan.counts.wait,
                NextStep::Done => &mut plan.counts.done,
                NextStep::LeaveAlone => &mut plan.counts.left_alone,
            } += 1;
        }
        let unfinished = journal.rows().filter(|(_, row)| row.is_unfinished()).count();
        plan.counts.elsewhere = (unfinished - plan.unfinished.len()) as u64;
        plan
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
             {left_alone} not sent again because a connector may exist. The run takes at least {at_least:.1} s at these \
             rate limits, plus the time to provision a channel"
        )
    }
}
