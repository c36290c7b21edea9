//! The progress of a batch: a bar on a terminal, a line every few seconds elsewhere, nothing with `--json`.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bird_sms::Event;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::outcome::Outcome;
use super::summary::Summary;

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(5);
/// The number of failures that are printed. The journal and the outcome file have all of them.
const MAX_FAILURES: u32 = 20;

pub(super) struct Progress {
    display: Display,
    began: Instant,
    last_line: Instant,
    /// The number of rows that had an outcome before the installs began.
    ended_before: u64,
    created: Arc<AtomicU64>,
    failures: u32,
}

enum Display {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    pub(super) fn new(json: bool, rows: u64) -> Self {
        let display = if json {
            Display::Nothing
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            Display::Bar(ProgressBar::new(rows).with_style(style))
        } else {
            Display::Lines
        };
        let now = Instant::now();
        let created = Arc::default();
        Self { display, began: now, last_line: now, ended_before: 0, created, failures: 0 }
    }

    /// Starts to measure the rate of installs.
    pub(super) fn start(&mut self, summary: &Summary) {
        (self.began, self.ended_before) = (Instant::now(), summary.ended());
    }

    /// Returns an observer that counts the connectors that were created.
    pub(super) fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let created = Arc::clone(&self.created);
        move |event| {
            if matches!(event, Event::Created { .. }) {
                created.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn advance(&mut self, summary: &Summary) {
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(summary.ended());
                bar.set_message(self.text(summary));
            }
            Display::Lines if self.last_line.elapsed() >= INTERVAL => {
                self.last_line = Instant::now();
                let (ended, rows) = (summary.ended(), summary.rows);
                self.print(&format!("{ended}/{rows} {}", self.text(summary)));
            }
            Display::Nothing | Display::Lines => {}
        }
    }

    fn text(&self, summary: &Summary) -> String {
        let (ended, ready) = (summary.ended(), summary.ready);
        let created = self.created.load(Ordering::Relaxed);
        let elapsed = self.began.elapsed();
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let remaining = match number(ended - self.ended_before) {
            0 => "no rate yet".to_owned(),
            done => {
                let rate = f64::from(done) / elapsed.as_secs_f64().max(0.001);
                let remaining = (elapsed / done).saturating_mul(number(summary.rows - ended));
                format!("{rate:.1}/s, {} left", HumanDuration(remaining))
            }
        };
        format!("({created} created, {ready} ready, {} failed; {remaining})", ended - ready)
    }

    /// Prints the error of a row, for the first [`MAX_FAILURES`] errors.
    pub(super) fn print_failure(&mut self, outcome: &Outcome) {
        let Some(error) = &outcome.error else { return };
        self.failures += 1;
        match self.failures.cmp(&(MAX_FAILURES + 1)) {
            std::cmp::Ordering::Less => {
                self.print(&format!("{}: {error}", outcome.phone_number_id));
            }
            std::cmp::Ordering::Equal => self.print("… more failures are not shown"),
            std::cmp::Ordering::Greater => {}
        }
    }

    pub(super) fn print(&self, line: &str) {
        let write = || {
            let _ = writeln!(io::stderr(), "{line}");
        };
        match &self.display {
            Display::Nothing => {}
            Display::Lines => write(),
            Display::Bar(bar) => bar.suspend(write),
        }
    }

    /// Prints a line in every display, with `--json` too.
    pub(super) fn print_always(&self, line: &str) {
        match &self.display {
            Display::Nothing => {
                let _ = writeln!(io::stderr(), "{line}");
            }
            Display::Lines | Display::Bar(_) => self.print(line),
        }
    }

    pub(super) fn finish(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}
