//! The state that outlives the process: the server, the disk, and a record of what really happened.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bird_sms::{ChannelId, ConnectorId, ConnectorState, RowState};
use fastrand::Rng;
use tokio::sync::Notify;
use tokio::task;

use crate::clock;
use crate::disk::Disk;
use crate::scenario::{Life, Scenario};
use crate::server::{Call, Server};

/// The access key of the client.
pub(crate) const KEY: &str = "sim-Zq7Xw2Kp9-secret-Lm4Tn8";

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The name of the function that checks the invariant.
    pub invariant: &'static str,
    /// A description of what happened instead.
    pub what: String,
}

/// Checks an invariant, which is a function of [`invariants`](crate::invariants). A failure contains its name.
macro_rules! hold {
    ($world:expr, $invariant:ident($($argument:expr),*)) => {{
        let result = crate::invariants::$invariant(&*$world $(, $argument)*);
        $world.record(stringify!($invariant), result);
    }};
}
pub(crate) use hold;

/// The result of a POST, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reported {
    /// Nothing so far.
    Nothing,
    /// The request did not leave.
    NotSent,
    /// There was no response.
    Lost,
    Status(u16),
}

/// The result of a request at the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arrival {
    OnItsWay,
    Never,
    /// The index of the connector that the request created, if any.
    Processed(Option<usize>),
}

/// A POST that left the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post {
    pub(crate) life: usize,
    pub(crate) reported: Reported,
    pub(crate) arrival: Arrival,
}

impl Post {
    /// Returns whether the POST created a connector, or may still create one.
    pub(crate) fn may_create(&self) -> bool {
        matches!(self.arrival, Arrival::OnItsWay | Arrival::Processed(Some(_)))
    }

    /// Returns whether the client knows that the POST created nothing.
    pub(crate) fn is_settled(&self) -> bool {
        match self.reported {
            Reported::NotSent => true,
            Reported::Status(303 | 408 | 499) | Reported::Nothing | Reported::Lost => false,
            Reported::Status(status) => (300..500).contains(&status),
        }
    }
}

/// A lookup of a row's phone number.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) calls: Vec<Call>,
    /// The total duration of the lookup's exchanges so far.
    pub(crate) spent: Duration,
}

/// The record of what really happened to a row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) posts: Vec<Post>,
    /// The state that was loaded from the journal at the start of this life.
    pub(crate) resumed: RowState,
    /// The state according to the entries that were appended successfully.
    pub(crate) promised: RowState,
    /// The connector and channel in the last entry on disk that contains a connector id.
    pub(crate) named: Option<(ConnectorId, Option<ChannelId>)>,
    /// When the last intent of this life was written.
    pub(crate) intent: Option<Duration>,
    /// The number of POSTs before the last intent.
    pub(crate) posts_before_intent: usize,
    /// When the first request of the current lookup or install left.
    pub(crate) began: Option<Duration>,
    /// When the `Retry-After` of the last POST ends.
    pub(crate) not_before: Duration,
    pub(crate) in_flight: usize,
    /// The current lookup, if any.
    pub(crate) look: Option<Look>,
    /// Whether a lookup found the row's connector.
    pub(crate) found: bool,
    /// Whether a lookup in this life showed an SMS connector.
    pub(crate) shown: bool,
    /// The number of outcomes in this life.
    pub(crate) outcomes: usize,
}

/// The requests with one method in this life.
#[derive(Debug, Default)]
pub(crate) struct Method {
    /// When each request left.
    pub(crate) sent: Vec<Duration>,
    /// When the latest `Retry-After` of a 429 ends.
    pub(crate) not_before: Duration,
    /// Whether one of the requests succeeded, other than a GET for a phone number.
    pub(crate) accepted: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) rng: Rng,
    pub(crate) server: Server,
    pub(crate) disk: Disk,
    pub(crate) rows: Vec<Row>,
    /// The row that each task installs.
    pub(crate) tasks: HashMap<task::Id, usize>,
    pub(crate) posts: Method,
    pub(crate) gets: Method,
    /// The current life of the process, counted from 1.
    pub(crate) life: usize,
    pub(crate) plan: Life,
    /// Whether this life has no faults.
    pub(crate) calm: bool,
    pub(crate) began: Duration,
    /// When the shutdown of this life began.
    pub(crate) stopped: Option<Duration>,
    /// Whether a batch of this life was abandoned.
    pub(crate) abandoned: bool,
    /// When the current series of 429s began. `None` if the last response was not a 429.
    pub(crate) throttled_since: Option<Duration>,
    /// The duration of the longest series of 429s.
    pub(crate) throttled_for: Duration,
    pub(crate) failure: Option<Failure>,
    trace: Option<String>,
    steps: u64,
    /// Whether the process was killed. Code that still runs after that has no effect.
    dead: bool,
    pub(crate) death: Arc<Notify>,
}

impl World {
    fn new(seed: u64, traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::new(&mut rng);
        let server = Server::new(&scenario, &mut rng);
        let mut world = Self {
            rows: (0..scenario.rows).map(|_| Row::default()).collect(),
            scenario,
            rng,
            server,
            tasks: HashMap::new(),
            disk: Disk::default(),
            posts: Method::default(),
            gets: Method::default(),
            life: 0,
            plan: Life::default(),
            calm: false,
            began: Duration::ZERO,
            stopped: None,
            abandoned: false,
            throttled_since: None,
            throttled_for: Duration::ZERO,
            failure: None,
            trace: traced.then(String::new),
            steps: 0,
            dead: false,
            death: Arc::default(),
        };
        world.note(|world| format!("{:#?}", world.scenario));
        world
    }

    /// Begins the next life of the process.
    pub(crate) fn begin_life(&mut self, plan: Life, calm: bool) {
        self.life += 1;
        self.plan = plan;
        self.calm = calm;
        self.steps = 0;
        self.dead = false;
        self.disk.until_full = plan.disk;
        self.death = Arc::default();
        (self.posts, self.gets) = Default::default();
        self.began = clock::now();
        self.stopped = None;
        self.abandoned = false;
        self.throttled_since = None;
        self.throttled_for = Duration::ZERO;
        for row in &mut self.rows {
            row.intent = None;
            row.began = None;
            row.not_before = Duration::ZERO;
            row.in_flight = 0;
            row.outcomes = 0;
            row.look = None;
            row.shown = false;
        }
        let life = self.life;
        self.note(|_| format!("life {life} of the process begins: {plan:?}, calm: {calm}"));
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = line(self);
            let now = clock::now().as_secs_f64();
            let trace = self.trace.get_or_insert_default();
            writeln!(trace, "{now:9.3} {line}").expect("writing to a String never fails");
        }
    }

    /// Records the result of an invariant. The first failure kills the process. Results of a dead process are ignored.
    pub(crate) fn record(&mut self, invariant: &'static str, result: Result<(), String>) {
        if let Err(what) = result
            && !self.dead
        {
            self.note(|_| format!("FAILED {invariant}: {what}"));
            self.failure = Some(Failure { invariant, what });
            self.die();
        }
    }

    fn die(&mut self) {
        self.dead = true;
        self.death.notify_one();
    }

    /// Counts a step of the process, and kills it if the plan says so. Returns whether the process is alive.
    pub(crate) fn step(&mut self) -> bool {
        if !self.dead {
            self.steps += 1;
            if self.plan.crash == Some(self.steps) {
                self.note(|world| format!("the process is killed at step {}", world.steps));
                self.die();
            }
        }
        !self.dead
    }

    pub(crate) fn trace(&mut self) -> String {
        self.trace.take().unwrap_or_default()
    }
}

/// Returns how much is known about the connector of a row, as a rank from 0 to 4.
pub(crate) fn knowledge(row: &RowState) -> u8 {
    match (row.channel_id(), row.connector_state()) {
        (Some(_), _) => 4,
        (_, ConnectorState::Exists(_)) => 3,
        (_, ConnectorState::ExistsIdUnknown) => 2,
        (_, ConnectorState::Unknown) => 1,
        (_, ConnectorState::NotCreated) => 0,
    }
}

/// A shared handle to the world.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        Self(Arc::new(Mutex::new(World::new(seed, traced))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a step of the process. Never returns if the process is dead.
    pub(crate) async fn step(&self) {
        let alive = self.lock().step();
        if !alive {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
