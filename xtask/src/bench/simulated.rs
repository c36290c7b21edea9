//! The figures of `bench/examples/simulated`: tables, targets and charts.

#![expect(clippy::cast_precision_loss, reason = "the counts are small")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::chart::{Bars, Lines};
use crate::command::output;

#[derive(Deserialize)]
struct Point {
    schedule: String,
    provisioning: f64,
    lag: f64,
    gets: f64,
}

#[derive(Deserialize)]
struct Batch {
    contender: String,
    provisioning: String,
    installs: u32,
    seconds: f64,
    of_bound: f64,
    of_bound_unknown: f64,
    gets_per_install: f64,
    too_many: u64,
    straggler_lag: Option<f64>,
}

#[derive(Deserialize)]
struct Cost {
    provisioning: String,
    given: bool,
    of_optimum: f64,
    worst_seed: f64,
}

impl Cost {
    fn known_by(&self) -> &'static str {
        if self.given { "the caller" } else { "own polls" }
    }
}

#[derive(Deserialize)]
struct Comparison {
    what: String,
    simulated: f64,
    real: f64,
}

#[derive(Deserialize)]
pub(super) struct Simulated {
    curves: Vec<Point>,
    installs: Vec<Point>,
    gets: [f64; 2],
    batches: Vec<Batch>,
    costs: Vec<Cost>,
    comparisons: Vec<Comparison>,
}

/// The longest mean lag of an install of each provisioning time, in seconds.
const LAGS: [f64; 5] = [0.15, 0.25, 0.5, 0.8, 1.5];

impl Simulated {
    /// Runs the simulation.
    pub(super) fn run(program: &Path) -> anyhow::Result<Self> {
        Ok(serde_json::from_slice(&output(&mut Command::new(program))?)?)
    }

    /// Returns the tables.
    pub(super) fn tables(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "## One install, with nothing known\n\n| provisioning, s | mean lag, s | GETs |\n|---|---|---|"
        )?;
        for Point { provisioning, lag, gets, .. } in &self.installs {
            writeln!(text, "| {provisioning} | {lag:.2} | {gets:.1} |")?;
        }
        writeln!(
            text,
            "\n## Batches\n\n| installs | provisioning | | s | of the bound | without knowing what is ready | GETs per install | 429 | lag of stragglers, s |\n\
             |---|---|---|---|---|---|---|---|---|"
        )?;
        for batch in &self.batches {
            let Batch { contender, provisioning, installs, seconds, too_many, .. } = batch;
            // A page of the list does not say when a channel was ready.
            let known = |value: Option<f64>, digits| match value {
                Some(value) if !contender.ends_with("list") => format!("{value:.digits$}"),
                _ => "-".to_owned(),
            };
            writeln!(
                text,
                "| {installs} | {provisioning} | {contender} | {seconds:.1} | {} | {} | {:.3} | {too_many} | {} |",
                known(Some(batch.of_bound), 3),
                known(Some(batch.of_bound_unknown), 3),
                batch.gets_per_install,
                known(batch.straggler_lag.filter(|_| contender == "bird-sms"), 2)
            )?;
        }
        writeln!(
            text,
            "\n## One install, polled by the known times\n\n| provisioning | 50 times known by | cost over the optimum, 40 seeds | worst seed |\n|---|---|---|---|"
        )?;
        for cost in &self.costs {
            let Cost { provisioning, of_optimum, worst_seed, .. } = cost;
            let by = cost.known_by();
            writeln!(text, "| {provisioning} | {by} | {of_optimum:.3} | {worst_seed:.3} |")?;
        }
        writeln!(
            text,
            "\n## The simulation and the real clock\n\n| | simulated | real |\n|---|---|---|"
        )?;
        for Comparison { what, simulated, real } in &self.comparisons {
            writeln!(text, "| {what} | {simulated:.2} | {real:.2} |")?;
        }
        Ok(text)
    }

    /// Returns each target, its figure and its limit.
    pub(super) fn targets(&self) -> Vec<(String, f64, f64)> {
        let mut targets: Vec<_> = self
            .installs
            .iter()
            .zip(LAGS)
            .map(|(point, limit)| {
                (
                    format!("mean lag, s, of an install that takes {} s", point.provisioning),
                    point.lag,
                    limit,
                )
            })
            .collect();
        targets.push(("GETs of an install in its first 10 s".to_owned(), self.gets[0], 20.0));
        targets.push(("GETs of an install in a minute".to_owned(), self.gets[1], 60.0));
        for batch in self.batches.iter().filter(|batch| batch.contender == "bird-sms") {
            let what = |what: &str| {
                format!("{what}, {} installs of {}", batch.installs, batch.provisioning)
            };
            targets.push((what("duration over the bound"), batch.of_bound, 1.05));
            if batch.provisioning.starts_with('~') {
                let lag = batch.straggler_lag;
                targets.extend(lag.map(|lag| (what("mean lag of stragglers, s"), lag, 1.0)));
            } else {
                targets.push((what("GETs per install"), batch.gets_per_install, 1.05));
            }
            targets.push((what("429s"), batch.too_many as f64, 0.0));
        }
        targets.extend(self.costs.iter().map(|cost| {
            let what =
                format!("cost after 50 times known by {}, {}", cost.known_by(), cost.provisioning);
            (what, cost.of_optimum, 1.15)
        }));
        targets
    }

    /// Writes the charts.
    pub(super) fn draw(&self, folder: &Path) -> std::io::Result<()> {
        let mut schedules: Vec<&str> = Vec::new();
        for point in &self.curves {
            if !schedules.contains(&&*point.schedule) {
                schedules.push(&point.schedule);
            }
        }
        let series = |value: fn(&Point) -> f64| {
            let points = |schedule: &str| {
                let points = self.curves.iter().filter(|point| point.schedule == schedule);
                points.map(|point| [point.provisioning, value(point)]).collect()
            };
            schedules.iter().map(|schedule| ((*schedule).to_owned(), points(schedule))).collect()
        };
        let times = vec![0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];
        let lag = Lines {
            title: "How late a channel that is ready is reported",
            axes: ["provisioning takes, s", "mean lag, s"],
            ticks: [times.clone(), vec![0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0]],
            series: series(|point| point.lag),
        };
        std::fs::write(folder.join("lag.svg"), lag.to_string())?;
        let polls = Lines {
            title: "GETs until a channel is reported",
            axes: ["provisioning takes, s", "GETs"],
            ticks: [times, vec![1.0, 2.0, 5.0, 10.0, 20.0, 60.0]],
            series: series(|point| point.gets),
        };
        std::fs::write(folder.join("polls.svg"), polls.to_string())?;
        let mut groups: Vec<(String, Vec<(f64, String)>)> = Vec::new();
        for batch in self.batches.iter().filter(|batch| !batch.contender.ends_with("list")) {
            let provisioning = match &*batch.provisioning {
                "1s..5s" => "1 s to 5 s",
                "~2s" => "a long tail",
                _ => "2 s",
            };
            let label = format!("{},000 installs of {provisioning}", batch.installs / 1000);
            if groups.last().is_none_or(|(last, _)| *last != label) {
                groups.push((label, Vec::new()));
            }
            let shown = match batch.too_many {
                0 => format!("{:.2}, no 429", batch.of_bound),
                few @ 1..1000 => format!("{:.2}, {few} × 429", batch.of_bound),
                many => format!("{:.2}, {},000 × 429", batch.of_bound, many / 1000),
            };
            groups.last_mut().expect("a group").1.push((batch.of_bound, shown));
        }
        let batches = Bars {
            title: "Duration of a batch, of the bound for one that knows when each channel is ready",
            end: 3.0,
            mark: 1.0,
            names: vec!["bird-sms batch", "a poll every second"],
            groups,
        };
        std::fs::write(folder.join("batches.svg"), batches.to_string())
    }
}
