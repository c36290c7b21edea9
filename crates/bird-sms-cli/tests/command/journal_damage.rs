//! A journal that a disk, an editor or a crash has damaged: no damage changes the plan unseen. Faults 45 and 46.

use std::collections::BTreeMap;
use std::time::Duration;

use bird_sandbox::Sandbox;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tempfile::TempDir;

use crate::in_sandbox;
use crate::rows::{Rows, run};

/// The number of dry runs at a time.
const AT_ONCE: usize = 4;

/// A journal of a batch in which rows are ready, unknown, refused and not begun.
struct Damage {
    sandbox: Sandbox,
    rows: Rows,
    journal: Vec<u8>,
    plan: String,
}

/// What a dry run says.
#[derive(Debug)]
struct DryRun {
    code: i32,
    plan: String,
    stderr: String,
}

/// How many damaged journals were refused and how many had the same plan.
#[derive(Debug, Default)]
struct Tally {
    refused: u32,
    same_plan: u32,
}

impl Damage {
    async fn new() -> Self {
        let mut sandbox = Sandbox::builder().provisioning_delay(Duration::from_millis(20));
        for fault in ["post:lost@1", "post:422@3", "post:garbage@4"] {
            sandbox = sandbox.fault(fault.parse().unwrap());
        }
        let sandbox = sandbox.start().await.unwrap();
        let rows = Rows::new(8);
        let args = ["batch", "numbers.csv", "--journal", "j.jsonl", "--concurrency", "1"];
        let all = std::fs::read_to_string(rows.path("numbers.csv")).unwrap();
        // The last two rows are new to the journal.
        let begun: Vec<_> = all.lines().take(7).collect();
        std::fs::write(rows.path("numbers.csv"), begun.join("\n")).unwrap();
        let mut command = in_sandbox(&sandbox, &args);
        command.current_dir(rows.folder());
        let (code, stdout, stderr) = run(command).await;
        assert_eq!(code, 5, "{stdout} {stderr}");
        std::fs::write(rows.path("numbers.csv"), all).unwrap();
        let journal = std::fs::read(rows.path("j.jsonl")).unwrap();
        let mut damage = Self { sandbox, rows, journal, plan: String::new() };
        let dry_run = damage.dry_run(&damage.journal).await;
        assert_eq!((dry_run.code, dry_run.stderr.as_str()), (0, ""));
        damage.plan = dry_run.plan;
        damage
    }

    /// Returns what a dry run says of this journal, which it must not change.
    async fn dry_run(&self, journal: &[u8]) -> DryRun {
        let folder = TempDir::new_in(self.rows.folder()).unwrap();
        let path = folder.path().join("j.jsonl");
        std::fs::write(&path, journal).unwrap();
        let args = ["batch", "../numbers.csv", "--journal", "j.jsonl", "--dry-run", "--json"];
        let mut command = in_sandbox(&self.sandbox, &args);
        command.current_dir(folder.path());
        let (code, plan, stderr) = run(command).await;
        assert_eq!(std::fs::read(&path).unwrap(), journal);
        DryRun { code, plan, stderr }
    }

    /// Flips one bit of each copy of the journal.
    async fn flip_bits(&self, bits: impl IntoIterator<Item = usize>) -> Tally {
        let flips = stream::iter(bits).map(async |bit| {
            let mut journal = self.journal.clone();
            journal[bit / 8] ^= 1 << (bit % 8);
            let dry_run = self.dry_run(&journal).await;
            (bit, journal, dry_run)
        });
        let mut tally = Tally::default();
        let mut flips = flips.buffer_unordered(AT_ONCE);
        while let Some((bit, journal, dry_run)) = flips.next().await {
            let line = self.line_of(bit / 8);
            let context = format!("bit {} of byte {} in line {line}", bit % 8, bit / 8);
            if dry_run.code == 0 {
                assert_eq!(dry_run.plan, self.plan, "{context}: {}", dry_run.stderr);
                // The counts of a plan do not show the connector of a row.
                assert_eq!(meaning(&journal), meaning(&self.journal), "{context}");
                tally.same_plan += 1;
            } else {
                assert_eq!(
                    (dry_run.code, dry_run.plan.as_str()),
                    (2, ""),
                    "{context}: {dry_run:?}"
                );
                // What has no first line may be another file, which has no lines.
                let named = dry_run.stderr.contains(&format!("line {line} "))
                    || line == 1 && dry_run.stderr.contains("j.jsonl");
                assert!(named, "{context}: {}", dry_run.stderr);
                tally.refused += 1;
            }
        }
        tally
    }

    /// Returns the number of the line of a byte, counted from 1.
    fn line_of(&self, byte: usize) -> usize {
        self.journal[..byte].split(|byte| *byte == b'\n').count()
    }

    /// Cuts a copy of the journal after each number of bytes. Returns how many last lines were torn.
    async fn cut(&self, lengths: impl IntoIterator<Item = usize>) -> usize {
        // The plans of the whole lines.
        let mut plans = BTreeMap::new();
        let ends = (0..self.journal.len()).filter(|at| self.journal[*at] == b'\n');
        for end in [0].into_iter().chain(ends.map(|at| at + 1)) {
            let dry_run = self.dry_run(&self.journal[..end]).await;
            assert_eq!((dry_run.code, dry_run.stderr.as_str()), (0, ""));
            plans.insert(end, dry_run.plan);
        }
        let mut torn = 0;
        let cuts = stream::iter(lengths)
            .map(async |length| (length, self.dry_run(&self.journal[..length]).await));
        let mut cuts = cuts.buffer_unordered(AT_ONCE);
        while let Some((length, dry_run)) = cuts.next().await {
            // A line that lacks its line break alone is whole.
            let lacks_line_break = self.journal.get(length) == Some(&b'\n');
            let whole = if lacks_line_break { length + 1 } else { length };
            let (end, plan) = plans.range(..=whole).next_back().unwrap();
            assert_eq!(dry_run.code, 0, "{length} bytes: {}", dry_run.stderr);
            assert_eq!(&dry_run.plan, plan, "{length} bytes: {}", dry_run.stderr);
            if *end < whole {
                torn += 1;
                // A first line that is torn is the end of a run that sent nothing.
                assert!(*end == 0 || !dry_run.stderr.is_empty(), "{length} bytes: nothing is said");
            } else {
                assert_eq!(dry_run.stderr, "", "{length} bytes");
            }
        }
        torn
    }

    fn random_bits(&self, seed: u64, count: usize) -> Vec<usize> {
        let mut random = fastrand::Rng::with_seed(seed);
        let bits = self.journal.len() * 8;
        (0..count).map(|_| random.usize(0..bits)).collect()
    }
}

/// Returns what the lines of a journal say of connectors. What follows the object of a line says nothing.
fn meaning(journal: &[u8]) -> Vec<[Value; 5]> {
    const FIELDS: [&str; 5] = ["event", "phoneNumberId", "connectorId", "channelId", "workspaceId"];
    let lines = serde_json::Deserializer::from_slice(journal).into_iter::<Value>();
    lines.map_while(Result::ok).map(|line| FIELDS.map(|field| line[field].clone())).collect()
}

#[tokio::test]
async fn a_bit_that_flips_in_a_journal_does_not_change_the_plan_unseen() {
    let damage = Damage::new().await;
    let last = damage.journal.len() - 1;
    // Those of the last line break as well, and a few of the first line.
    let bits = damage.random_bits(46, 130).into_iter();
    let bits = bits.chain(last * 8..(last + 1) * 8).chain((0..12).map(|nth| nth * 96 + nth % 8));
    let tally = damage.flip_bits(bits).await;
    assert_eq!(tally.refused + tally.same_plan, 150);
}

#[tokio::test]
async fn a_journal_that_was_cut_has_the_plan_of_its_whole_lines() {
    let damage = Damage::new().await;
    // Around the end of each line, and in the middle of it.
    let ends: Vec<_> =
        (0..damage.journal.len()).filter(|at| damage.journal[*at] == b'\n').collect();
    let lengths = ends.iter().flat_map(|end| [end - 40, end - 1, *end, end + 1, end + 2]);
    let lengths = lengths.filter(|length| *length <= damage.journal.len());
    assert!(damage.cut(lengths).await > ends.len());
}

#[tokio::test]
#[ignore = "2,000 bit flips and every prefix, each a process: a minute or two"]
async fn two_thousand_bit_flips_and_every_prefix_change_no_plan_unseen() {
    let damage = Damage::new().await;
    let tally = damage.flip_bits(damage.random_bits(2000, 2000)).await;
    println!("2,000 bit flips of a journal of {} bytes: {tally:?}", damage.journal.len());
    let torn = damage.cut(0..=damage.journal.len()).await;
    println!(
        "{} prefixes: the plan of the whole lines, {torn} last lines torn",
        damage.journal.len() + 1
    );
}
