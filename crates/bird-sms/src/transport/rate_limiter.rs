//! The rate limiter: GCRA (the generic cell rate algorithm) with AIMD.
//!
//! There is one permit per interval, so no sliding second has more requests than the limit. A 429 multiplies the rate
//! by [`DECREASE_FACTOR`]; the rate then increases linearly, by [`INCREASE_PER_SECOND`]. No crate does both: the quota
//! of governor's GCRA is fixed, and governor cannot hold back all waiters until a `Retry-After` is over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Deadline, Runtime, lock};

/// The fraction of a limit that is used. Requests that are sent evenly do not arrive evenly, so a server that counts
/// per second would occasionally count more than the limit.
const UTILISATION: f64 = 0.98;
/// How much delay later permits may make up for. Timers have a resolution of a millisecond, so permits are taken late.
const CATCH_UP: Duration = Duration::from_millis(5);
/// How long after it was taken a permit can be used. Together with [`CATCH_UP`], this uses up the 20 ms of each second
/// that [`UTILISATION`] leaves, so no second has more requests than the limit.
const MAX_AGE: Duration = Duration::from_millis(15);
/// The factor by which a 429 multiplies the rate.
const DECREASE_FACTOR: f64 = 0.75;
/// The lowest rate, as a fraction of the limit.
const MIN_RATE_FACTOR: f64 = 1.0 / 64.0;
/// The increase of the rate factor per second.
const INCREASE_PER_SECOND: f64 = 0.02;
/// The time within which several 429s decrease the rate once, because their requests were sent at the same rate.
const ONE_DECREASE: Duration = Duration::from_secs(1);
/// A pause up to this length causes no event, and a request waits for its end even after the deadline.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// A budget of requests per second.
///
/// Waiters hold no lock while they sleep, because a future may never be polled again. Each waiter sleeps until the
/// waiters before it should have their permits, and then asks for a permit again. The place of a dropped waiter in the
/// queue expires unused, unless no waiter is left.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    /// The time between two permits at the full rate.
    interval: Duration,
    /// The number of [`Waiter`]s.
    waiters: AtomicU32,
    state: Mutex<State>,
    /// Notified when a pause begins.
    paused: Notify,
}

#[derive(Debug)]
struct State {
    /// The earliest time of the next permit.
    next: Instant,
    /// The time at which the last waiter asks for a permit again, plus one interval.
    queue_end: Instant,
    /// The rate directly after the last decrease, as a fraction of the full rate.
    rate_factor: f64,
    /// The time of the last decrease.
    throttled_at: Option<Instant>,
    /// The start and the end of the last pause. Permits that were taken earlier cannot be used before the end.
    pause: Option<(Instant, Instant)>,
}

/// The right to send one request within [`MAX_AGE`]. After that it is renewed.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit {
    taken_at: Instant,
}

/// Counts a waiter for as long as it exists.
struct Waiter<'a>(&'a RateLimiter);

impl<'a> Waiter<'a> {
    fn new(limiter: &'a RateLimiter) -> Self {
        limiter.waiters.fetch_add(1, Ordering::Relaxed);
        Self(limiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn rate_factor(&self, now: Instant) -> f64 {
        self.throttled_at.map_or(1.0, |throttled_at| {
            let since = now.saturating_duration_since(throttled_at).as_secs_f64();
            (self.rate_factor + INCREASE_PER_SECOND * since).min(1.0)
        })
    }

    /// Returns the time between two permits at the present rate, given the time at the full rate.
    fn interval(&self, full_interval: Duration, now: Instant) -> Duration {
        match self.throttled_at {
            // A division by 1 here would cost a tenth of a percent of an install.
            None => full_interval,
            Some(_) => full_interval.div_f64(self.rate_factor(now)),
        }
    }

    fn take(&mut self, full_interval: Duration, at: Instant) -> Permit {
        let earliest = at.checked_sub(CATCH_UP).unwrap_or(at);
        self.next = self.next.max(earliest) + self.interval(full_interval, at);
        Permit { taken_at: at }
    }
}

impl RateLimiter {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1).div_f64(f64::from(per_second) * UTILISATION),
            waiters: AtomicU32::new(0),
            state: Mutex::new(State {
                next: now,
                queue_end: now,
                rate_factor: 1.0,
                throttled_at: None,
                pause: None,
            }),
            paused: Notify::new(),
        }
    }

    /// Waits for a permit up to `timeout`. Returns `None` at once if the permit would come after the timeout.
    ///
    /// Cancel safe: a dropped waiter takes no permit.
    pub(crate) async fn acquire(&self, runtime: &dyn Runtime, timeout: Duration) -> Option<Permit> {
        let began = runtime.now();
        let mut waiter = None;
        loop {
            let now = runtime.now();
            let remaining = timeout.saturating_sub(now.saturating_duration_since(began));
            if remaining.is_zero() {
                return None;
            }
            let wait = {
                let mut state = lock(&self.state);
                if state.next <= now
                    && (waiter.is_some() || self.waiters.load(Ordering::Relaxed) == 0)
                {
                    return Some(state.take(self.interval, now));
                }
                // After waiters were dropped, the end of the queue may be in the future although nothing waits.
                let behind = if self.waiters.load(Ordering::Relaxed) == 0 {
                    state.next
                } else {
                    state.queue_end
                };
                let at = behind.max(state.next);
                let wait = at.saturating_duration_since(now);
                if wait >= remaining {
                    return None;
                }
                // This is the interval at the full rate, which may be restored by then.
                state.queue_end = at + self.interval;
                wait
            };
            waiter.get_or_insert_with(|| Waiter::new(self));
            runtime.sleep(wait).await;
        }
    }

    /// Returns the permit, if its request can be sent now. If the request was delayed, for example by a slow journal,
    /// or if a 429 came, takes the next permit, ahead of all waiters, and waits for its time, up to `timeout`.
    /// If delayed requests kept their permits, they would all be sent at the same moment.
    ///
    /// If the future is dropped, its permit expires unused.
    pub(crate) async fn renew(
        &self,
        runtime: &dyn Runtime,
        mut permit: Permit,
        timeout: Duration,
    ) -> Option<Permit> {
        let began = runtime.now();
        loop {
            let now = runtime.now();
            let wait = {
                let mut state = lock(&self.state);
                let age = now.saturating_duration_since(permit.taken_at);
                if age <= MAX_AGE && state.pause.is_none_or(|(_, end)| end <= now) {
                    return Some(permit);
                }
                let at = state.next.max(now);
                let wait = at.saturating_duration_since(now);
                if wait >= timeout.saturating_sub(now.saturating_duration_since(began)) {
                    return None;
                }
                permit = state.take(self.interval, at);
                wait
            };
            runtime.sleep(wait).await;
        }
    }

    /// Holds all permits back after a 429, until its `Retry-After` is over, and decreases the rate. Returns the pause
    /// only if it ends more than [`SHORT_PAUSE`] after now and after the end of the pause before, because several
    /// requests may get the same 429.
    pub(crate) fn throttle(&self, now: Instant, retry_after: Option<Duration>) -> Option<Duration> {
        let mut state = lock(&self.state);
        let is_new = |at| now.saturating_duration_since(at) >= ONE_DECREASE;
        if state.throttled_at.is_none_or(is_new) {
            state.rate_factor = (state.rate_factor(now) * DECREASE_FACTOR).max(MIN_RATE_FACTOR);
            state.throttled_at = Some(now);
        }
        let pause = retry_after.unwrap_or_default().max(state.interval(self.interval, now));
        // A pause that overflows the clock becomes a year, which is longer than any deadline.
        let resumed = now.checked_add(pause).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        let before = state.pause.map_or(now, |(_, end)| end);
        state.pause = Some((now, before.max(resumed)));
        state.next = state.next.max(resumed);
        drop(state);
        self.paused.notify_waiters();
        (resumed.saturating_duration_since(before.max(now)) > SHORT_PAUSE).then_some(pause)
    }

    /// Waits until a 429 comes whose `Retry-After` ends after the deadline. If the deadline has passed by then, a pause
    /// of up to [`SHORT_PAUSE`] does not count.
    pub(crate) async fn paused_at(&self, deadline: Deadline) {
        loop {
            let paused = self.paused.notified();
            let pause = lock(&self.state).pause;
            if pause.is_some_and(|(from, to)| {
                let late = deadline.remaining(from).is_zero();
                deadline.remaining(to).is_zero() && (!late || to - from > SHORT_PAUSE)
            }) {
                return;
            }
            paused.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;
    use tokio::time::timeout;

    use super::*;
    use crate::transport::TokioRuntime;

    const LONG: Duration = Duration::from_secs(3600);

    fn limiter(per_second: u32) -> RateLimiter {
        RateLimiter::new(per_second, Instant::now())
    }

    const RUNTIME: TokioRuntime = TokioRuntime(std::time::SystemTime::now);

    /// Acquires `count` permits, and returns when each came, in milliseconds.
    async fn permits(limiter: &RateLimiter, count: usize) -> Vec<u128> {
        let began = Instant::now();
        let mut permits = Vec::new();
        for _ in 0..count {
            let _permit = limiter.acquire(&RUNTIME, LONG).await.unwrap();
            permits.push(began.elapsed().as_millis());
        }
        permits
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_permits_than_the_limit() {
        for limit in [1, 3, 50, 500, 5000] {
            let limiter = limiter(limit);
            let permits = permits(&limiter, limit as usize * 4).await;
            let busiest = permits
                .iter()
                .map(|from| permits.iter().filter(|at| (*from..from + 1000).contains(*at)).count())
                .max();
            assert!(busiest <= Some(limit as usize), "{busiest:?} permits in a second of {limit}");
            let took = *permits.last().unwrap();
            assert!(took <= 4 * 1000 * 104 / 100, "{limit}: {took} ms for four seconds' worth");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn permits_do_not_accumulate_while_the_limiter_is_idle() {
        let limiter = limiter(50);
        tokio::time::sleep(LONG).await;
        assert!(*permits(&limiter, 50).await.last().unwrap() > 950);
    }

    #[tokio::test(start_paused = true)]
    async fn permits_are_given_in_order_even_if_a_waiter_is_dropped() {
        let limiter = limiter(1);
        let _first = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        let order = Mutex::new(Vec::new());
        let acquire = |name| {
            let limiter = &limiter;
            let order = &order;
            async move {
                let _permit = limiter.acquire(&RUNTIME, LONG).await.unwrap();
                order.lock().unwrap().push(name);
            }
        };
        let began = Instant::now();
        let dropped = timeout(Duration::from_millis(1500), acquire("b"));
        let waits = futures_util::future::join3(acquire("a"), dropped, acquire("c"));
        let ((), timed_out, ()) = waits.await;
        assert!(timed_out.is_err());
        assert_eq!(*order.lock().unwrap(), ["a", "c"]);
        // The place of the dropped waiter expires unused.
        assert!(began.elapsed() < Duration::from_millis(3200), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_and_dropped_waiters_do_not_block_others() {
        let limiter = limiter(1);
        let _first = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(limiter.acquire(&RUNTIME, LONG))).collect();
        for wait in &mut waits {
            assert!(poll_immediate(wait).await.is_none());
        }
        // The waiters exist but are not polled.
        let began = Instant::now();
        for seconds in [5, 6] {
            let _permit = limiter.acquire(&RUNTIME, LONG).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(seconds), "{:?}", began.elapsed());
        }
        drop(waits);
        let _permit = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_waiters_cause_no_delay_when_nothing_waits() {
        let limiter = limiter(1);
        let _first = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        for _ in 0..50 {
            assert!(poll_immediate(Box::pin(limiter.acquire(&RUNTIME, LONG))).await.is_none());
        }
        let began = Instant::now();
        let _permit = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_waiter_is_not_overtaken() {
        let limiter = limiter(1);
        let _first = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        let mut waiter = Box::pin(limiter.acquire(&RUNTIME, LONG));
        assert!(poll_immediate(&mut waiter).await.is_none());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let other = Box::pin(limiter.acquire(&RUNTIME, LONG));
        assert!(poll_immediate(other).await.is_none());
        assert!(poll_immediate(&mut waiter).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn several_429s_within_a_second_decrease_the_rate_once() {
        for (pause, least, most) in [(500, 1_300, 1_450), (1_500, 1_700, 1_900)] {
            let limiter = limiter(50);
            limiter.throttle(Instant::now(), None);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            limiter.throttle(Instant::now(), None);
            let last = *permits(&limiter, 51).await.last().unwrap();
            assert!(
                (least..=most).contains(&last),
                "the last permit came after {last} ms, with 429s {pause} ms apart"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_that_wake_together_are_spread_over_time() {
        let limiter = limiter(50);
        let mut waits: Vec<_> =
            (0..50).map(|_| Box::pin(limiter.acquire(&RUNTIME, LONG))).collect();
        let mut released = 0;
        for wait in &mut waits {
            released += usize::from(poll_immediate(wait).await.is_some());
        }
        assert_eq!(released, 1);
        // All waiters are late now.
        tokio::time::sleep(Duration::from_secs(10)).await;
        for wait in &mut waits[1..] {
            released += usize::from(poll_immediate(wait).await.is_some());
        }
        assert!(released <= 3, "{released} released at once");
        let began = Instant::now();
        futures_util::future::join_all(waits.into_iter().skip(released)).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_pause_does_not_overflow() {
        let limiter = limiter(1);
        limiter.throttle(Instant::now(), Some(Duration::MAX));
        assert!(limiter.acquire(&RUNTIME, LONG).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_longer_than_the_deadline_fails_at_once() {
        let limiter = limiter(1);
        let mut waits: Vec<_> =
            (0..10).map(|_| Box::pin(limiter.acquire(&RUNTIME, LONG))).collect();
        for wait in &mut waits {
            let _permit = poll_immediate(wait).await;
        }
        let began = Instant::now();
        assert!(limiter.acquire(&RUNTIME, Duration::from_secs(5)).await.is_none());
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
        assert!(limiter.acquire(&RUNTIME, Duration::from_secs(15)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_pauses_all_permits_and_then_slows_them_down() {
        let limiter = limiter(50);
        let began = Instant::now();
        // Two 429s at the same moment slow the limiter down once.
        limiter.throttle(began, Some(Duration::from_secs(3)));
        limiter.throttle(began, None);
        let slow = permits(&limiter, 26).await;
        assert!(slow[0] >= 3000);
        let rate_after = slow[25] - slow[0];
        assert!((600..1000).contains(&rate_after), "{rate_after} ms for 25 permits");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let full = permits(&limiter, 26).await;
        assert!((full[25] - full[0]) < 550, "{full:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_past_the_deadline_ends_the_wait() {
        let seconds = Duration::from_secs;
        for (at, pause, ends) in [
            (seconds(9), Duration::from_millis(900), false),
            (seconds(9), seconds(1), true),
            (seconds(11), SHORT_PAUSE, false),
            (seconds(11), SHORT_PAUSE + seconds(1), true),
        ] {
            let limiter = limiter(50);
            let deadline = Deadline::start(Instant::now(), seconds(10));
            let mut paused = Box::pin(limiter.paused_at(deadline));
            tokio::time::sleep(at).await;
            assert!(poll_immediate(&mut paused).await.is_none());
            limiter.throttle(Instant::now(), Some(pause));
            let ended = poll_immediate(&mut paused).await.is_some();
            assert_eq!(ended, ends, "{pause:?} at {at:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_limiter_recovers_from_any_number_of_429s() {
        let limiter = limiter(50);
        for second in 0..100 {
            limiter.throttle(Instant::now() + Duration::from_secs(2 * second), None);
        }
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(limiter.acquire(&RUNTIME, Duration::from_secs(5)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn permits_that_were_delayed_together_are_spread_over_time() {
        let limiter = limiter(5);
        let mut taken = Vec::new();
        for _ in 0..5 {
            taken.push(limiter.acquire(&RUNTIME, LONG).await.unwrap());
        }
        let began = Instant::now();
        let renewed = taken.into_iter().map(|permit| async {
            let _permit = limiter.renew(&RUNTIME, permit, LONG).await.unwrap();
            began.elapsed().as_millis()
        });
        let sent = futures_util::future::join_all(renewed).await;
        assert_eq!(sent.iter().filter(|at| **at == 0).count(), 1, "{sent:?}");
        assert!(sent.iter().max() >= Some(&800), "{sent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_taken_before_a_429_waits_for_its_retry_after() {
        let limiter = limiter(5);
        let permit = limiter.acquire(&RUNTIME, LONG).await.unwrap();
        let began = Instant::now();
        limiter.throttle(began, Some(Duration::from_secs(3)));
        assert!(limiter.renew(&RUNTIME, permit, LONG).await.is_some());
        assert!(began.elapsed() >= Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_long_pause_is_reported_once() {
        let limiter = limiter(5);
        let began = Instant::now();
        let throttle = |after, seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            limiter.throttle(began + Duration::from_millis(after), retry_after)
        };
        assert_eq!(throttle(0, 1), None);
        assert_eq!(throttle(100, 60), Some(Duration::from_secs(60)));
        assert_eq!((throttle(200, 60), throttle(300, 5)), (None, None));
        assert_eq!(throttle(30_000, 60), Some(Duration::from_secs(60)));
        assert_eq!(throttle(300_000, 2), Some(Duration::from_secs(2)));
    }
}
