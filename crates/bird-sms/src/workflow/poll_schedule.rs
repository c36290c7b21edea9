//! The schedule of the polls of a connector.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::LastAttempt;
use crate::client::{Probe, Workspace};
use crate::transport::{Deadline, Permit};

/// A sleep that overruns by more than this means that the process was paused. A poll after a pause says nothing about
/// how long provisioning takes.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest time between two checks of the estimate, while an install of a batch waits for its first poll.
const ESTIMATE_CHECK: Duration = Duration::from_millis(250);

/// The delays between the polls of a connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PollSchedule {
    /// By the backoff of the [`PollPolicy`](crate::PollPolicy): for one install, which should end early.
    #[default]
    Backoff,
    /// First at the age at which nearly all connectors of the workspace are ready, and rarely after that: for
    /// many installs, whose polls compete for the rate limit.
    Estimate,
}

/// A poll that is due.
pub(super) struct Due {
    /// The permit, if the schedule acquired it.
    pub(super) permit: Option<Permit>,
    /// The age of the connector, if the time of the creation is known.
    age: Option<Duration>,
    /// Whether the connector is expected to be ready.
    expected: bool,
    /// Whether the process was paused before this poll.
    paused: bool,
}

/// A timer for the polls of one connector.
pub(super) struct PollTimer<'a> {
    workspace: &'a Workspace,
    schedule: PollSchedule,
    created: Option<Instant>,
    deadline: Deadline,
    /// The number of delays so far, with which the backoff grows.
    delays: u32,
    first: bool,
    /// Whether the process was paused since the last poll.
    paused: bool,
    probe: Option<Probe<'a>>,
}

impl<'a> PollTimer<'a> {
    pub(super) fn new(
        workspace: &'a Workspace,
        schedule: PollSchedule,
        created: Option<Instant>,
        deadline: Deadline,
    ) -> Self {
        Self {
            workspace,
            schedule,
            created,
            deadline,
            delays: 0,
            first: true,
            paused: false,
            probe: None,
        }
    }

    /// Waits until the next poll is due. Returns `None` if the deadline leaves no time for a poll.
    pub(super) async fn next(&mut self) -> Option<Due> {
        let mut permit = None;
        if std::mem::take(&mut self.first) {
            // The response to the creation already showed the connector. A resumed connector is polled at once.
            if let Some(created) = self.created {
                if self.schedule == PollSchedule::Estimate {
                    permit = self.likely_ready(created).await;
                }
                if permit.is_none() {
                    let delay = self.next_delay().unwrap_or_default();
                    self.sleep(delay).await;
                }
            }
        } else {
            let delay = self.next_delay()?;
            self.sleep(delay).await;
            // The probe is not needed once another install has set the estimate.
            if self.estimate().is_some() {
                self.probe = None;
            }
        }
        let paused = std::mem::take(&mut self.paused);
        Some(Due { expected: permit.is_some(), permit, age: self.age(), paused })
    }

    /// Updates the estimate with the result of a poll. `on_time` is whether the poll was sent when it was due.
    pub(super) fn observe(&self, due: &Due, on_time: bool, ready: bool) {
        let provisioning = &self.workspace.state().provisioning;
        let observed = self.schedule == PollSchedule::Estimate && on_time && !due.paused;
        match due.age.filter(|_| observed) {
            Some(age) if due.expected => provisioning.observe(age, ready),
            Some(age) if ready => provisioning.seed(age),
            _ => {}
        }
    }

    fn age(&self) -> Option<Duration> {
        let now = self.workspace.client().runtime().now();
        Some(now.saturating_duration_since(self.created?))
    }

    fn estimate(&self) -> Option<Duration> {
        self.workspace.state().provisioning.expected()
    }

    fn remaining(&self) -> Duration {
        self.deadline.remaining(self.workspace.client().runtime().now())
    }

    fn next_delay(&mut self) -> Option<Duration> {
        let client = self.workspace.client();
        let mut delay = client.poll().backoff.delay(self.delays, client.runtime().random());
        self.delays = self.delays.saturating_add(1);
        if self.schedule == PollSchedule::Estimate
            && let (Some(age), Some(expected)) = (self.age(), self.estimate())
        {
            // The delay grows with the age, because a slow connector may take as long again.
            delay = delay.max(expected.saturating_sub(age)).max(age / 3);
        }
        let last_poll = LastAttempt::At(self.workspace.state().response_time.reserve());
        last_poll.fit(delay, None, self.remaining())
    }

    /// Sleeps, unless the delay is less than half a millisecond: Tokio's timers have a resolution of a millisecond and
    /// round up.
    async fn sleep(&mut self, delay: Duration) {
        if delay >= Duration::from_micros(500) {
            let runtime = self.workspace.client().runtime();
            let began = runtime.now();
            runtime.sleep(delay).await;
            self.paused |= runtime.now().saturating_duration_since(began) > delay + PAUSE;
        }
    }

    /// Waits until the connector is likely to be ready, and for the permit of its poll.
    ///
    /// Returns `None` at the deadline. While there is no estimate, also returns `None` for a few connectors, which
    /// become probes and are polled by the backoff.
    async fn likely_ready(&mut self, created: Instant) -> Option<Permit> {
        let workspace = self.workspace;
        let runtime = workspace.client().runtime();
        let state = workspace.state();
        // The time until the connector has the age at which it is expected to be ready.
        let missing = || {
            let age = runtime.now().saturating_duration_since(created);
            Some(state.provisioning.expected()?.saturating_sub(age))
        };
        loop {
            let available = self.remaining().saturating_sub(state.response_time.reserve());
            if available.is_zero() {
                return None;
            }
            let wait = match missing() {
                Some(Duration::ZERO) => {
                    // Polls before this permit may raise the estimate.
                    let likely = || missing().is_none_or(|missing| missing.is_zero());
                    match state.gets.acquire_if(runtime, self.remaining(), likely).await {
                        Some(permit) => return Some(permit),
                        None if likely() => return None,
                        None => missing().unwrap_or_default(),
                    }
                }
                Some(missing) => missing,
                None => match state.provisioning.probe() {
                    Some(probe) => {
                        self.probe = Some(probe);
                        return None;
                    }
                    None => ESTIMATE_CHECK,
                },
            };
            self.sleep(wait.min(ESTIMATE_CHECK).min(available)).await;
        }
    }
}
