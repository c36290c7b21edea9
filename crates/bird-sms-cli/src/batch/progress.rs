//! The progress of a batch: a redrawn line on a terminal, and a line every few seconds elsewhere.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bird_sms::Event;
use indicatif::{HumanDuration, ProgressBar};

use super::summary::Summary;
use crate::args::BatchArgs;
use crate::display::Display;

/// The time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many failures are printed. The journal and the outcome file have all of them.
const MAX_FAILURES: u32 = 20;

pub(super) struct Progress {
    pub(super) display: Display,
    began: Instant,
    last_line: Instant,
    /// How many rows had an outcome before this run.
    ended_before: u64,
    created: Arc<AtomicU64>,
    failures: u32,
}

impl Progress {
    pub(super) fn new(args: &BatchArgs, rows: u64) -> Self {
        let line = ProgressBar::new(rows);
        let display =
            Display::new(args.shared.json, args.poll.quiet, "{pos}/{len} {elapsed} ", line);
        let now = Instant::now();
        let created = Arc::default();
        Self { display, began: now, last_line: now, ended_before: 0, created, failures: 0 }
    }

    /// Starts to measure the rate of installs.
    pub(super) fn start(&mut self) {
        self.began = Instant::now();
        self.display.start();
    }

    /// Counts a row that had an outcome before this run.
    pub(super) fn skip(&mut self) {
        self.ended_before += 1;
    }

    /// Returns an observer that counts new connectors, and prints that the batch is paused by the rate limit.
    pub(super) fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let created = Arc::clone(&self.created);
        let display = self.display.clone();
        move |event| match event {
            Event::Created { .. } => {
                created.fetch_add(1, Relaxed);
            }
            Event::Paused { duration } => {
                let seconds = duration.as_secs_f64();
                display.print(&format!("Paused for {seconds:.0} s by the rate limit"));
            }
            _ => {}
        }
    }

    /// Shows the current counts and rate.
    pub(super) fn advance(&mut self, summary: &Summary) {
        let ended = summary.ended();
        let rows = summary.rows;
        let text = self.text(summary);
        self.display.set_position(ended);
        if !self.display.set_status(&text) && self.last_line.elapsed() >= INTERVAL {
            self.last_line = Instant::now();
            self.display.print(&format!("{ended}/{rows} {text}"));
        }
    }

    fn text(&self, summary: &Summary) -> String {
        let ended = summary.ended();
        let ready = summary.ready;
        let created = self.created.load(Relaxed);
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
        let stopped = summary.stopped;
        let failed = ended - ready - stopped;
        let stopped = if stopped > 0 { format!(", {stopped} stopped") } else { String::new() };
        format!("({created} created, {ready} ready, {failed} failed{stopped}; {remaining})")
    }

    /// Prints the failure of a row, if it is one of the first [`MAX_FAILURES`].
    pub(super) fn print_failure(&mut self, text: &str) {
        self.failures += 1;
        match self.failures.cmp(&(MAX_FAILURES + 1)) {
            Ordering::Less => self.display.print_always(text),
            Ordering::Equal => self.display.print_always("More failures are not shown"),
            Ordering::Greater => {}
        }
    }
}
