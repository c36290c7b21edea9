//! When a connector is polled.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::LastAttempt;
use crate::client::{Probe, Workspace};
use crate::transport::{Deadline, Permit};

/// A sleep that took this much longer than it should says that the process was stopped, and not how long
/// provisioning takes.
const PAUSE: Duration = Duration::from_millis(500);

/// While nothing is known about provisioning, an install of a batch asks this often whether that has changed.
const NEWS: Duration = Duration::from_millis(250);

/// How the polls of a connector are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PollSchedule {
    /// By the backoff of the [`PollPolicy`](crate::PollPolicy): for one install, which should end early.
    #[default]
    Backoff,
    /// First at the age at which nearly all connectors of the workspace are ready, and rarely after that: for
    /// many installs, whose polls compete for the rate limit.
    Estimate,
}

/// The moment of a poll.
pub(super) struct Due {
    /// The permit, where the schedule waited for it.
    pub(super) permit: Option<Permit>,
    /// The age of the connector, where the creation is known.
    age: Option<Duration>,
    /// Whether the connector is expected to be ready.
    expected: bool,
    /// Whether the process was stopped before this poll.
    paused: bool,
}

/// Waits for the polls of one connector, one after the other.
pub(super) struct PollTimer<'a> {
    workspace: &'a Workspace,
    schedule: PollSchedule,
    created: Option<Instant>,
    deadline: Deadline,
    /// The number of delays so far, which the backoff grows by.
    delays: u32,
    first: bool,
    /// Whether the process was stopped since the last poll.
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

    /// Waits until the next poll is due. `None` when the deadline leaves no time for another.
    pub(super) async fn next(&mut self) -> Option<Due> {
        let mut permit = None;
        if std::mem::take(&mut self.first) {
            // The response to the creation was the first observation; a connector that is resumed had none.
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
            // Another install may have found out, and a probe is not needed any more.
            if self.estimate().is_some() {
                self.probe = None;
            }
        }
        let paused = std::mem::take(&mut self.paused);
        Some(Due { expected: permit.is_some(), permit, age: self.age(), paused })
    }

    /// Learns from a poll. `on_time` is whether it was sent when it was due.
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
            // The longer it took so far, the longer it may take.
            delay = delay.max(expected.saturating_sub(age)).max(age / 3);
        }
        let last_poll = LastAttempt::At(self.workspace.state().response_time.reserve());
        last_poll.fit(delay, None, self.remaining())
    }

    /// Sleeps. Tokio's timers have a resolution of a millisecond and round up, so that a delay of less than half
    /// a millisecond is none.
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
    /// While nothing is known about provisioning, a few connectors become probes instead and are polled by the
    /// backoff: `None`.
    async fn likely_ready(&mut self, created: Instant) -> Option<Permit> {
        let workspace = self.workspace;
        let runtime = workspace.client().runtime();
        let state = workspace.state();
        // How much younger the connector is than it is expected to be when it is ready.
        let missing = || {
            let age = runtime.now().saturating_duration_since(created);
            Some(state.provisioning.expected()?.saturating_sub(age))
        };
        loop {
            let spare = self.remaining().saturating_sub(state.response_time.reserve());
            if spare.is_zero() {
                return None;
            }
            let wait = match missing() {
                Some(Duration::ZERO) => {
                    // The polls before this one may find out that provisioning takes longer.
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
                    None => NEWS,
                },
            };
            self.sleep(wait.min(NEWS).min(spare)).await;
        }
    }
}
