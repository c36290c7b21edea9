//! The estimate of a distribution from intervals, and the schedule of polls with the lowest cost for it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "at most some hundred times and polls are counted"
)]

/// The number of iterations of the estimate, after which it hardly changes.
const ITERATIONS: usize = 30;
/// The number of times that each part of the distribution is smoothed over, to either side.
const NEIGHBOURS: f64 = 6.0;
/// The mass that is assumed in the second half of an interval.
const SECOND_HALF: f64 = 0.05;
/// The longest gap between polls, as a multiple of the gap while nothing is known.
const MAX_GAP: f64 = 8.0;
/// A gap between groups of times is longer than this multiple of the length of as many neighbours.
const GAP: f64 = 3.0;
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
pub(super) struct Distribution {
    knots: Vec<Knot>,
    /// The age after which so little is known that a schedule ends.
    end: f64,
}

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
        // An interval that is much longer than the gap between polls is the result of a schedule that was wrong. Its
        // mass must not go to the times that made it so.
        let is_long = |time: &&Interval| {
            time.ready.is_finite()
                && time.ready - time.pending > 2.0 * (2.0 * price * time.ready).sqrt()
        };
        let close: Vec<_> = times.iter().filter(|time| !is_long(time)).copied().collect();
        let (mut parts, mut beyond) = most_likely(&close);
        let share = close.len() as f64 * one;
        for part in &mut parts {
            part.mass *= share;
        }
        beyond *= share;
        parts.retain(|part| part.mass > 0.01 * one);
        for part in &mut parts {
            if part.to - part.from < price / 16.0 {
                part.from = part.to;
            }
        }
        // The age after which less than two times are left.
        let mut left = beyond;
        let later = |part: &&Part| {
            left += part.mass;
            left > 1.5 * one
        };
        let end = if beyond > 0.0 {
            f64::INFINITY
        } else {
            parts.iter().rev().find(later).map_or(0.0, |part| part.to)
        };
        let halves = |part: &Part| {
            let middle = f64::midpoint(part.from, part.to);
            let first = Part { to: middle, mass: part.mass * (1.0 - SECOND_HALF), ..*part };
            [first, Part { from: middle, mass: part.mass * SECOND_HALF, ..*part }]
        };
        let parts: Vec<_> = parts.iter().flat_map(halves).collect();
        let mut parts = smooth(&parts, &close, one);
        for Interval { pending, ready } in times.iter().filter(is_long) {
            let (quarter, mass) = ((ready - pending) / 4.0, one / 2.0);
            parts.push(Part { from: *pending, to: pending + quarter, mass });
            parts.push(Part { from: ready - quarter, to: *ready, mass });
        }
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
        Self { end, ..Self::new(&parts, price) }
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
        Self { knots, end: f64::INFINITY }
    }

    /// Returns the ages of the polls with the lowest expected cost, up to the end of the schedule.
    ///
    /// The cost is the price of each poll and the lag of the channels that became ready since the poll before. The
    /// lowest cost from each knot on follows from those of the later knots. Where the hazard h hardly changes between
    /// polls the gap is √(2·price/h), as in Keller 1974 (<https://doi.org/10.1287/mnsc.21.3.256>); where all channels
    /// become ready at the same age, there is one poll at that age.
    pub(super) fn schedule(&self, price: f64) -> Vec<f64> {
        let knots = &self.knots;
        let end = knots.partition_point(|knot| knot.age < self.end).min(knots.len() - 1);
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

/// Spreads each part over its neighbours, up to [`NEIGHBOURS`] times to either side, each of which has the mass `one`.
///
/// A distance that is much longer than those of the times around it separates groups of times, and stays empty but for
/// one more time behind the group, at distances that grow.
fn smooth(parts: &[Part], times: &[Interval], one: f64) -> Vec<Part> {
    let enough = NEIGHBOURS * one * 0.999;
    // Whether a gap follows a part.
    let is_gap = |at: usize| {
        let Some(next) = parts.get(at + 1) else { return true };
        let before =
            reach(parts, enough, (0..=at).rev()).map(|first| parts[at].to - parts[first].from);
        let after =
            reach(parts, enough, at + 1..parts.len()).map(|last| parts[last].to - next.from);
        let gap = next.from - parts[at].to;
        before.into_iter().chain(after).any(|length| gap > GAP * length)
    };
    let mut smoothed = Vec::with_capacity(parts.len());
    let mut first = 0;
    for last in (0..parts.len()).filter(|at| is_gap(*at)) {
        let group = &parts[first..=last];
        let mass: f64 = group.iter().map(|part| part.mass).sum();
        let spacing = (group[group.len() - 1].to - group[0].from) / (mass / one).max(1.0);
        for at in first..=last {
            let left = reach(parts, enough, (first..=at).rev()).unwrap_or(first);
            let right = reach(parts, enough, at..=last).unwrap_or(last);
            let mass = parts[at].mass;
            smoothed.push(Part { from: parts[left].from, to: parts[right].to, mass });
        }
        // One more time, behind the group, whose last time may be as late as the poll that found it.
        let latest =
            times.iter().filter(|time| time.pending < parts[last].to).map(|time| time.ready);
        let latest = latest.filter(|ready| ready.is_finite()).fold(parts[last].to, f64::max);
        let spacing = spacing.max(latest - parts[last].to);
        let mut from = parts[last].to;
        for nth in 0..2 {
            let to = from + spacing * f64::from(1 << nth);
            smoothed.push(Part { from, to, mass: one / f64::from(2 << nth) });
            from = to;
        }
        first = last + 1;
    }
    let sum: f64 = smoothed.iter().map(|part| part.mass).sum();
    for part in &mut smoothed {
        part.mass *= parts.iter().map(|part| part.mass).sum::<f64>() / sum;
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
