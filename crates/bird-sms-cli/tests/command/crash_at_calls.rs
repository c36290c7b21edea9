//! Runs `bird-sms batch` with a kill or an error at each of its system calls. No connector may be lost or created
//! twice, and the plan of the next run must not contradict the server.

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

/// The name of a system call, and the errors that are injected into it.
type Call = (&'static str, &'static [&'static str]);

/// System calls on files, and errors that Linux can return for them.
const FILE_CALLS: [Call; 4] = [
    ("openat", &["EIO", "ENFILE"]),
    ("write", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
];

/// System calls on TCP sockets, and errors that a broken connection causes.
const SOCKET_CALLS: [Call; 2] =
    [("writev", &["EPIPE", "ECONNRESET"]), ("recvfrom", &["ECONNRESET", "ETIMEDOUT"])];

/// The journal. Errors are injected into calls on one group of files at a time, because strace counts the calls of
/// each thread separately: with both groups, an error that is meant for one could hit a call on the other first.
const JOURNAL: [&str; 1] = ["j.jsonl"];
/// The other files of the batch.
const OTHER_FILES: [&str; 4] = [
    "numbers.csv",
    "out.jsonl",
    ".bird-sms-a1405560-c8d3-4b1a-877d-3f449ad95352.lock",
    // The folder itself, which is synced.
    ".",
];

/// How many calls are tried beyond the last one of a run without a fault. Runs differ in their number of calls.
const BEYOND: usize = 2;

/// Each thread's system calls in order: the name, and the line of strace output.
type Threads = HashMap<String, Vec<(String, String)>>;

/// The fault of one run.
#[derive(Clone, Debug)]
enum Fault {
    /// The batch is killed when a thread is about to make its nth call with this name.
    Kill { call: String, files: &'static [&'static str], nth: usize },
    /// A thread's nth call with this name fails and does nothing.
    Error {
        call: &'static str,
        /// Only calls on these files count. If there are none, all calls count.
        files: &'static [&'static str],
        nth: usize,
        error: &'static str,
    },
    /// No file may grow beyond this number of bytes. The write that would exceed it is cut, and the next one fails.
    FileSize { bytes: usize },
    /// The journal's disk has room for 4 KiB. The write that would exceed it is cut, and the next one fails.
    SmallDisk,
}

#[derive(Clone, Debug)]
struct Case {
    fault: Fault,
    rows: usize,
    /// True if the first line of the journal is written before the run. If not, the first write to the journal is
    /// that line, from another thread, so a fault can't hit the first write of the journal's own thread.
    first_line: bool,
}

/// The counts in one row of the printed table.
#[derive(Debug, Default)]
struct Counts {
    cases: usize,
    not_reached: usize,
    lost: usize,
    doubled: usize,
    wrong_plans: usize,
}

/// Reads the system calls of each thread from strace's output.
fn calls(trace: &Path) -> Threads {
    let mut threads = Threads::new();
    for line in std::fs::read_to_string(trace).unwrap_or_default().lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        // strace also prints signals, exits and the rest of interrupted calls. None of those lines starts with a
        // lower-case letter.
        if call.trim_start().starts_with(|first: char| first.is_ascii_lowercase())
            && let Some((name, _)) = call.trim_start().split_once('(')
        {
            let calls = threads.entry(thread.to_owned()).or_default();
            calls.push((name.to_owned(), call.to_owned()));
        }
    }
    threads
}

/// Returns the call's name as the table shows it, or `None` if the table doesn't list it.
fn label((name, line): &(String, String)) -> Option<String> {
    let listed = FILE_CALLS.iter().chain(&SOCKET_CALLS).any(|(call, _)| call == name);
    let of_journal = if line.contains("j.jsonl") { " (journal)" } else { "" };
    listed.then(|| format!("{name}{of_journal}"))
}

/// Returns the options with which strace writes `trace`: only calls on these files, or all calls if there are none.
fn strace(folder: &Path, files: &[&str]) -> Vec<String> {
    let mut args: Vec<_> = "-f -y -qq -s 0 -o trace".split(' ').map(str::to_owned).collect();
    let folder = folder.canonicalize().unwrap();
    for file in files {
        let path = if *file == "." { folder.clone() } else { folder.join(file) };
        // strace compares the path with the relative path that a call is given, and with the absolute path of a file
        // descriptor.
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

    /// Returns the command that runs the batch with the fault.
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
                // Symbolic links take no room on the small disk.
                let script = "mkdir disk && mount -t tmpfs -o size=4k none disk && cd disk && \
                              ln -s ../numbers.csv ../out.jsonl . && \"$0\" \"$@\"; code=$?; cp j.jsonl ..; exit $code";
                wrap("unshare", &["--map-root-user", "--mount", "sh", "-c", script], &command)
            }
        }
    }

    /// Returns whether the fault was reached, and the rows of the table in which the case is counted.
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
                // A trace of only some files may lack the call before this one.
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

    /// Runs the batch with the fault, and then without it until it is done, as an operator would. Compares the plan and
    /// the result with the server.
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
        // The command was not yet told to retry a row, so a 409 shows that it sent a second POST by itself.
        let refused = sandbox.response_count(409);
        verdict.doubled.extend((0..refused).map(|_| "a POST was sent twice".to_owned()));
        verdict.check_outcomes(&rows, &sandbox.connectors(), &next);
        if !rows.settle(&sandbox, code).await {
            verdict.lost.push("rows are still not ready after 20 runs".to_owned());
        }
        verdict.check_end(&rows, &sandbox.connectors());
        (self, verdict)
    }
}

/// Returns the server's connectors, once the server has read everything that the killed command sent.
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

/// Returns the calls and the journal of a run without a fault.
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

/// Returns the largest number of calls with this name that one thread makes.
fn most(threads: &Threads, name: &str) -> usize {
    let count = |calls: &Vec<(String, String)>| calls.iter().filter(|call| call.0 == name).count();
    threads.values().map(count).max().unwrap_or_default()
}

/// Returns the calls at which to kill the batch: the name, and the number among a thread's calls with that name. The
/// calls that load libraries are left out.
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
            // If no files are given, `kills` has these kills already.
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

/// Returns whether a program is allowed to do this here. If not, prints that its cases are skipped.
async fn is_allowed(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).status().await;
    let allowed = status.is_ok_and(|status| status.success());
    if !allowed {
        println!("skipped: `{program} {}` is not allowed here", args.join(" "));
    }
    allowed
}

/// Run by `cargo xtask crash`, which shows the table that this prints.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute for 500 runs"]
async fn a_batch_killed_or_failing_at_any_system_call_installs_each_row_once() {
    if program("strace").is_none()
        || !is_allowed("strace", &["-f", "-o", "/dev/null", "true"]).await
    {
        return;
    }
    let began = Instant::now();
    let cases = cases().await;
    let count = cases.len();
    let mut table = BTreeMap::<_, Counts>::new();
    let mut problems = String::new();
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
