//! The estimate of a distribution from intervals, and the schedule of polls with the lowest cost for it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "at most some hundred times and polls are counted"
)]

/// The number of iterations of the estimate, after which it hardly changes.
const ITERATIONS: usize = 30;
/// The number of times that are spread together over the ages at which they were seen, at most a third of all. With
/// fewer, the schedule follows the chance of the sample; with more, it misses the shape of the distribution.
const SPREAD: f64 = 15.0;
/// The mass that is assumed in the second half of an interval.
const SECOND_HALF: f64 = 0.05;
/// The longest gap between polls, as a multiple of the gap while nothing is known.
const MAX_GAP: f64 = 10.0;
/// Times belong to different groups if the ages between them are longer than this multiple of the ages over which
/// [`SPREAD`] times on either side are spread.
const GROUP_GAP: f64 = 3.0;
/// A part that is shorter than this is a point, in seconds.
pub(super) const POINT: f64 = 1e-6;

/// The time lies after `pending` and not after `ready`, in seconds. `ready` is infinite while it is not known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) pending: f64,
    pub(super) ready: f64,
}

/// A part of the distribution: this mass, spread evenly over an interval, or at one point.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: f64,
    to: f64,
    mass: f64,
}

/// A distribution function F that is linear between its knots.
#[derive(Debug)]
pub(super) struct Distribution(Vec<Knot>);

/// An age at which a poll may be made.
#[derive(Clone, Copy, Debug)]
struct Knot {
    age: f64,
    /// F at the age, with the mass at this point.
    ready: f64,
    /// The integral of F up to the age: the expected lag of a single poll at this age.
    lag: f64,
}

impl Distribution {
    /// Estimates the distribution from intervals, for polls of this price.
    ///
    /// The mass that makes the intervals most likely lies in the intervals between the last `pending` before a
    /// `ready` and that `ready`, and is found by repeatedly sharing each time out among them (Turnbull 1976,
    /// <https://doi.org/10.1111/j.2517-6161.1976.tb01597.x>). Where in such an interval is not known: its first half is
    /// assumed, so that the next poll halves it, until that is worth less than a fraction of the price.
    pub(super) fn of(times: &[Interval], price: f64) -> Self {
        let one = 1.0 / times.len() as f64;
        let (mut parts, beyond) = most_likely(times);
        parts.retain(|part| part.mass > 0.01 * one);
        let halves = |part: Part| {
            // An interval that is not worth another poll is a point at its end.
            let is_short = part.to - part.from < price / 16.0;
            let from = if is_short { part.to } else { part.from };
            let middle = f64::midpoint(from, part.to);
            let mass = part.mass * SECOND_HALF;
            [
                Part { from, to: middle, mass: part.mass - mass },
                Part { from: middle, to: part.to, mass },
            ]
        };
        let parts: Vec<_> = parts.into_iter().flat_map(halves).collect();
        let mut parts = smooth(&parts, times, one);
        // Nothing is known of times beyond all polls but their age: the longer, the longer still. The hazard at age t
        // is 1/t.
        let last =
            times.iter().map(|time| if time.ready.is_finite() { time.ready } else { time.pending });
        let mut from = last.fold(0.0, f64::max).max(1e-3);
        let mut rest = beyond;
        for _ in 0..16 {
            let to = from * 1.25;
            let mass = rest * (1.0 - from / to);
            parts.push(Part { from, to, mass });
            (from, rest) = (to, rest - mass);
        }
        Self::new(&parts, price)
    }

    fn new(parts: &[Part], price: f64) -> Self {
        let is_point = |part: &&Part| part.to - part.from < POINT;
        let mut ages: Vec<_> = parts
            .iter()
            .filter(|part| part.mass > 0.0)
            .flat_map(|part| if is_point(&part) { [part.to; 2] } else { [part.from, part.to] })
            .collect();
        ages.sort_by(f64::total_cmp);
        ages.dedup();
        let mut last = Knot { age: 0.0, ready: 0.0, lag: 0.0 };
        let mut knots = vec![last];
        // The polls since the last knot, at the rate of Keller. There are four knots for each poll.
        let mut polls = 0.0;
        for age in ages {
            let middle = f64::midpoint(last.age, age);
            let density: f64 = parts
                .iter()
                .filter(|part| !is_point(part) && part.from < middle && middle < part.to)
                .map(|part| part.mass / (part.to - part.from))
                .sum();
            let knot = |at: f64| Knot {
                age: last.age + at,
                ready: last.ready + density * at,
                lag: last.lag + at * (last.ready + density * at / 2.0),
            };
            let passed = age - last.age;
            let rate = (density / (2.0 * price * (1.0 - last.ready).max(1e-3))).sqrt();
            for _ in 0..((polls + rate * passed) / 0.25) as usize {
                knots.push(knot(((0.25 - polls) / rate).clamp(0.0, passed)));
                polls -= 0.25;
            }
            polls += rate * passed;
            let mut at = longest_gap(price, last.age);
            while density <= 0.0 && last.age > 0.0 && at < passed {
                knots.push(knot(at));
                at += longest_gap(price, last.age + at);
            }
            let mass: f64 = parts
                .iter()
                .filter(is_point)
                .filter(|part| part.to.total_cmp(&age).is_eq())
                .map(|part| part.mass)
                .sum();
            last = knot(passed);
            last.ready += mass;
            // Points of mass, and the ends of groups.
            if mass > 0.0 || !parts.iter().any(|part| part.from <= age && age < part.to) {
                polls = 0.0;
                knots.push(last);
            }
        }
        Self(knots)
    }

    /// Returns the ages of the polls with the lowest expected cost.
    ///
    /// The cost is the price of each poll and the lag of the channels that became ready since the poll before. The
    /// lowest cost from each knot on follows from those of the later knots. Where the hazard h hardly changes between
    /// polls the gap is √(2·price/h), as in Keller 1974 (<https://doi.org/10.1287/mnsc.21.3.256>); where all channels
    /// become ready at the same age, there is one poll at that age.
    pub(super) fn schedule(&self, price: f64) -> Vec<f64> {
        let knots = &self.0;
        let end = knots.len() - 1;
        // The cost from a knot on, and the next knot.
        let mut best = vec![(0.0, 0); end + 1];
        let last = knots[end];
        best[end].0 = (1.0 - last.ready).max(0.0) * 2.0 * (2.0 * price * last.age).sqrt();
        for at in (0..end).rev() {
            let a = knots[at];
            let polled = price * (1.0 - a.ready);
            best[at] = (at + 1..=end)
                .take_while(|next| {
                    let gap = knots[*next].age - a.age;
                    *next == at + 1 || a.ready <= 0.0 || gap <= longest_gap(price, a.age)
                })
                .map(|next| {
                    let b = knots[next];
                    let lag = b.lag - a.lag - (b.age - a.age) * a.ready;
                    (polled + lag + best[next].0, next)
                })
                .min_by(|one, other| one.0.total_cmp(&other.0))
                .unwrap_or_default();
        }
        let mut polls = Vec::new();
        let mut at = 0;
        while at < end {
            at = best[at].1;
            polls.push(knots[at].age);
        }
        polls
    }
}

/// Returns the longest gap between polls, so that a channel is not reported very late where no time was seen before.
fn longest_gap(price: f64, age: f64) -> f64 {
    MAX_GAP * (2.0 * price * age).sqrt()
}

/// Returns the intervals that have all the mass, in their order, and the mass beyond all of them.
fn most_likely(times: &[Interval]) -> (Vec<Part>, f64) {
    let mut ends: Vec<_> =
        times.iter().flat_map(|time| [(time.pending, true), (time.ready, false)]).collect();
    // An interval includes its end, and not its start.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut parts: Vec<_> = ends
        .windows(2)
        .filter(|pair| pair[0].1 && !pair[1].1)
        .map(|pair| Part { from: pair[0].0, to: pair[1].0, mass: 1.0 })
        .collect();
    let count = times.len() as f64;
    let ranges: Vec<_> = times
        .iter()
        .map(|time| {
            let first = parts.partition_point(|part| part.from < time.pending);
            (first, parts.partition_point(|part| part.to <= time.ready))
        })
        .collect();
    let mut masses = vec![1.0 / parts.len() as f64; parts.len()];
    for _ in 0..ITERATIONS {
        let mut sum = 0.0;
        let sums: Vec<_> = std::iter::once(0.0)
            .chain(masses.iter().map(|mass| {
                sum += mass;
                sum
            }))
            .collect();
        let mut shares = vec![0.0; parts.len() + 1];
        for (first, end) in &ranges {
            let share = 1.0 / (count * (sums[*end] - sums[*first]).max(1e-12));
            shares[*first] += share;
            shares[*end] -= share;
        }
        let mut share = 0.0;
        for (mass, change) in masses.iter_mut().zip(&shares) {
            share += change;
            *mass *= share;
        }
    }
    for (part, mass) in parts.iter_mut().zip(masses) {
        part.mass = mass;
    }
    let beyond = parts.pop_if(|part| part.to.is_infinite()).map_or(0.0, |part| part.mass);
    (parts, beyond)
}

/// Spreads every [`SPREAD`] times evenly over the ages from the last time before them to the last of them. One time has
/// the mass `one`.
///
/// A distance that is much longer than those of the times around it separates groups of times, and stays empty. A group
/// begins the mean distance of its times before its first time, and half a time more is assumed behind it.
fn smooth(parts: &[Part], times: &[Interval], one: f64) -> Vec<Part> {
    let spread = (SPREAD * one).min(1.0 / 3.0) * 0.999;
    let is_last_of_group = |at: usize| {
        let Some(next) = parts.get(at + 1) else { return true };
        let before =
            reach(parts, spread, (0..=at).rev()).map(|first| parts[at].to - parts[first].from);
        let after =
            reach(parts, spread, at + 1..parts.len()).map(|last| parts[last].to - next.from);
        let gap = next.from - parts[at].to;
        before.into_iter().chain(after).any(|length| gap > GROUP_GAP * length)
    };
    let mut smoothed = Vec::with_capacity(parts.len());
    let mut first = 0;
    for last in (0..parts.len()).filter(|at| is_last_of_group(*at)) {
        let group = &parts[first..=last];
        first = last + 1;
        let (start, end) = (group[0].from, group[group.len() - 1].to);
        let mass: f64 = group.iter().map(|part| part.mass).sum();
        let distance = (end - start) / (mass / one).max(1.0);
        let enough = mass / (mass / spread).floor().max(1.0) * 0.999;
        let mut merged = Part { from: (start - distance).max(0.0), to: start, mass: 0.0 };
        for part in group {
            merged = Part { to: part.to, mass: merged.mass + part.mass, ..merged };
            if merged.mass >= enough {
                smoothed.push(merged);
                merged = Part { from: part.to, to: part.to, mass: 0.0 };
            }
        }
        smoothed.push(merged);
        // The last time of the group may be as late as the poll that found it.
        let latest = times.iter().filter(|time| time.pending < end).map(|time| time.ready);
        let latest = latest.filter(|ready| ready.is_finite()).fold(end, f64::max);
        let to = end + 2.0 * distance.max(latest - end);
        smoothed.push(Part { from: end, to, mass: one / 2.0 });
    }
    let sum: f64 = smoothed.iter().map(|part| part.mass).sum();
    let known: f64 = parts.iter().map(|part| part.mass).sum();
    for part in &mut smoothed {
        part.mass *= known / sum;
    }
    smoothed
}

/// Returns the last of the neighbours that have enough mass together, if there are as many.
fn reach(
    parts: &[Part],
    enough: f64,
    mut neighbours: impl Iterator<Item = usize>,
) -> Option<usize> {
    let mut mass = 0.0;
    neighbours.find(|at| {
        mass += parts[*at].mass;
        mass >= enough
    })
}
