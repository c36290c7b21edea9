//! What outlives the process: the server, the network, the disk, and the book of what really happened.

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
    /// What happened instead.
    pub what: String,
}

/// Checks an invariant, a function of [`invariants`](crate::invariants), which also names it.
macro_rules! hold {
    ($world:expr, $invariant:ident($($argument:expr),*)) => {{
        let result = crate::invariants::$invariant(&*$world $(, $argument)*);
        $world.record(stringify!($invariant), result);
    }};
}
pub(crate) use hold;

/// What was reported to the client about a POST.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reported {
    /// Nothing, yet or for good.
    Nothing,
    /// The request did not leave.
    NotSent,
    /// The request was lost, or there was no response in time.
    Lost,
    Status(u16),
}

/// What became of a request at the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arrival {
    OnItsWay,
    Never,
    /// With the connector that was created, if one was.
    Processed(Option<usize>),
}

/// A POST in the book.
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

    /// Returns whether the client knows that the POST creates nothing.
    pub(crate) fn is_settled(&self) -> bool {
        match self.reported {
            Reported::NotSent => true,
            Reported::Status(303 | 408 | 499) | Reported::Nothing | Reported::Lost => false,
            Reported::Status(status) => (300..500).contains(&status),
        }
    }
}

/// A look at the phone number of a row.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) calls: Vec<Call>,
    /// The time of the exchanges.
    pub(crate) spent: Duration,
}

/// A row in the book.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) posts: Vec<Post>,
    /// The state by the journal when the life of the process began.
    pub(crate) resumed: RowState,
    /// The state by the entries that the journal promised to keep.
    pub(crate) promised: RowState,
    /// The connector and the channel that the entries on disk named last.
    pub(crate) named: Option<(ConnectorId, Option<ChannelId>)>,
    /// When an intent of this life was last on disk.
    pub(crate) intent: Option<Duration>,
    /// The number of POSTs before it.
    pub(crate) posts_before_intent: usize,
    /// When the first request of the row left.
    pub(crate) began: Option<Duration>,
    /// A `Retry-After` of a response to the last POST is over at this time.
    pub(crate) not_before: Duration,
    pub(crate) in_flight: usize,
    /// The look of the row, until its next step.
    pub(crate) look: Option<Look>,
    /// Whether a look found the connector.
    pub(crate) found: bool,
    /// Whether a look of this life showed an SMS connector.
    pub(crate) shown: bool,
    /// The outcomes of this life.
    pub(crate) outcomes: usize,
}

/// The requests of a method in this life, as they left.
#[derive(Debug, Default)]
pub(crate) struct Method {
    pub(crate) sent: Vec<Duration>,
    /// A `Retry-After` of a 429 is over at this time.
    pub(crate) not_before: Duration,
    /// Whether one had a success.
    pub(crate) accepted: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) rng: Rng,
    pub(crate) server: Server,
    pub(crate) disk: Disk,
    pub(crate) rows: Vec<Row>,
    /// The row of each task that had an event.
    pub(crate) tasks: HashMap<task::Id, usize>,
    pub(crate) posts: Method,
    pub(crate) gets: Method,
    /// The number of the life of the process.
    pub(crate) life: usize,
    pub(crate) plan: Life,
    /// Whether there are no faults any more.
    pub(crate) calm: bool,
    pub(crate) began: Duration,
    /// When this life got the signal to stop.
    pub(crate) stopped: Option<Duration>,
    /// Whether this life got the second signal, to stop at once.
    pub(crate) abandoned: bool,
    /// When the first of the last responses came, if all of them were 429.
    pub(crate) throttled_since: Option<Duration>,
    /// The longest time for which all responses were 429.
    pub(crate) throttled_for: Duration,
    pub(crate) failure: Option<Failure>,
    trace: Option<String>,
    steps: u64,
    /// Whether the process is dead: nothing that is left of it has an effect.
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
        (self.plan, self.calm, self.steps, self.dead) = (plan, calm, 0, false);
        self.death = Arc::default();
        (self.posts, self.gets) = Default::default();
        (self.began, self.stopped, self.abandoned) = (clock::now(), None, false);
        (self.throttled_since, self.throttled_for) = (None, Duration::ZERO);
        for row in &mut self.rows {
            (row.intent, row.began, row.not_before) = (None, None, Duration::ZERO);
            (row.in_flight, row.outcomes) = (0, 0);
            (row.look, row.shown) = (None, false);
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
            writeln!(trace, "{now:9.3} {line}").expect("a String can be written to");
        }
    }

    /// Takes the result of an invariant. After the first that does not hold, the process is dead, and what is left of a
    /// dead process breaks none.
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

    /// Takes a step of the process. Returns whether the process is alive after it.
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

/// Returns how much is known: a later state of a row has no less, unless attempts are settled.
pub(crate) fn knowledge(row: &RowState) -> u8 {
    match (row.channel_id(), row.connector_state()) {
        (Some(_), _) => 4,
        (_, ConnectorState::Exists(_)) => 3,
        (_, ConnectorState::ExistsIdUnknown) => 2,
        (_, ConnectorState::Unknown) => 1,
        (_, ConnectorState::NotCreated) => 0,
    }
}

/// The world, for all who act in it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        Self(Arc::new(Mutex::new(World::new(seed, traced))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step of the process, which never returns if the process is dead.
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
