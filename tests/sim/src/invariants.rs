//! The invariants of the simulation. Each function checks one of them against the world, which records what really
//! happened.

use std::time::Duration;

use bird_sms::{
    BatchOutcome, ChannelId, ConnectorState, Error, FileJournalError, RetryCreate, RowState,
    UnknownRows, Warning,
};

use crate::clock;
use crate::scenario::Scenario;
use crate::server::{Call, channel_id, connector_id};
use crate::world::{KEY, Post, Reported, World, knowledge};

type Result = std::result::Result<(), String>;

/// Fails with a message unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(format!($($message)*));
        }
    };
}

/// A tolerance for Tokio's timers, whose resolution is a millisecond.
const TIMER: Duration = Duration::from_millis(2);
/// The fraction of a rate limit that the rate limiter uses.
const UTILISATION: f64 = 0.98;
/// How much closer together than scheduled requests may leave: permits catch up on a delay of up to 5 ms, and stay
/// valid for 15 ms.
const SLACK: Duration = Duration::from_millis(5 + 15);

/// A row sends another POST only if its earlier POSTs created nothing, or if a second connector is an accepted risk.
/// The table in `workflow/retry.rs` accepts the risk within a call, and `UnknownRows::Retry` accepts it in a later run.
pub(crate) fn no_post_after_one_that_may_have_arrived(world: &World, row: usize) -> Result {
    let state = world.rows[row].resumed.connector_state();
    for (nth, post) in world.rows[row].posts.iter().enumerate() {
        let accepted = match post.reported {
            _ if !post.may_create() => true,
            Reported::Status(200..=299) if post.life == world.life => false,
            _ if post.life < world.life => {
                world.scenario.unknown == UnknownRows::Retry && state == ConnectorState::Unknown
            }
            Reported::Status(500 | 503) => world.scenario.retry_create != RetryCreate::Never,
            _ => false,
        };
        ensure!(accepted, "row {row}: another POST leaves, although POST {nth} is {post:?}");
    }
    Ok(())
}

pub(crate) fn a_durable_intent_precedes_each_post(world: &World, row: usize) -> Result {
    ensure!(world.rows[row].intent.is_some(), "row {row}: a POST leaves without an intent on disk");
    Ok(())
}

/// After a graceful shutdown begins, a row may send only a first POST whose intent was already being written.
pub(crate) fn nothing_is_sent_after_a_shutdown(world: &World, row: usize) -> Result {
    let Some(stopped) = world.stopped else { return Ok(()) };
    let row_ = &world.rows[row];
    let first = row_.posts.len() == row_.posts_before_intent;
    let begun = row_.intent.is_some_and(|intent| intent <= stopped + world.scenario.sync + TIMER);
    ensure!(first && begun, "row {row}: a POST leaves after the shutdown at {stopped:?}");
    Ok(())
}

/// A request waits for the `Retry-After` of every earlier 429 to its method. A POST also waits for the `Retry-After` of
/// the last response to its row.
pub(crate) fn a_retry_after_is_honoured(world: &World, call: Call) -> Result {
    let until = match call {
        Call::Post { row, .. } => world.posts.not_before.max(world.rows[row].not_before),
        Call::Number { .. } | Call::Get { .. } => world.gets.not_before,
    };
    ensure!(clock::now() >= until, "{call:?} leaves before the Retry-After that ends at {until:?}");
    Ok(())
}

/// No request may outlast the deadline of its row, except a poll that the rate limit delays past the deadline, which may
/// take ten seconds, and a lookup, which may take five.
pub(crate) fn nothing_is_sent_after_its_deadline(
    world: &World,
    call: Call,
    row: Option<usize>,
    timeout: Duration,
) -> Result {
    let Scenario { attempt_timeout, install_timeout, .. } = world.scenario;
    ensure!(timeout <= attempt_timeout, "{call:?} has a timeout of {timeout:?}");
    let Some(row) = row else { return Ok(()) };
    let row = &world.rows[row];
    let Some(began) = row.began else { return Ok(()) };
    let now = clock::now();
    let end = began + install_timeout + TIMER;
    let late = match call {
        Call::Post { .. } => Duration::ZERO,
        _ if row.look.is_some() => LOOKUP,
        _ => LATE_POLL,
    };
    let latest = end.max(now + late);
    ensure!(
        !timeout.is_zero() && now + timeout <= latest,
        "{call:?} may take {timeout:?}, but the deadline is {end:?}"
    );
    Ok(())
}

const LATE_POLL: Duration = Duration::from_secs(10);
const LOOKUP: Duration = Duration::from_secs(5);

/// A lookup takes at most five seconds. It sends one GET for the phone number, then up to five GETs for connectors.
pub(crate) fn a_lookup_is_bounded(
    world: &World,
    row: usize,
    call: Call,
    timeout: Duration,
) -> Result {
    let Some(look) = &world.rows[row].look else { return Ok(()) };
    let right = match call {
        Call::Post { .. } => false,
        Call::Number { row: number } => number == row && look.calls.is_empty(),
        Call::Get { .. } => (1..=5).contains(&look.calls.len()) && !look.calls.contains(&call),
    };
    ensure!(right, "row {row}: {call:?} leaves in a lookup after {:?}", look.calls);
    let latest = look.spent + timeout;
    ensure!(latest <= LOOKUP, "row {row}: a lookup may take {latest:?}");
    Ok(())
}

pub(crate) fn no_lookup_continues_after_a_shutdown(world: &World, row: usize) -> Result {
    let stopped = world.stopped;
    ensure!(stopped.is_none(), "row {row}: a lookup continues after the shutdown at {stopped:?}");
    Ok(())
}

/// A shutdown interrupts a lookup: the row ends as soon as its journal entry is on disk.
pub(crate) fn a_shutdown_does_not_wait_for_a_look_up(world: &World, row: usize) -> Result {
    let (Some(stopped), Some(_)) = (world.stopped, &world.rows[row].look) else { return Ok(()) };
    let latest = stopped + 2 * world.scenario.sync + 2 * TIMER;
    ensure!(
        clock::now() <= latest,
        "row {row}: a lookup ends long after the shutdown at {stopped:?}"
    );
    Ok(())
}

/// Even with `UnknownRows::Retry`, a row sends no POST if its lookup shows an SMS connector.
pub(crate) fn no_post_after_a_lookup_that_shows_one(world: &World, row: usize) -> Result {
    ensure!(!world.rows[row].shown, "row {row}: a POST leaves after a lookup shows a connector");
    Ok(())
}

pub(crate) fn a_ready_row_is_left_alone(world: &World, row: Option<usize>) -> Result {
    let ready = |row: usize| matches!(world.rows[row].named, Some((_, Some(_))));
    let ready = row.is_some_and(ready);
    ensure!(!ready, "a request leaves for row {row:?}, whose channel is ready");
    Ok(())
}

/// A row has at most one request in flight, and a life of the process sends fewer than 20,000 GETs.
pub(crate) fn memory_is_bounded(world: &World, row: Option<usize>) -> Result {
    let alone = row.is_none_or(|row| world.rows[row].in_flight == 0);
    ensure!(alone, "row {row:?} has two requests in flight");
    let polls = world.gets.sent.len();
    ensure!(polls < 20_000, "{polls} GETs in one life of the process");
    Ok(())
}

/// Within any second, no more requests of a method leave than its limit allows, and they are spread over the second.
pub(crate) fn the_limits_hold_in_every_second(world: &World, is_post: bool) -> Result {
    let limits = world.scenario.limits;
    let (limit, sent) = if is_post {
        (limits.posts_per_second, &world.posts.sent)
    } else {
        (limits.gets_per_second, &world.gets.sent)
    };
    let interval = Duration::from_secs(1).div_f64(f64::from(limit) * UTILISATION);
    let burst = (interval * 2).saturating_sub(SLACK + TIMER);
    for (requests, least) in [(limit as usize, Duration::from_secs(1)), (2, burst)] {
        if let [.., last] = sent[..]
            && let Some(before) = sent.len().checked_sub(requests + 1)
        {
            let time = last.saturating_sub(sent[before]);
            ensure!(time >= least, "{} requests in {time:?} (POSTs: {is_post})", requests + 1);
        }
    }
    Ok(())
}

/// A state names only a connector and a channel that exist. It is `NotCreated` only if no POST may have created one.
pub(crate) fn state_is_true(
    world: &World,
    row: usize,
    state: ConnectorState,
    channel: Option<ChannelId>,
) -> Result {
    let posts = &world.rows[row].posts;
    match state {
        ConnectorState::NotCreated => {
            let created = posts.iter().find(|post| post.may_create());
            ensure!(created.is_none(), "row {row} is not created, despite {created:?}");
        }
        ConnectorState::Unknown => {
            let open = posts.iter().any(|post| !post.is_settled());
            let resumed = knowledge(&world.rows[row].resumed) > 0;
            // In an abandoned batch, a row with an intent is unknown even if its POST was never sent.
            let first = posts.last().is_none_or(|post| post.life < world.life) || world.abandoned;
            ensure!(
                open || resumed || first,
                "row {row} is unknown, but all its POSTs are settled"
            );
        }
        ConnectorState::ExistsIdUnknown => {
            let exists = world.server.of_row(row).next().is_some();
            ensure!(exists, "row {row} exists, but the server has no connector for it");
        }
        ConnectorState::Exists(id) => {
            let own = world.server.find(id).filter(|(_, connector)| connector.may_be_of(row));
            ensure!(own.is_some(), "row {row} has the connector {id}, which is not its own");
        }
    }
    if let Some(channel) = channel {
        let ready = world.server.of_row(row).any(|(index, connector)| {
            connector.ready.is_some_and(|ready| ready <= clock::now())
                && channel_id(index) == channel
                && state.connector_id() == Some(connector_id(index))
        });
        ensure!(ready, "row {row} has the channel {channel}, which is not ready");
    }
    Ok(())
}

/// A journal can be opened after each crash, unless the disk is full.
pub(crate) fn a_journal_can_be_opened(
    world: &World,
    opened: std::result::Result<(), &FileJournalError>,
) -> Result {
    let full = world.plan.disk.is_some();
    let failed =
        opened.err().filter(|error| !full || !matches!(error, FileJournalError::Io { .. }));
    ensure!(failed.is_none(), "the journal cannot be opened: {failed:?}");
    Ok(())
}

/// A row's state never becomes less informative, unless a refusal settles an unknown row. Once known, its connector and
/// channel never change.
pub(crate) fn knowledge_only_grows(
    _world: &World,
    row: usize,
    before: &RowState,
    after: &RowState,
) -> Result {
    let settled = before.connector_state() == ConnectorState::Unknown
        && after.connector_state() == ConnectorState::NotCreated;
    ensure!(
        knowledge(after) >= knowledge(before) || settled,
        "row {row} was {before:?}, but is now {after:?}"
    );
    let same = before.connector_state().connector_id().is_none_or(|id| {
        after.connector_state().connector_id() == Some(id)
            && before.channel_id().is_none_or(|channel| after.channel_id() == Some(channel))
    });
    ensure!(same, "row {row} changed its connector or channel: {before:?}, then {after:?}");
    Ok(())
}

/// A connector or channel that an entry on disk names is never forgotten.
pub(crate) fn what_is_on_disk_is_final(world: &World, row: usize, state: &RowState) -> Result {
    if let Some((connector, channel)) = world.rows[row].named {
        let same = state.connector_state() == ConnectorState::Exists(connector)
            && (channel.is_none() || channel == state.channel_id());
        ensure!(same, "row {row} has {connector} and {channel:?} on disk, but is {state:?}");
    }
    Ok(())
}

/// An outcome matches what really happened, and has a warning if a second connector may exist.
pub(crate) fn outcome_is_true(world: &World, row: usize, outcome: &BatchOutcome) -> Result {
    let state = outcome.state.connector_state();
    state_is_true(world, row, state, outcome.state.channel_id())?;
    if let Ok(channel) = &outcome.result {
        state_is_true(world, row, ConnectorState::Exists(channel.connector_id), Some(channel.id))?;
    }
    if let Err(error) = &outcome.result {
        let known = error.connector_state();
        ensure!(known == state, "row {row} is {state:?}, but its error has {known:?}");
    }
    let own = world.server.of_row(row).filter(|(_, connector)| connector.is_own()).count();
    let warning = outcome.state.warning();
    if let ConnectorState::Exists(id) = state {
        let said = outcome.result.as_ref().map_or_else(Error::warning, |channel| channel.warning);
        ensure!(said == warning, "row {row} has {warning:?}, but its result has {said:?}");
        ensure!(own < 2 || warning.is_some(), "row {row} has {own} connectors, but no warning");
        // If a lookup found the connector, any of the attempts may have created it.
        let found = world.rows[row].found;
        let open = |post: &&Post| !post.is_settled() || found;
        let attempts = world.rows[row].posts.iter().filter(open).count();
        let resumed = knowledge(&world.rows[row].resumed) > 0;
        // A connector that somebody else created is older than the first POST, which is another reason for a warning.
        let own = world.server.find(id).is_some_and(|(_, connector)| connector.is_own());
        let possible = matches!(warning, Some(Warning::PossibleDuplicate { .. }));
        let alone = attempts < 2 && !resumed && own && possible;
        ensure!(!alone, "row {row} has a warning after one attempt: {warning:?}");
    }
    Ok(())
}

/// Each row has exactly one outcome. If the batch was shut down, a row that sent no POST may have none.
pub(crate) fn each_row_has_one_outcome(world: &World) -> Result {
    for (number, row) in world.rows.iter().enumerate() {
        let sent = row.posts.last().is_some_and(|post| post.life == world.life);
        // A batch shuts itself down if it receives nothing but 429s for a whole install timeout.
        let hopeless = world.throttled_for >= world.scenario.install_timeout;
        let stopped = (world.stopped.is_some() || hopeless) && !sent;
        let outcomes = row.outcomes;
        ensure!(outcomes == 1 || outcomes == 0 && stopped, "row {number} has {outcomes} outcomes");
    }
    Ok(())
}

/// Without faults, a row ends with its channel. The exceptions are a late channel, a 409, and a row whose state or
/// connector id an earlier life left unknown.
pub(crate) fn without_faults_a_row_is_ready(
    world: &World,
    row: usize,
    outcome: &BatchOutcome,
) -> Result {
    let excused = match (&outcome.result, outcome.state.connector_state()) {
        (Ok(_), _) | (_, ConnectorState::ExistsIdUnknown) => true,
        (Err(error @ Error::Refused(_)), _) if error.status() == Some(409) => true,
        (Err(error), ConnectorState::Exists(id)) => {
            let ready = world.server.find(id).and_then(|(_, connector)| connector.ready);
            let late = |ready| ready + Duration::from_secs(3) > clock::now();
            // At five GETs per second or fewer, the last poll may wait too long for its permit.
            let few = world.scenario.limits.gets_per_second <= 5;
            let crowded = few && error.cause().is_some();
            matches!(error, Error::NotReady(..)) && (ready.is_none_or(late) || crowded)
        }
        (_, ConnectorState::Unknown) => {
            let before = world.rows[row].resumed.connector_state();
            let told = outcome.result.as_ref().is_err_and(|error| !error.existing().is_empty());
            before == ConnectorState::Unknown
                && (world.scenario.unknown != UnknownRows::Retry || told)
        }
        _ => false,
    };
    ensure!(excused, "row {row} ends with {:?}", outcome.result);
    Ok(())
}

/// Always fails, because it is called only if a life of the process has not ended in time.
pub(crate) fn every_row_ends_within_a_bound(world: &World) -> Result {
    let row = world.rows.iter().position(|row| row.outcomes == 0);
    Err(format!("row {row:?} has not ended after {:?}", clock::now().saturating_sub(world.began)))
}

pub(crate) fn the_key_is_not_shown(_world: &World, place: &str, text: &str) -> Result {
    ensure!(!text.contains(KEY), "{place} shows the access key: {text}");
    Ok(())
}
