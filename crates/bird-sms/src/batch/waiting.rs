//! The rows of a batch that are not finished: those with a request in progress, and those that wait for their next
//! poll.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::slot::{Batch, BatchSlot};
use super::{BatchItem, BatchOutcome};
use crate::client::{TimeId, Workspace};
use crate::transport::{Deadline, Runtime};
use crate::workflow::{GetHistory, LastAttempt, poll_delay};
use crate::{PollInterval, ProvisioningTime};

/// The number of probes: connectors that are polled while nothing is known about provisioning. Each second adds one,
/// because the first ones may end without a channel, or take longer than all others. Where many connectors wait, one is
/// enough to begin with, because most of them are reported seconds late anyway.
const PROBES: u64 = 4;
/// The time between two checks whether something is known.
const CHECK: Duration = Duration::from_millis(100);
/// A backlog of GETs that takes this many times the price of a poll makes gaps twice as long.
const BUSY: u32 = 4;

/// A connector that waits for its next poll. There may be many of them, so that each is small.
#[derive(Debug)]
struct Waiting {
    /// The state of the row has the id of the connector.
    item: BatchItem,
    polls: Polls,
}

/// What is known from the polls of a connector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polls {
    /// When the connector was created, or the wait for it began.
    pub(super) since: Instant,
    /// How long before that an earlier run created the connector, in seconds.
    before: f32,
    /// The time from `since` to the last poll that found the channel pending, in seconds.
    pending: f32,
    sent: u32,
    time: Option<TimeId>,
    malformed: u8,
    seen: bool,
    /// Whether this run created the connector.
    pub(super) created: bool,
    /// The rank among the probes, from 1 to 255, or 0 for another connector.
    probe: u8,
}

impl Polls {
    pub(super) fn new(since: Instant, created: bool) -> Self {
        let (before, pending, sent) = (0.0, 0.0, 0);
        let (time, malformed, seen, probe) = (None, 0, false, 0);
        Self { since, before, pending, sent, time, malformed, seen, created, probe }
    }

    /// Starts the wait for a connector that an earlier run created, at this time by the system clock if it is known.
    pub(super) fn resume(runtime: &dyn Runtime, created_at: Option<Timestamp>) -> Self {
        let before = created_at
            .and_then(|time| runtime.system_time().duration_since(time.into()).ok())
            .unwrap_or_default();
        Self { before: before.as_secs_f32(), ..Self::new(runtime.now(), false) }
    }

    pub(super) fn history(&self) -> GetHistory {
        let (sent, seen, malformed) = (self.sent, self.seen, self.malformed.into());
        GetHistory { sent, seen, malformed, last_sent: None }
    }

    pub(super) fn deadline(&self, workspace: &Workspace) -> Deadline {
        Deadline::start(self.since, workspace.client().install_timeout())
    }

    /// Returns when the last poll was made, or the connector was created.
    pub(super) fn last(&self) -> Instant {
        self.since + Duration::from_secs_f32(self.pending)
    }

    /// Returns when the connector is polled next, or `None` if the deadline leaves no time for it.
    pub(super) fn next(&self, workspace: &Workspace) -> Option<Instant> {
        if self.sent == 0 && !self.created {
            // A resumed connector is polled at once.
            return Some(self.since);
        }
        let last = self.last();
        let age = Duration::from_secs_f32(self.before + self.pending);
        let delay = poll_delay(workspace, age, self.sent, 1);
        let remaining = self.deadline(workspace).remaining(last);
        LastAttempt::At(&workspace.state().response_time)
            .fit(delay, None, remaining)
            .map(|delay| last + delay)
    }

    /// Returns whether a poll now is the last one that the deadline leaves time for.
    fn is_last(&self, workspace: &Workspace, now: Instant) -> bool {
        let reserve = workspace.state().response_time.reserve();
        self.deadline(workspace).remaining(now) <= reserve + CHECK
    }

    /// Learns from a poll, and returns the provisioning time if it is known. `continued` is when the process last
    /// continued after a stop: a channel that was pending before may have been ready for as long.
    pub(super) fn observe(
        &mut self,
        workspace: &Workspace,
        history: GetHistory,
        continued: Option<Instant>,
        ready: bool,
    ) -> Option<ProvisioningTime> {
        let times = &workspace.state().provisioning;
        let sent = history.last_sent.unwrap_or(self.since);
        let age = sent.saturating_duration_since(self.since);
        if ready {
            let pending = Duration::from_secs_f32(self.pending);
            let is_known = self.created && continued.is_none_or(|at| self.last() >= at);
            return is_known.then(|| {
                times.observe(self.time, pending, Some(age));
                ProvisioningTime { pending, ready: age }
            });
        }
        (self.sent, self.seen, self.pending) = (history.sent, history.seen, age.as_secs_f32());
        self.malformed = u8::try_from(history.malformed).unwrap_or(u8::MAX);
        if self.created {
            self.time = times.observe(self.time, age, None);
        }
        None
    }
}

/// The rows that are not finished.
#[derive(Debug)]
pub(super) struct Rows {
    inner: Mutex<Inner>,
    /// Notified when a row begins to wait, and when a request ends.
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct Inner {
    /// The rows with a request in progress, by their address.
    active: HashMap<usize, Arc<BatchSlot>>,
    /// The rows that wait, by the time of their next poll.
    later: BinaryHeap<Reverse<Later>>,
    /// The rows whose next poll is due, in this order: its time has come, and it waits for a permit.
    due: VecDeque<Box<Waiting>>,
    /// The number of rows of `later` in the workspace's count.
    counted: u32,
    /// The number of rows that began to wait.
    count: u64,
    probes: u64,
    /// When the first probe was made.
    first_probe: Option<Instant>,
    /// The longest backlog of GETs since the polls were planned again.
    backlog: Duration,
    /// `None` for a row for which nothing was sent.
    outcomes: mpsc::UnboundedSender<Option<BatchOutcome>>,
}

/// A row that waits until a time. The number tells rows with the same time apart.
#[derive(Debug)]
struct Later {
    at: Instant,
    nth: u64,
    waiting: Box<Waiting>,
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Later {}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

fn address(slot: &Arc<BatchSlot>) -> usize {
    Arc::as_ptr(slot).addr()
}

impl Rows {
    pub(super) fn new(outcomes: mpsc::UnboundedSender<Option<BatchOutcome>>) -> Self {
        let inner = Inner {
            active: HashMap::new(),
            later: BinaryHeap::new(),
            due: VecDeque::new(),
            counted: 0,
            count: 0,
            probes: 0,
            first_probe: None,
            backlog: Duration::ZERO,
            outcomes,
        };
        Self { inner: Mutex::new(inner), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of rows with a request in progress.
    pub(super) fn active(&self) -> usize {
        self.lock().active.len()
    }

    /// Adds a row with a request in progress.
    pub(super) fn begin(&self, item: BatchItem) -> Arc<BatchSlot> {
        let slot = Arc::new(BatchSlot::new(item, false));
        self.lock().active.insert(address(&slot), Arc::clone(&slot));
        slot
    }

    /// Removes a row with its outcome.
    pub(super) fn end(&self, slot: &Arc<BatchSlot>, outcome: Option<BatchOutcome>) {
        let mut inner = self.lock();
        inner.active.remove(&address(slot));
        // The receiver is gone when the batch was dropped.
        let _ = inner.outcomes.send(outcome);
    }

    /// Lets a row wait until a time.
    pub(super) fn wait(&self, slot: &Arc<BatchSlot>, item: BatchItem, polls: Polls, at: Instant) {
        let mut inner = self.lock();
        inner.active.remove(&address(slot));
        inner.push(Box::new(Waiting { item, polls }), at);
        drop(inner);
        self.changed.notify_one();
    }

    /// Returns the time of the next poll, which is `now` if a row is due.
    pub(super) fn next(&self, workspace: &Workspace, now: Instant) -> Option<Instant> {
        let inner = &mut *self.lock();
        inner.plan_again(workspace);
        while inner.later.peek().is_some_and(|Reverse(later)| later.at <= now)
            && let Some(Reverse(later)) = inner.later.pop()
        {
            inner.due.push_back(later.waiting);
            workspace.state().due.fetch_add(1, Ordering::Relaxed);
        }
        inner.count_later(workspace);
        inner.backlog = inner.backlog.max(workspace.state().gets_backlog());
        let later = || inner.later.peek().map(|Reverse(later)| later.at);
        inner.due.front().map(|_| now).or_else(later)
    }

    /// Returns the first row whose poll is still due by what is known now, with a request in progress from here on.
    /// The others wait again.
    pub(super) fn take_due(
        &self,
        workspace: &Workspace,
        now: Instant,
    ) -> Option<(Arc<BatchSlot>, Polls)> {
        let mut inner = self.lock();
        let by_price = matches!(workspace.client().poll().interval, PollInterval::Price(_));
        while let Some(mut waiting) = inner.due.pop_front() {
            workspace.state().due.fetch_sub(1, Ordering::Relaxed);
            let polls = &mut waiting.polls;
            if by_price && polls.created && !workspace.state().provisioning.is_known() {
                let first = *inner.first_probe.get_or_insert(now);
                let few = workspace.state().later_gets().is_zero();
                let probes = if few { PROBES } else { 1 };
                let allowed = probes + now.saturating_duration_since(first).as_secs();
                let rank = if polls.probe == 0 { inner.probes + 1 } else { polls.probe.into() };
                if rank > allowed && !polls.is_last(workspace, now) {
                    inner.push(waiting, now + CHECK);
                    continue;
                }
                inner.probes = inner.probes.max(rank);
                polls.probe = u8::try_from(rank).unwrap_or(u8::MAX);
            }
            if by_price && let Some(at) = polls.next(workspace).filter(|at| *at > now) {
                inner.push(waiting, at);
                continue;
            }
            let slot = Arc::new(BatchSlot::new(waiting.item, waiting.polls.created));
            inner.active.insert(address(&slot), Arc::clone(&slot));
            return Some((slot, waiting.polls));
        }
        None
    }

    /// Returns all rows that wait, with a request in progress from here on.
    pub(super) fn take_waiting(&self, workspace: &Workspace) -> Vec<(Arc<BatchSlot>, Polls)> {
        let inner = &mut *self.lock();
        let waiting = inner.take_waiting(workspace);
        let begin = |waiting: Waiting| {
            let slot = Arc::new(BatchSlot::new(waiting.item, waiting.polls.created));
            inner.active.insert(address(&slot), Arc::clone(&slot));
            (slot, waiting.polls)
        };
        waiting.into_iter().map(begin).collect()
    }

    /// Removes all rows, and returns the outcomes of those for which a request was sent.
    pub(super) fn abandon(&self, workspace: &Workspace) -> Vec<BatchOutcome> {
        let mut inner = self.lock();
        let waiting = inner.take_waiting(workspace);
        let waiting = waiting.into_iter().map(|row| BatchSlot::new(row.item, row.polls.created));
        let active = inner.active.drain().filter_map(|(_, slot)| slot.abandon());
        active.chain(waiting.filter_map(|slot| slot.abandon())).collect()
    }
}

/// The connectors of a batch that is dropped are no part of the price of other polls.
impl Drop for Batch {
    fn drop(&mut self) {
        self.rows.lock().take_waiting(&self.workspace);
    }
}

impl Inner {
    /// Plans the next polls again when GETs become idle, for the rows that were polled before. While many polls were due,
    /// a poll had a high price, and the next one was planned late.
    fn plan_again(&mut self, workspace: &Workspace) {
        let PollInterval::Price(policy) = workspace.client().poll().interval else { return };
        let backlog = workspace.state().gets_backlog();
        self.backlog = self.backlog.max(backlog);
        // Between these limits nothing is done, so that a few polls that are due do not cause it again and again.
        if backlog > policy.price || self.backlog < policy.price.saturating_mul(BUSY) {
            return;
        }
        self.backlog = backlog;
        let plan = |Reverse(mut later): Reverse<Later>| {
            let polls = &later.waiting.polls;
            if polls.sent > 0
                && let Some(at) = polls.next(workspace)
            {
                later.at = later.at.min(at);
            }
            Reverse(later)
        };
        self.later = std::mem::take(&mut self.later).into_iter().map(plan).collect();
    }

    /// Updates the workspace's count of connectors whose poll is not due.
    fn count_later(&mut self, workspace: &Workspace) {
        let count = u32::try_from(self.later.len()).unwrap_or(u32::MAX);
        // The sum wraps, as the difference does.
        workspace.state().later.fetch_add(count.wrapping_sub(self.counted), Ordering::Relaxed);
        self.counted = count;
    }

    fn push(&mut self, waiting: Box<Waiting>, at: Instant) {
        self.count += 1;
        let nth = self.count;
        self.later.push(Reverse(Later { at, nth, waiting }));
    }

    fn take_waiting(&mut self, workspace: &Workspace) -> Vec<Waiting> {
        let due = std::mem::take(&mut self.due);
        let count = u32::try_from(due.len()).unwrap_or(u32::MAX);
        workspace.state().due.fetch_sub(count, Ordering::Relaxed);
        let later = std::mem::take(&mut self.later).into_iter();
        self.count_later(workspace);
        due.into_iter().chain(later.map(|Reverse(later)| later.waiting)).map(|row| *row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_that_waits_takes_two_hundred_bytes() {
        assert!(size_of::<Waiting>() <= 200, "{}", size_of::<Waiting>());
    }
}
