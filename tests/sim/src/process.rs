//! One life of the process. It resumes from the journal and installs the rows until it ends or is killed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bird_sms::{
    AccessKey, BatchOutcome, Client, Error, Event, PollPolicy, RetryPolicy, SmsConnectorRequest,
    Workspace, reqwest,
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::journal::SimJournal;
use crate::network::Network;
use crate::scenario::{Life, Scenario};
use crate::server::{number_of, row_of, workspace_id};
use crate::tracing_output;
use crate::world::{KEY, Look, Shared, World, hold};

/// Returns the longest time that a life may take: every row is looked up, then the rows take turns. A turn is a
/// creation, a wait and the pauses after 429s.
fn bound(scenario: &Scenario, calm: bool) -> Duration {
    let turns = u32::try_from(scenario.rows.div_ceil(scenario.concurrency)).unwrap_or(u32::MAX);
    let pauses = Duration::from_secs(if calm { 15 } else { 600 });
    let requests = if scenario.looks { 6 * scenario.rows as u64 } else { 0 };
    let looks = Duration::from_secs(requests) / scenario.limits.gets_per_second;
    turns * (2 * scenario.install_timeout + pauses) + looks
}

/// Runs a life until its work is done or the process is killed.
pub(crate) fn live(world: &Shared, plan: Life, calm: bool, at: Duration) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("the runtime starts");
    runtime.block_on(async {
        clock::begin_life(at);
        let (death, bound) = {
            let world = &mut *world.lock();
            world.begin_life(plan, calm);
            (world.death.clone(), bound(&world.scenario, calm))
        };
        tokio::select! {
            biased;
            () = death.notified() => {}
            () = work(world, plan) => {}
            () = sleep(bound) => {
                let world = &mut *world.lock();
                hold!(world, every_row_ends_within_a_bound());
            }
        }
        clock::end_life();
    });
    // Dropping the runtime ends all remaining tasks, as killing the process would.
    drop(runtime);
    let world = &mut *world.lock();
    if let Some(text) = tracing_output::take_leak() {
        hold!(world, the_key_is_not_shown("tracing", &text));
    }
    let written = String::from_utf8_lossy(world.disk.file()).into_owned();
    hold!(world, the_key_is_not_shown("the journal", &written));
    if plan.crash.is_some() {
        world.disk.crash(&mut world.rng);
    }
}

fn workspace(world: &Shared) -> Workspace {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    let Scenario {
        retry_create,
        max_attempts,
        install_timeout,
        attempt_timeout,
        retry_after_cap,
        interval,
        limits,
        looks,
        ..
    } = world.lock().scenario.clone();
    let retry = RetryPolicy {
        create: retry_create,
        max_attempts,
        retry_after_cap,
        ..RetryPolicy::default()
    };
    Client::builder()
        .access_key(AccessKey::new(KEY).expect("the key is visible ASCII"))
        .http_client(HTTP.get_or_init(reqwest::Client::new).clone())
        .transport(Arc::new(Network(world.clone())))
        .system_time(clock::system_time)
        .install_timeout(install_timeout)
        .attempt_timeout(attempt_timeout)
        .retry_policy(retry)
        .poll_policy(PollPolicy { interval, ..PollPolicy::default() })
        .rate_limits(limits)
        .look_up(looks)
        .build()
        .expect("the settings are valid")
        .workspace(workspace_id())
}

async fn work(world: &Shared, plan: Life) {
    let Some(journal) = SimJournal::open(world) else { return };
    let workspace = workspace(world);
    let Scenario { rows, single, concurrency, .. } = world.lock().scenario.clone();
    if single {
        let installs = (0..rows).map(|row| batch(world, &workspace, journal.of_row(row), plan));
        stream::iter(installs).buffer_unordered(concurrency).collect::<()>().await;
    } else {
        batch(world, &workspace, journal, plan).await;
    }
    let world = &mut *world.lock();
    hold!(world, each_row_has_one_outcome());
}

/// Installs the rows of a journal. Like the command, it shuts the batch down after a signal or a journal error. Single
/// installs always run to their end, as in a service.
async fn batch(world: &Shared, workspace: &Workspace, journal: SimJournal, plan: Life) {
    let scenario = world.lock().scenario.clone();
    let Scenario { single, unknown, concurrency, .. } = scenario;
    let request = move |row| SmsConnectorRequest::new(scenario.name(row), number_of(row));
    let observer = world.clone();
    let mut outcomes = workspace
        .install_sms_channels(journal.rows.clone().map(request))
        .journal(Arc::new(journal))
        .unknown_rows(unknown)
        .observe(move |request, event| observe(&observer, row_of(request.phone_number_id()), event))
        .concurrency(concurrency)
        .start();
    let mut stopping = false;
    let never = Duration::from_secs(1_000_000);
    let stop = plan.stop.filter(|_| !single);
    let mut signal = Instant::now() + stop.map_or(never, |(first, _)| first);
    loop {
        tokio::select! {
            biased;
            outcome = outcomes.next() => {
                let Some(outcome) = outcome else { break };
                let failed = matches!(outcome.result, Err(Error::Journal(_)));
                take(world, &outcome);
                if failed && !single && !std::mem::replace(&mut stopping, true) {
                    outcomes.shut_down();
                    stopped(world);
                }
            }
            () = sleep_until(signal) => {
                if std::mem::replace(&mut stopping, true) {
                    break;
                }
                outcomes.shut_down();
                stopped(world);
                signal += stop.and_then(|(_, second)| second).unwrap_or(never);
            }
        }
    }
    let mut abandoned = outcomes.abandon();
    world.lock().abandoned |= !abandoned.is_empty();
    abandoned.sort_by_key(|outcome| outcome.request.phone_number_id());
    for outcome in abandoned {
        take(world, &outcome);
    }
}

fn stopped(world: &Shared) {
    let world = &mut *world.lock();
    world.note(|_| "a graceful shutdown begins".to_owned());
    world.stopped = Some(clock::now());
}

/// Checks the outcome of a row.
fn take(world: &Shared, outcome: &BatchOutcome) {
    let row = row_of(outcome.request.phone_number_id());
    let result = &outcome.result;
    let state = outcome.state;
    let world = &mut *world.lock();
    if !world.step() {
        return;
    }
    world.rows[row].outcomes += 1;
    world.note(|_| match result {
        Ok(channel) => format!("row {row} is ready: {channel:?}"),
        Err(error) => format!("row {row} ends: {}; {state:?}", error.chain()),
    });
    hold!(world, outcome_is_true(row, outcome));
    hold!(world, a_shutdown_does_not_wait_for_a_look_up(row));
    if world.calm {
        hold!(world, without_faults_a_row_is_ready(row, outcome));
    }
    if world.scenario.echoes_key {
        let text = match result {
            Ok(channel) => format!("{channel:?} {:?} {}", channel.connector(), json(channel)),
            Err(error) => format!("{error:?} {} {}", error.chain(), json(error)),
        };
        hold!(world, the_key_is_not_shown("an outcome", &text));
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("the value can be serialized")
}

/// Checks an event of a row.
fn observe(world: &Shared, row: usize, event: &Event) {
    let world: &mut World = &mut world.lock();
    if !world.step() {
        return;
    }
    world.note(|_| format!("row {row}: event {event:?}"));
    world.tasks.insert(tokio::task::id(), row);
    let book = &mut world.rows[row];
    book.found |= matches!(event, Event::Created { .. }) && book.look.is_some();
    book.look = matches!(event, Event::LookingUp).then(Look::default);
    let text = format!("{event:?} {}", json(event));
    hold!(world, the_key_is_not_shown("an event", &text));
    world.step();
}
