//! `bird-sms batch`, killed or failed at each of its system calls: no connector is lost, none is created twice, and the
//! next run plans nothing that contradicts the server.

mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use bird_sandbox::{Sandbox, StoredConnector};
use bird_sms::FileJournal;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::process::Command;

use self::verdict::Verdict;
use crate::harness::{OUT, Rows, program, sandbox, within_a_minute, wrap};

/// The name of a call, and its errors.
type Call = (&'static str, &'static [&'static str]);

/// The calls to files, and the errors that Linux can return for them.
const FILE_CALLS: [Call; 4] = [
    ("openat", &["EIO", "ENFILE"]),
    ("write", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
];

/// The calls to TCP sockets, and the errors of a connection.
const SOCKET_CALLS: [Call; 2] =
    [("writev", &["EPIPE", "ECONNRESET"]), ("recvfrom", &["ECONNRESET", "ETIMEDOUT"])];

/// The files in the folder of the batch. Errors are injected into calls to these, and to one group at a time: the calls
/// of each thread are counted on their own, so a call to another file would come first.
const JOURNAL: [&str; 1] = ["j.jsonl"];
const OTHER_FILES: [&str; 4] = [
    "numbers.csv",
    "out.jsonl",
    ".bird-sms-a1405560-c8d3-4b1a-877d-3f449ad95352.lock",
    // Is synced.
    ".",
];

/// The number of calls that are tried beyond a run without a fault, because the number of calls varies.
const BEYOND: usize = 2;

/// The calls of each thread, in order: the name and the line of strace.
type Threads = HashMap<String, Vec<(String, String)>>;

/// A fault of one run.
#[derive(Clone, Debug)]
enum Fault {
    /// A thread is about to make the nth call of a kind.
    Kill { call: String, files: &'static [&'static str], nth: usize },
    /// The nth call of a kind of a thread fails and does nothing.
    Error {
        call: &'static str,
        /// Only calls to these files count, unless there are none.
        files: &'static [&'static str],
        nth: usize,
        error: &'static str,
    },
    /// No file may grow beyond a number of bytes: a write is cut, and the next one fails.
    FileSize { bytes: usize },
    /// The disk of the journal has room for 4 KiB: a write is cut, and the next one fails.
    SmallDisk,
}

#[derive(Clone, Debug)]
struct Case {
    fault: Fault,
    rows: usize,
    /// Whether the journal has its first line before the run. The first write of the journal's thread cannot be
    /// reached otherwise, because the calls of each thread are counted on their own.
    first_line: bool,
}

/// The counts of the cases of one row of the table.
#[derive(Debug, Default)]
struct Counts {
    cases: usize,
    not_reached: usize,
    lost: usize,
    doubled: usize,
    wrong_plans: usize,
}

/// Reads the output of strace.
fn calls(trace: &Path) -> Threads {
    let mut threads = Threads::new();
    for line in std::fs::read_to_string(trace).unwrap_or_default().lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        // The rest of a call that another thread interrupted, a signal or an exit starts with another character.
        if call.trim_start().starts_with(|first: char| first.is_ascii_lowercase())
            && let Some((name, _)) = call.trim_start().split_once('(')
        {
            let calls = threads.entry(thread.to_owned()).or_default();
            calls.push((name.to_owned(), call.to_owned()));
        }
    }
    threads
}

/// Returns the name of a call of the table, with its file if that is the journal.
fn label((name, line): &(String, String)) -> Option<String> {
    let listed = FILE_CALLS.iter().chain(&SOCKET_CALLS).any(|(call, _)| call == name);
    let of_journal = if line.contains("j.jsonl") { " (journal)" } else { "" };
    listed.then(|| format!("{name}{of_journal}"))
}

/// Returns the options of strace that write a trace, of the calls to files in the folder or of all calls.
fn strace(folder: &Path, files: &[&str]) -> Vec<String> {
    let mut args: Vec<_> = "-f -y -qq -s 0 -o trace".split(' ').map(str::to_owned).collect();
    let folder = folder.canonicalize().unwrap();
    for file in files {
        let path = if *file == "." { folder.clone() } else { folder.join(file) };
        // A path is compared with the argument of a call and with the path of a file descriptor.
        args.extend(["-P", file, "-P", path.to_str().unwrap()].map(str::to_owned));
    }
    args
}

impl Case {
    async fn start(&self) -> (Rows, Sandbox) {
        let sandbox =
            sandbox().provisioning_delay(Duration::from_millis(20)).start().await.unwrap();
        let rows = Rows::new(self.rows);
        if self.first_line {
            let workspace_id = sandbox.workspace_id().into();
            FileJournal::open_at(&rows.path("j.jsonl"), workspace_id, &sandbox.base_url()).unwrap();
        }
        (rows, sandbox)
    }

    /// Returns the command with the fault.
    fn command(&self, rows: &Rows, sandbox: &Sandbox) -> Command {
        let command = rows.batch(sandbox, &OUT);
        let inject = |files, inject: String| {
            let mut args = strace(rows.folder(), files);
            args.extend(["-e".to_owned(), format!("inject={inject}")]);
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            wrap("strace", &args, &command)
        };
        match &self.fault {
            Fault::Kill { call, files, nth } => {
                inject(files, format!("{call}:signal=KILL:when={nth}"))
            }
            Fault::Error { call, files, nth, error } => {
                inject(files, format!("{call}:error={error}:when={nth}"))
            }
            Fault::FileSize { bytes } => wrap("prlimit", &[&format!("--fsize={bytes}")], &command),
            Fault::SmallDisk => {
                // Symbolic links take no room.
                let script = "mkdir disk && mount -t tmpfs -o size=4k none disk && cd disk && \
                              ln -s ../numbers.csv ../out.jsonl . && \"$0\" \"$@\"; code=$?; cp j.jsonl ..; exit $code";
                wrap("unshare", &["--map-root-user", "--mount", "sh", "-c", script], &command)
            }
        }
    }

    /// Finds the calls at which the fault came.
    fn places(&self, folder: &Path, ended: ExitStatus) -> (bool, Vec<(String, String)>) {
        let threads = calls(&folder.join("trace"));
        let place = |call: String, fault: &str| (call, fault.to_owned());
        match &self.fault {
            Fault::Kill { call, files, nth } => {
                let killed = threads.values().find(|calls| {
                    calls.last().is_some_and(|(name, _)| name == call)
                        && calls.iter().filter(|(name, _)| name == call).count() == *nth
                });
                let before = killed.and_then(|calls| label(calls.last()?));
                let after = killed.and_then(|calls| label(calls.iter().nth_back(1)?));
                // The trace of some files does not have all calls.
                let after = after.filter(|_| files.is_empty());
                let before = before.map(|call| place(call, "killed before"));
                let after = after.map(|call| place(call, "killed after"));
                let mut places: Vec<_> = before.into_iter().chain(after).collect();
                if places.is_empty() {
                    let call = label(&(call.clone(), files.concat()));
                    places.push(place(call.unwrap_or("others".to_owned()), "killed before"));
                }
                (ended.signal() == Some(9) && killed.is_some(), places)
            }
            Fault::Error { call, files, error, .. } => {
                let mut lines = threads.values().flatten();
                let injected = lines.find(|(_, line)| line.contains("(INJECTED)"));
                let unreached = ((*call).to_owned(), files.concat());
                let call = label(injected.unwrap_or(&unreached)).unwrap();
                (injected.is_some(), vec![place(call, error)])
            }
            Fault::FileSize { .. } => (
                ended.code() != Some(0),
                vec![place("write (any file)".to_owned(), "short, then EFBIG")],
            ),
            Fault::SmallDisk => (
                folder.join("j.jsonl").metadata().is_ok_and(|file| file.len() == 4096),
                vec![place("write (journal)".to_owned(), "short, then ENOSPC")],
            ),
        }
    }

    /// Runs the batch with the fault, and then as an operator does, and compares the plan and the end with the server.
    async fn run(self) -> (Self, Verdict) {
        let (rows, sandbox) = self.start().await;
        let mut verdict = Verdict::default();
        let output = within_a_minute(self.command(&rows, &sandbox).output()).await.unwrap();
        (verdict.reached, verdict.places) = self.places(rows.folder(), output.status);

        let book = settled(&sandbox).await;
        let is_socket_error = matches!(self.fault, Fault::Error { files: [], .. });
        if output.status.code().is_some() && !is_socket_error {
            verdict.check_report(&rows, &book, &output);
        }
        let next = verdict.check_journal(&rows, &book);
        let end = rows.run(&sandbox, &["--dry-run", "--json"]).await;
        let plan: Value = serde_json::from_str(&end.stdout).unwrap_or_default();
        for name in ["toCreate", "toWaitFor", "ready", "leftAlone"] {
            let expected = next.values().filter(|next| **next == name).count();
            if plan[name] != expected {
                verdict.wrong_plans.push(format!("{name} should be {expected}: {plan}"));
            }
        }

        let code = rows.run(&sandbox, &OUT).await.code;
        // No operator allowed a second POST yet.
        let refused = sandbox.response_count(409);
        verdict.doubled.extend((0..refused).map(|_| "a POST was sent twice".to_owned()));
        verdict.check_outcomes(&rows, &sandbox.connectors(), &next);
        if !rows.settle(&sandbox, code).await {
            verdict.lost.push("the batch does not settle".to_owned());
        }
        verdict.check_end(&rows, &sandbox.connectors());
        (self, verdict)
    }
}

/// Returns the connectors of the server, once it has read what a client sent before it was killed.
async fn settled(sandbox: &Sandbox) -> Vec<StoredConnector> {
    let mut before = None;
    loop {
        let now = (sandbox.post_count(), sandbox.connectors().len());
        if before == Some(now) {
            return sandbox.connectors();
        }
        before = Some(now);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The calls of a run without a fault, and its journal.
async fn clean_run(files: &[&str], first_line: bool) -> (Threads, String) {
    let case = Case { fault: Fault::SmallDisk, rows: 3, first_line };
    let (rows, sandbox) = case.start().await;
    let args = strace(rows.folder(), files);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut command = wrap("strace", &args, &rows.batch(&sandbox, &OUT));
    let output = within_a_minute(command.output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let journal = std::fs::read_to_string(rows.path("j.jsonl")).unwrap();
    (calls(&rows.path("trace")), journal)
}

/// Returns the most calls of this kind that a thread makes.
fn most(threads: &Threads, name: &str) -> usize {
    let count = |calls: &Vec<(String, String)>| calls.iter().filter(|call| call.0 == name).count();
    threads.values().map(count).max().unwrap_or_default()
}

/// Returns the calls at which a thread is killed, by kind and number: all after the first ones, which load libraries.
fn kills(threads: &Threads) -> BTreeSet<(String, usize)> {
    let mut kills = BTreeSet::new();
    for calls in threads.values() {
        let mut counts = HashMap::<&str, usize>::new();
        let loaded = calls.iter().position(|(_, line)| line.contains("numbers.csv"));
        for (n, (name, _)) in calls.iter().enumerate() {
            let count = counts.entry(name).or_default();
            *count += 1;
            if loaded.is_none_or(|loaded| n >= loaded) {
                kills.insert((name.clone(), *count));
            }
        }
    }
    for (name, _) in FILE_CALLS.iter().chain(&SOCKET_CALLS) {
        let most = most(threads, name);
        kills.extend((1..=BEYOND).map(|more| ((*name).to_owned(), most + more)));
    }
    kills
}

/// Returns all cases.
async fn cases() -> Vec<Case> {
    let (all, journal) = clean_run(&[], false).await;
    let mut faults: Vec<_> = kills(&all)
        .into_iter()
        .map(|(call, nth)| (Fault::Kill { call, files: &[], nth }, false))
        .collect();
    let mut fail = |files: &'static [&'static str],
                    threads: &Threads,
                    (call, errors): Call,
                    first_line: bool| {
        let most = most(threads, call);
        for nth in (1..=most + BEYOND).filter(|_| most > 0) {
            let errors = errors.iter().map(|error| Fault::Error { call, files, nth, error });
            // Kills at the calls to all files are there already.
            let kill =
                (!files.is_empty()).then(|| Fault::Kill { call: call.to_owned(), files, nth });
            faults.extend(errors.chain(kill).map(|fault| (fault, first_line)));
        }
    };
    for call in SOCKET_CALLS {
        fail(&[], &all, call, false);
    }
    for files in [&JOURNAL[..], &OTHER_FILES] {
        let (calls, _) = clean_run(files, false).await;
        for call in FILE_CALLS {
            fail(files, &calls, call, false);
        }
    }
    let (calls, _) = clean_run(&JOURNAL, true).await;
    fail(&JOURNAL, &calls, FILE_CALLS[1], true);
    // A smaller limit ends the run before its first POST.
    for bytes in (150..journal.len()).step_by(60) {
        faults.push((Fault::FileSize { bytes }, false));
    }
    let mut cases: Vec<_> =
        faults.into_iter().map(|(fault, first_line)| Case { fault, rows: 3, first_line }).collect();
    if is_allowed(
        "unshare",
        &["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
    )
    .await
    {
        let full = |rows| Case { fault: Fault::SmallDisk, rows, first_line: false };
        cases.extend((6..=12).map(full));
    }
    cases
}

/// Returns whether a program may do this here, or says that its cases are skipped.
async fn is_allowed(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).status().await;
    let allowed = status.is_ok_and(|status| status.success());
    if !allowed {
        println!("skipped: {program} {} is not allowed here", args.join(" "));
    }
    allowed
}

/// `cargo xtask crash`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "500 runs: half a minute"]
async fn a_batch_that_is_killed_or_failed_at_each_system_call_installs_each_row_once() {
    if program("strace").is_none()
        || !is_allowed("strace", &["-f", "-o", "/dev/null", "true"]).await
    {
        return;
    }
    let began = Instant::now();
    let cases = cases().await;
    let (count, mut table, mut problems) =
        (cases.len(), BTreeMap::<_, Counts>::new(), String::new());
    let mut verdicts = futures_util::stream::iter(cases).map(Case::run).buffer_unordered(8);
    while let Some((case, verdict)) = verdicts.next().await {
        for problem in verdict.lost.iter().chain(&verdict.doubled).chain(&verdict.wrong_plans) {
            let _ = writeln!(problems, "{:?}: {problem}", case.fault);
        }
        for place in verdict.places {
            let counts = table.entry(place).or_default();
            counts.cases += usize::from(verdict.reached);
            counts.not_reached += usize::from(!verdict.reached);
            counts.lost += verdict.lost.len();
            counts.doubled += verdict.doubled.len();
            counts.wrong_plans += verdict.wrong_plans.len();
        }
    }
    println!("| system call | fault | cases | not reached | lost | doubled | wrong plans |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for ((call, fault), Counts { cases, not_reached, lost, doubled, wrong_plans }) in &table {
        println!(
            "| {call} | {fault} | {cases} | {not_reached} | {lost} | {doubled} | {wrong_plans} |"
        );
    }
    println!("{count} runs with a fault, in {:.0} s", began.elapsed().as_secs_f64());
    assert!(problems.is_empty(), "{problems}");
    for (call, errors) in FILE_CALLS.into_iter().chain(SOCKET_CALLS) {
        for fault in errors.iter().chain(&["killed before", "killed after"]) {
            let mut places = table
                .iter()
                .filter(|((of, by), _)| of.split(" (").next() == Some(call) && by == fault);
            assert!(places.any(|(_, counts)| counts.cases > 0), "{call}, {fault}: never reached");
        }
    }
}
