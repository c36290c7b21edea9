//! The schedule of the polls of a connector.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::LastAttempt;
use crate::PollInterval;
use crate::client::Workspace;
use crate::transport::Deadline;

/// A sleep that overruns by more than this means that the process was stopped. What the next poll finds may have been
/// so for as long, and says nothing about how long provisioning takes.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);
/// The number of provisioning times with which an install polls by them.
const MIN_KNOWN_TIMES: usize = 20;
/// One install in this many makes one more poll, at a random time before all others, to notice a provisioning that
/// became faster.
const EXPLORE: f64 = 64.0;
/// The share of `WorkspaceState::later_gets` that the price includes where provisioning times are known: once more
/// channels are ready than GETs are left, some of those GETs wait for this one. With it, about 4 % of the GETs of a batch
/// of 1,000 installs that take 1 s to 5 s find the channel pending.
const LATER_SHARE: f64 = 0.06;
/// The most that they add to the price, as a multiple of it, so that the polls of longer batches do not begin later.
const MAX_LATER: f64 = 20.0;

/// Returns the delay between a poll of a connector and the next one.
///
/// `age` is the time since the creation, or since the start of the wait if the creation is not known, `polls` the
/// number of polls so far. Polls follow the provisioning times once `min_known` of them are known.
pub(crate) fn poll_delay(
    workspace: &Workspace,
    age: Duration,
    polls: u32,
    min_known: usize,
) -> Duration {
    let (client, state) = (workspace.client(), workspace.state());
    let random = client.runtime().random();
    let policy = match client.poll().interval {
        PollInterval::Backoff(backoff) => return backoff.delay(polls, random),
        PollInterval::Price(policy) => policy,
    };
    let own = policy.price.as_secs_f64();
    let later = (state.later_gets().as_secs_f64() * LATER_SHARE).min(own * MAX_LATER);
    let price = own + state.gets_backlog().as_secs_f64();
    let age = age.as_secs_f64();
    let delay = match state.provisioning.next_poll(age, price + later, min_known) {
        Some(next) if polls == 0 && price < 2.0 * own && random > 1.0 - 1.0 / EXPLORE => {
            // The random number is uniform in the last part of its range.
            (next - age) * (1.0 - (1.0 - random) * EXPLORE)
        }
        // In a batch, what the others teach says little about the last ones, for which most GETs are idle.
        Some(next) if polls > 0 && min_known < MIN_KNOWN_TIMES => {
            (next - age).min(policy.gap(f64::INFINITY, price, 0.5))
        }
        Some(next) => next - age,
        None => policy.gap(age, price, random),
    };
    Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX)
}

/// A timer for the polls of one connector.
pub(super) struct PollTimer<'a> {
    workspace: &'a Workspace,
    /// When the connector was created, as far as it is known.
    created: Option<Instant>,
    deadline: Deadline,
    polls: u32,
    /// Whether the next poll is made at once.
    at_once: bool,
    /// Whether another call created the connector.
    resumed: bool,
    /// Whether the process was stopped since the last poll.
    stopped: bool,
    /// The age of the connector at the last poll that found its channel pending.
    pending: Duration,
}

impl<'a> PollTimer<'a> {
    /// The response to the creation already showed the connector. A resumed connector is polled at once.
    pub(super) fn new(
        workspace: &'a Workspace,
        created: Option<Instant>,
        resumed: bool,
        deadline: Deadline,
    ) -> Self {
        let (polls, at_once, stopped, pending) = (0, resumed, false, Duration::ZERO);
        Self { workspace, created, deadline, polls, at_once, resumed, stopped, pending }
    }

    /// Waits until the next poll is due. Returns whether the deadline leaves time for it.
    pub(super) async fn next(&mut self) -> bool {
        if std::mem::take(&mut self.at_once) {
            return true;
        }
        let runtime = self.workspace.client().runtime();
        let now = runtime.now();
        let delay = poll_delay(self.workspace, self.age(now), self.polls, MIN_KNOWN_TIMES);
        self.polls = self.polls.saturating_add(1);
        let last_poll = LastAttempt::At(&self.workspace.state().response_time);
        let Some(delay) = last_poll.fit(delay, None, self.deadline.remaining(now)) else {
            return false;
        };
        // Tokio's timers have a resolution of a millisecond and round up, so that a delay of less than half a
        // millisecond is none.
        if delay >= Duration::from_micros(500) {
            runtime.sleep(delay).await;
            self.stopped |= runtime.now().saturating_duration_since(now) > delay + PAUSE;
        }
        true
    }

    /// Learns from a poll that was sent at this time.
    pub(super) fn observe(&mut self, sent: Instant, ready: bool) {
        let age = self.age(sent);
        if !ready {
            (self.pending, self.stopped) = (age, false);
        } else if !self.resumed && !self.stopped {
            self.workspace.state().provisioning.observe(None, self.pending, Some(age));
        }
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created.unwrap_or(self.deadline.started()))
    }
}
