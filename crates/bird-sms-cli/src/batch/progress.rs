//! How far the batch is: a bar on a terminal, a line every few seconds elsewhere, nothing with `--json`.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::output::Summary;

/// How often a line is written.
const EVERY: Duration = Duration::from_secs(5);
/// How many failures are shown; the rest is in the journal and the output.
const FAILURES: u32 = 20;

pub(crate) struct Progress {
    show: Show,
    began: Instant,
    told: Instant,
    /// How many rows were done before it began.
    before: u64,
    failures: u32,
}

enum Show {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    pub(crate) fn new(json: bool, rows: u64) -> Self {
        let show = if json {
            Show::Nothing
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            Show::Bar(ProgressBar::new(rows).with_style(style))
        } else {
            Show::Lines
        };
        let now = Instant::now();
        Self { show, began: now, told: now, before: 0, failures: 0 }
    }

    /// The rate is that from here on.
    pub(crate) fn begin(&mut self, summary: &Summary) {
        (self.began, self.before) = (Instant::now(), summary.ended());
    }

    pub(crate) fn advance(&mut self, summary: &Summary, created: u64) {
        match &self.show {
            Show::Bar(bar) => {
                bar.set_position(summary.ended());
                bar.set_message(self.text(summary, created));
            }
            Show::Lines if self.told.elapsed() >= EVERY => {
                self.told = Instant::now();
                let (ended, rows) = (summary.ended(), summary.rows);
                self.say(&format!("{ended}/{rows} {}", self.text(summary, created)));
            }
            Show::Nothing | Show::Lines => {}
        }
    }

    fn text(&self, summary: &Summary, created: u64) -> String {
        let (ended, ready) = (summary.ended(), summary.ready);
        let elapsed = self.began.elapsed();
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let left = match number(ended - self.before) {
            0 => "no rate yet".to_owned(),
            done => {
                let rate = f64::from(done) / elapsed.as_secs_f64().max(0.001);
                let left = (elapsed / done).saturating_mul(number(summary.rows - ended));
                format!("{rate:.1}/s, {} left", HumanDuration(left))
            }
        };
        format!("({created} created, {ready} ready, {} failed; {left})", ended - ready)
    }

    pub(crate) fn failure(&mut self, phone_number_id: &str, error: &str) {
        self.failures += 1;
        match self.failures.cmp(&(FAILURES + 1)) {
            std::cmp::Ordering::Less => self.say(&format!("{phone_number_id}: {error}")),
            std::cmp::Ordering::Equal => self.say("… more failures are not shown here"),
            std::cmp::Ordering::Greater => {}
        }
    }

    pub(crate) fn say(&self, line: &str) {
        let write = || {
            let _ = writeln!(io::stderr(), "{line}");
        };
        match &self.show {
            Show::Nothing => {}
            Show::Lines => write(),
            Show::Bar(bar) => bar.suspend(write),
        }
    }

    pub(crate) fn finish(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}
