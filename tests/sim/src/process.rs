//! One life of the process: it resumes from the journal, installs the rows, and ends, or is killed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bird_sms::{
    AccessKey, Client, Error, Event, Journal, JournalEntry, NextStep, PendingChannel, PollPolicy,
    RetryPolicy, RowState, SmsChannel, SmsConnectorRequest, Workspace, reqwest,
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::disk::SimJournal;
use crate::invariants::Outcome;
use crate::network::Network;
use crate::scenario::{Life, Scenario};
use crate::server::{name_of, number_of, row_of, workspace_id};
use crate::tracing_output;
use crate::world::{KEY, Shared, World, hold};

/// Returns the time within which a life ends, if as many rows as are allowed at a time take as long as they may: a
/// creation, a wait, and a late poll. With faults, pauses of a minute for each row are added.
fn bound(scenario: &Scenario, calm: bool) -> Duration {
    let turns = u32::try_from(scenario.rows.div_ceil(scenario.concurrency)).unwrap_or(u32::MAX);
    let pauses = Duration::from_secs(if calm { 15 } else { 600 });
    turns * (2 * scenario.install_timeout + pauses)
}

/// Lives until the work is done, or the process is killed.
pub(crate) fn live(world: &Shared, plan: Life, calm: bool, at: Duration) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime without I/O");
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
    // Whatever the tasks were waiting for, they never get it.
    drop(runtime);
    let world = &mut *world.lock();
    if let Some(text) = tracing_output::take_leak() {
        hold!(world, the_key_is_not_shown("tracing", &text));
    }
    if plan.crash.is_some() {
        world.crash_disk();
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
        ..
    } = world.lock().scenario.clone();
    let retry = RetryPolicy {
        create: retry_create,
        max_attempts,
        retry_after_cap,
        ..RetryPolicy::default()
    };
    Client::builder()
        .access_key(AccessKey::new(KEY).expect("visible ASCII"))
        .http_client(HTTP.get_or_init(reqwest::Client::new).clone())
        .transport(Arc::new(Network(world.clone())))
        .system_time(clock::system_time)
        .install_timeout(install_timeout)
        .attempt_timeout(attempt_timeout)
        .retry_policy(retry)
        .poll_policy(PollPolicy { interval, ..PollPolicy::default() })
        .rate_limits(limits)
        .build()
        .expect("settings that can be used")
        .workspace(workspace_id())
}

fn request(row: usize) -> SmsConnectorRequest {
    SmsConnectorRequest::new(name_of(row), number_of(row))
}

async fn work(world: &Shared, plan: Life) {
    let Some(journal) = SimJournal::open(world) else { return };
    let (workspace, journal) = (workspace(world), Arc::new(journal));
    let Scenario { rows, single, concurrency, .. } = world.lock().scenario.clone();
    if single {
        let state = journal.load().await.expect("a journal that was just opened");
        let services = (0..rows).map(|row| {
            let (journal, row_state) = (Arc::clone(&journal), state.row(number_of(row)));
            serve(world.clone(), workspace.clone(), journal, row, row_state)
        });
        stream::iter(services).buffer_unordered(concurrency).collect::<()>().await;
    } else {
        batch(world, &workspace, journal, plan).await;
    }
    let world = &mut *world.lock();
    hold!(world, rows_in_are_outcomes_out());
}

/// Installs all rows by a batch, as the command does: a signal and an error of the journal shut the batch down.
async fn batch(world: &Shared, workspace: &Workspace, journal: Arc<SimJournal>, plan: Life) {
    let Scenario { rows, unknown, concurrency, .. } = world.lock().scenario.clone();
    let observer = world.clone();
    let mut outcomes = workspace
        .install_sms_channels((0..rows).map(request))
        .journal(journal)
        .unknown_rows(unknown)
        .observe(move |request, event| observe(&observer, row_of(request.phone_number_id()), event))
        .concurrency(concurrency)
        .start();
    let mut stopping = false;
    let never = Duration::from_secs(1_000_000);
    let mut signal = Instant::now() + plan.stop.map_or(never, |(first, _)| first);
    loop {
        tokio::select! {
            biased;
            outcome = outcomes.next() => {
                let Some(outcome) = outcome else { break };
                let failed = matches!(outcome.result, Err(Error::Journal(_)));
                take(world, row_of(outcome.request.phone_number_id()), &outcome.result, outcome.state);
                if failed && !std::mem::replace(&mut stopping, true) {
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
                signal += plan.stop.and_then(|(_, second)| second).unwrap_or(never);
            }
        }
    }
    // After a second signal, or with nothing left to abandon.
    world.lock().abandoned = true;
    let mut abandoned = outcomes.abandon();
    abandoned.sort_by_key(|outcome| outcome.request.phone_number_id());
    for outcome in abandoned {
        take(world, row_of(outcome.request.phone_number_id()), &outcome.result, outcome.state);
    }
}

fn stopped(world: &Shared) {
    let world = &mut *world.lock();
    world.note(|_| "a graceful shutdown".to_owned());
    world.stopped = Some(clock::now());
}

/// Installs one row by calls of its own, with a journal, as a service does.
async fn serve(
    world: Shared,
    workspace: Workspace,
    journal: Arc<SimJournal>,
    row: usize,
    mut state: RowState,
) {
    let unknown = world.lock().scenario.unknown;
    let observer = world.clone();
    let pending = match state.next(unknown) {
        NextStep::Done | NextStep::LeaveAlone => {
            world.lock().rows[row].outcomes += 1;
            return;
        }
        NextStep::Wait(id) => {
            let pending = workspace.pending_channel(id);
            state.created_at().into_iter().fold(pending, PendingChannel::created_at)
        }
        NextStep::Create => {
            let intent = JournalEntry::Intent { name: name_of(row) };
            if journal.store(row, intent.clone()).await.is_err() {
                world.lock().rows[row].outcomes += 1;
                return;
            }
            state.apply(&intent, None);
            match timed(&world, row, workspace.create_sms_connector(&request(row))).await {
                Ok(pending) => {
                    let (connector_id, warning) =
                        (pending.connector_id(), pending.creation_warning());
                    let created = JournalEntry::Created { connector_id, warning };
                    state.apply(&created, None);
                    // The wait needs no journal: its result has the id as well.
                    let _ = journal.store(row, created).await;
                    pending
                }
                Err(error) => return end(&world, &journal, row, state, Err(error)).await,
            }
        }
    };
    let pending = pending.observe(move |event| observe(&observer, row, event));
    let result = timed(&world, row, pending.wait()).await;
    end(&world, &journal, row, state, result).await;
}

/// Calls the library, and checks the deadline of the call.
async fn timed<T>(world: &Shared, row: usize, call: impl Future<Output = T>) -> T {
    let began = clock::now();
    world.lock().rows[row].began = Some(began);
    let result = call.await;
    let world = &mut *world.lock();
    hold!(world, a_call_ends_at_its_deadline(row, clock::now().saturating_sub(began)));
    result
}

async fn end(
    world: &Shared,
    journal: &SimJournal,
    row: usize,
    mut state: RowState,
    result: Result<SmsChannel, Error>,
) {
    let entry = entry(&result);
    state.apply(&entry, None);
    // A service that cannot write the entry knows the result all the same.
    let _ = journal.store(row, entry).await;
    take(world, row, &result, state);
}

/// Returns the last entry of an install.
fn entry(result: &Result<SmsChannel, Error>) -> JournalEntry {
    use bird_sms::ConnectorState::{Exists, ExistsIdUnknown, NotCreated, Unknown};
    let error = match result {
        Ok(SmsChannel { connector_id, id, warning, .. }) => {
            let (connector_id, channel_id) = (*connector_id, *id);
            return JournalEntry::Ready { connector_id, channel_id, warning: *warning };
        }
        Err(error) => error,
    };
    let message = error.chain();
    match error.connector_state() {
        Exists(connector_id) => JournalEntry::NotReady { connector_id, message },
        ExistsIdUnknown => JournalEntry::Exists { message },
        Unknown => JournalEntry::Unknown { message },
        NotCreated => JournalEntry::Refused { message },
    }
}

/// Takes the outcome of a row.
fn take(world: &Shared, row: usize, result: &Result<SmsChannel, Error>, state: RowState) {
    let world = &mut *world.lock();
    if !world.step() {
        return;
    }
    world.rows[row].outcomes += 1;
    world.note(|_| match result {
        Ok(channel) => format!("row {row} is ready: {channel:?}"),
        Err(error) => format!("row {row} ends: {}; {state:?}", error.chain()),
    });
    if !world.scenario.single && result.as_ref().is_err_and(Error::is_access_refused) {
        // The batch shuts down by itself.
        world.stopped.get_or_insert_with(clock::now);
    }
    let outcome = Outcome { result: result.as_ref(), state };
    hold!(world, outcome_is_true(row, &outcome));
    if world.calm {
        hold!(world, without_faults_a_row_is_ready(row, &outcome));
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
    serde_json::to_string(value).expect("texts and numbers are JSON")
}

/// Takes an event of a row.
fn observe(world: &Shared, row: usize, event: &Event) {
    let world: &mut World = &mut world.lock();
    if !world.step() {
        return;
    }
    world.note(|_| format!("row {row}: event {event:?}"));
    let text = format!("{event:?} {}", json(event));
    hold!(world, the_key_is_not_shown("an event", &text));
    world.step();
}
