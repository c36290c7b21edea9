//! `bird-sms batch`: many installs, from a file, on record.

mod input;
mod journal;
mod output;
mod progress;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bird_sms::{BatchItem, Error, PhoneNumberId, RateLimits, SmsConnectorRequest, Workspace};
use futures_util::{StreamExt, stream};
use same_file::Handle;
use tokio::sync::oneshot;

use self::input::{Input, Row};
pub(crate) use self::journal::JournalError;
use self::journal::{JournalFile, Standing, Story};
use self::output::{Out, Outcome, Status, Summary};
use self::progress::Progress;
use crate::args::{Adopted, Batch, Shared};
use crate::exit::Code;
use crate::interrupt::interrupted;
use crate::report::{Failure, to_json};
use crate::settings::connect;

/// Runs a batch to its end, or up to a signal. What to tell at the end, and how to exit.
pub(crate) async fn batch(args: &Batch, shared: &Shared) -> Result<(String, Code), Failure> {
    let input = Input::check(&args.input)
        .map_err(|error| unreadable(&args.input, &error))?
        .map_err(|report| Failure::Usage(format!("{}: {report}", args.input.display())))?;
    let limits = RateLimits {
        posts_per_second: args.posts_per_second,
        gets_per_second: args.gets_per_second,
    };
    if args.dry_run {
        return dry_run(args, shared, &input, limits);
    }
    let connected = connect(shared, |client| client.rate_limits(limits)).await?;
    let (journal, mut story) = JournalFile::open(&args.journal, connected.workspace.id())?;
    let journal = Arc::new(journal);
    if let Some(out) = &args.out {
        spare(out, &args.input, "rows")?;
        spare(out, &args.journal, "journal")?;
    }
    for Adopted { phone_number_id, connector_id } in &args.adopt {
        adoptable(&story, *phone_number_id)?;
        journal.adopt(*phone_number_id, *connector_id).await.map_err(|error| {
            Failure::Unexpected(format!("the journal cannot be written: {error}; nothing was sent"))
        })?;
        story.adopt(*phone_number_id, *connector_id);
    }
    let mut run = Run {
        out: Out::open(args.out.as_deref(), shared.json)
            .map_err(|error| Failure::Usage(format!("the output cannot be written: {error}")))?,
        summary: Summary { rows: input.len(), ..Summary::default() },
        progress: Progress::new(shared.json, input.len()),
        journal,
    };
    run.leave_alone(args, &story, &input)?;
    let signal = run.install(args, &connected.workspace, story, &input).await?;
    let code = signal.unwrap_or_else(|| run.summary.code());
    let text = if shared.json { to_json(&run.summary) } else { run.summary.text() };
    Ok((text, code))
}

/// What a run tells, and where.
struct Run {
    out: Out,
    summary: Summary,
    progress: Progress,
    journal: Arc<JournalFile>,
}

impl Run {
    /// Tells of the rows that nothing is done for.
    fn leave_alone(&mut self, args: &Batch, story: &Story, input: &Input) -> Result<(), Failure> {
        let mut elsewhere = story.unfinished();
        for row in input.rows().map_err(|error| unreadable(&args.input, &error))? {
            let request = checked(row)?;
            elsewhere -= usize::from(story.standing(request.phone_number_id()).is_unfinished());
            if let Some(outcome) = left_alone(args, story, &request) {
                self.tell(&outcome).map_err(|error| not_written(&error))?;
            }
        }
        self.summary.ready_before = self.summary.ready;
        if elsewhere > 0 {
            self.progress.say(&format!(
                "The journal tells of {elsewhere} other phone numbers whose connector exists or may \
                 exist and is not ready; they are not in this file, and nothing is done for them"
            ));
        }
        Ok(())
    }

    /// Installs the others. The code to exit with, when a signal ended it.
    async fn install(
        &mut self,
        args: &Batch,
        workspace: &Workspace,
        story: Story,
        input: &Input,
    ) -> Result<Option<Code>, Failure> {
        let rows = input.rows().map_err(|error| unreadable(&args.input, &error))?;
        let items = items(rows, story, args.retry_unknown, Arc::clone(&self.journal));
        let (stop, stopped) = oneshot::channel::<()>();
        let mut stop = Some(stop);
        let mut installs = workspace
            .install_sms_channels(stream::iter(items))
            .journal(Arc::clone(&self.journal))
            .with_graceful_shutdown(async move {
                // A sender that is gone never stops anything.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
        if let Some(concurrency) = args.concurrency {
            installs = installs.concurrency(concurrency);
        }
        let (mut outcomes, mut signals) = (pin!(installs.start()), pin!(interrupted()));
        let began = Instant::now();
        let (mut signal, mut unrecorded, mut unwritten) = (None, None, None);
        self.progress.begin(&self.summary);
        loop {
            let outcome = tokio::select! {
                outcome = outcomes.next() => outcome,
                code = &mut signals => {
                    signals.set(interrupted());
                    signal = Some(code);
                    if !self.stop(&mut stop) {
                        break;
                    }
                    continue;
                }
            };
            let Some(outcome) = outcome else { break };
            if let (Err(error @ Error::Journal(_)), None) = (&outcome.result, &unrecorded) {
                unrecorded = Some(error.to_string());
                self.stop(&mut stop);
            }
            let doubtful = self.journal.doubts(outcome.request.phone_number_id());
            let outcome = Outcome::of(&outcome, doubtful);
            if let Err(error) = self.tell(&outcome) {
                unwritten = Some(error);
                self.out = Out::Nowhere;
                self.stop(&mut stop);
            }
            // After a signal the rows fail for a reason that everybody knows.
            if let (Some(error), None) = (&outcome.error, &signal) {
                self.progress.failure(outcome.phone_number_id(), error);
            }
            self.progress.advance(&self.summary, self.journal.created());
        }
        self.progress.finish();
        if let Err(error) = self.out.flush() {
            unwritten = Some(error);
        }
        self.summary.created = self.journal.created();
        self.summary.finish(began.elapsed());
        match (unrecorded, unwritten) {
            (Some(error), _) => Err(Failure::Unexpected(format!("the batch was stopped: {error}"))),
            (None, Some(error)) => Err(not_written(&error)),
            (None, None) => Ok(signal),
        }
    }

    /// Stops the batch, and says so. False when it was stopped before.
    fn stop(&self, stop: &mut Option<oneshot::Sender<()>>) -> bool {
        let Some(stop) = stop.take() else { return false };
        // It is gone when there is nothing left to stop.
        let _ = stop.send(());
        self.progress
            .say("Stopping: what was sent is heard out. From now on a signal stops at once");
        true
    }

    fn tell(&mut self, outcome: &Outcome) -> std::io::Result<()> {
        self.summary.count(outcome);
        self.out.write(outcome)
    }
}

/// What is to be done for each row, if anything.
fn items(
    rows: impl Iterator<Item = Row> + Send,
    story: Story,
    retry_unknown: bool,
    journal: Arc<JournalFile>,
) -> impl Iterator<Item = BatchItem> + Send {
    rows.map_while(Result::ok).filter_map(move |request| {
        let number = request.phone_number_id();
        match story.standing(number) {
            Standing::Nothing => Some(request.into()),
            Standing::Created(id) => Some(BatchItem::resume(request, id)),
            Standing::Unknown if retry_unknown => {
                journal.doubt(number);
                Some(request.into())
            }
            Standing::Unknown | Standing::Exists | Standing::Ready(..) => None,
        }
    })
}

fn not_written(error: &std::io::Error) -> Failure {
    Failure::Unexpected(format!(
        "the output cannot be written: {error}. The journal has what was done; the same command goes on"
    ))
}

/// The outcome of a row that nothing is done for.
fn left_alone(args: &Batch, story: &Story, request: &SmsConnectorRequest) -> Option<Outcome> {
    match story.standing(request.phone_number_id()) {
        Standing::Unknown if args.retry_unknown => None,
        standing => Outcome::before(request, standing),
    }
}

fn dry_run(
    args: &Batch,
    shared: &Shared,
    input: &Input,
    limits: RateLimits,
) -> Result<(String, Code), Failure> {
    // An embedded sandbox has none yet.
    let workspace_id = shared.workspace_id.as_deref().filter(|_| !shared.sandbox);
    let workspace_id = workspace_id.map(str::parse).transpose()?;
    let mut story = Story::read(&args.journal, workspace_id)?;
    for Adopted { phone_number_id, connector_id } in &args.adopt {
        adoptable(&story, *phone_number_id)?;
        story.adopt(*phone_number_id, *connector_id);
    }
    let rows = input.len();
    let (mut create, mut wait, mut done, mut left) = (0_u64, 0_u64, 0_u64, 0_u64);
    for row in input.rows().map_err(|error| unreadable(&args.input, &error))? {
        let request = checked(row)?;
        match left_alone(args, &story, &request).map(|outcome| outcome.status) {
            Some(Status::Ready) => done += 1,
            Some(_) => left += 1,
            None => match story.standing(request.phone_number_id()) {
                Standing::Created(_) => wait += 1,
                _ => create += 1,
            },
        }
    }
    let posts = Duration::from_secs(create) / limits.posts_per_second;
    let gets = Duration::from_secs(create + wait) / limits.gets_per_second;
    let at_least = posts.max(gets).as_secs_f64();
    Ok((
        if shared.json {
            to_json(&serde_json::json!({
                "rows": rows, "toCreate": create, "toWaitFor": wait, "ready": done, "leftAlone": left,
                "atLeastSeconds": at_least,
            }))
        } else {
            format!(
                "{rows} rows, nothing sent: {create} would be installed, {wait} waited for, {done} are \
                 ready, {left} are left alone because a connector may exist. The limits make it take at \
                 least {at_least:.1} s and the time of one provisioning"
            )
        },
        Code::Done,
    ))
}

/// The output starts anew, which must not be over something that is needed.
fn spare(out: &Path, needed: &Path, what: &str) -> Result<(), Failure> {
    let handle = |path: &Path| {
        if path == Path::new("-") {
            return Handle::stdin().ok();
        }
        // A pipe is not opened twice.
        path.is_file().then(|| Handle::from_path(path).ok())?
    };
    if out != Path::new("-") && handle(out).is_some_and(|out| Some(out) == handle(needed)) {
        return Err(Failure::Usage(format!(
            "--out {} would overwrite the {what}; name another file; nothing was sent",
            out.display()
        )));
    }
    Ok(())
}

fn adoptable(story: &Story, number: PhoneNumberId) -> Result<(), Failure> {
    match story.standing(number) {
        Standing::Unknown | Standing::Exists => Ok(()),
        _ => Err(Failure::Usage(format!(
            "the journal does not doubt what became of phone number {number}; --adopt is for those alone"
        ))),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be read: {error}", path.display()))
}

/// Rows were checked before, and are read from a copy that nobody else knows.
fn checked(row: Row) -> Result<SmsConnectorRequest, Failure> {
    row.map_err(|_| {
        Failure::Unexpected("the copy of the rows cannot be read; nothing was sent".into())
    })
}
