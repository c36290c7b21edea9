//! How fast requests leave: at most as fast as the limits of the workspace allow, and slower for a while
//! after a 429.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::Runtime;

/// How many requests a second a workspace takes, as the vendor limits them. All installs of a
/// [`Client`](crate::Client) and its clones in one workspace share one budget for POSTs and one for GETs;
/// a 429 slows all of them down.
///
/// ```
/// let limits = bird_sms::RateLimits { gets_per_second: 100, ..Default::default() };
/// # assert_eq!(limits.posts_per_second, 500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Creations. Default: 500.
    pub posts_per_second: u32,
    /// Looks at a connector. Default: 50.
    pub gets_per_second: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { posts_per_second: 500, gets_per_second: 50 }
    }
}

/// The part of a limit that is used. Requests that leave evenly arrive less so, and a server that counts
/// by the second finds one too many in a second now and then.
const UTILISATION: f64 = 0.97;
/// A turn that comes late is made up for by at most this much. Timers go by the millisecond.
const CATCH_UP: Duration = Duration::from_millis(10);
/// What a 429 leaves of the limiter, what is left at least, and what comes back in a second.
const DECREASE_FACTOR: f64 = 0.75;
const MIN_RATE_FACTOR: f64 = 1.0 / 64.0;
const INCREASE_PER_SECOND: f64 = 0.02;
/// 429s this close together are one: they response requests that left at the same pace.
const ONE_429: Duration = Duration::from_secs(1);

/// One budget.
///
/// Nobody who waits holds anything that others wait for: a future that waits for its turn may not be polled
/// for a while, or never again. Each is told when those before it should be gone, and comes back then. The
/// moment of one who is gone earlier passes unused, unless it was the last who waited.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the next request may leave.
    next: Instant,
    /// How many wait for their permit,
    waiting: u32,
    /// and when the last of them comes back, with its interval.
    line: Instant,
    /// The part of the pace that was left when it was last throttled.
    rate_factor: f64,
    throttled_at: Option<Instant>,
}

/// The right to send one request.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit(());

/// One who waits.
struct Waiter<'a>(&'a RateLimiter);

impl<'a> Waiter<'a> {
    fn new(limiter: &'a RateLimiter) -> Self {
        limiter.lock().waiting += 1;
        Self(limiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl State {
    fn rate_factor(&self, now: Instant) -> f64 {
        self.throttled_at.map_or(1.0, |throttled_at| {
            let since = now.saturating_duration_since(throttled_at).as_secs_f64();
            (self.rate_factor + INCREASE_PER_SECOND * since).min(1.0)
        })
    }

    fn interval(&self, at_best: Duration, now: Instant) -> Duration {
        if self.throttled_at.is_none() { at_best } else { at_best.div_f64(self.rate_factor(now)) }
    }
}

impl RateLimiter {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1).div_f64(f64::from(per_second) * UTILISATION),
            state: Mutex::new(State {
                next: now,
                waiting: 0,
                line: now,
                rate_factor: 1.0,
                throttled_at: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit, for no longer than `left`, and takes it if it is still `wanted` by then.
    ///
    /// Cancel safe: who stops waiting takes no turn.
    pub(crate) async fn acquire_if(
        &self,
        runtime: &dyn Runtime,
        left: Duration,
        wanted: impl Fn() -> bool,
    ) -> Option<Permit> {
        let began = runtime.now();
        let mut waiting = None;
        loop {
            let now = runtime.now();
            let left = left.saturating_sub(now.saturating_duration_since(began));
            if left.is_zero() {
                return None;
            }
            let wait = {
                let mut state = self.lock();
                if state.next <= now && (waiting.is_some() || state.waiting == 0) {
                    return wanted().then(|| {
                        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
                        state.next = state.next.max(earliest) + state.interval(self.interval, now);
                        Permit(())
                    });
                }
                // Those who have gone may leave a line behind that nobody stands in.
                let behind = if state.waiting == 0 { state.next } else { state.line };
                let at = behind.max(state.next);
                let wait = at.saturating_duration_since(now);
                if wait >= left {
                    return None;
                }
                // As if the pace were at its best, which it may be again by then.
                state.line = at + self.interval;
                wait
            };
            waiting.get_or_insert_with(|| Waiter::new(self));
            runtime.sleep(wait).await;
        }
    }

    /// Waits for a permit, for no longer than `left`. Cancel safe.
    pub(crate) async fn acquire(&self, runtime: &dyn Runtime, left: Duration) -> Option<Permit> {
        self.acquire_if(runtime, left, || true).await
    }

    /// After a 429, with the wait that it asks for: nobody sends before that, and then all send slower.
    pub(crate) fn throttle(&self, now: Instant, asked: Option<Duration>) {
        let mut state = self.lock();
        if state
            .throttled_at
            .is_none_or(|throttled_at| now.saturating_duration_since(throttled_at) >= ONE_429)
        {
            state.rate_factor = (state.rate_factor(now) * DECREASE_FACTOR).max(MIN_RATE_FACTOR);
            state.throttled_at = Some(now);
        }
        let pause = asked.unwrap_or_default().max(state.interval(self.interval, now));
        // A pause without end is one to the end of all who wait.
        let resumed = now.checked_add(pause).unwrap_or(now + Duration::from_hours(24 * 365));
        state.next = state.next.max(resumed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;
    use tokio::time::timeout;

    use super::*;
    use crate::runtime::TokioRuntime;

    const LONG: Duration = Duration::from_hours(1);

    /// When `count` turns came, in milliseconds.
    async fn turns(limiter: &RateLimiter, count: usize) -> Vec<u128> {
        let began = Instant::now();
        let mut turns = Vec::new();
        for _ in 0..count {
            let _permit = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
            turns.push(began.elapsed().as_millis());
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_turns_than_the_limit_and_few_are_wasted() {
        for limit in [1, 3, 50, 500, 5000] {
            let limiter = RateLimiter::new(limit, Instant::now());
            let turns = turns(&limiter, limit as usize * 4).await;
            let busiest = turns
                .iter()
                .map(|from| turns.iter().filter(|at| (*from..from + 1000).contains(*at)).count())
                .max();
            assert!(busiest <= Some(limit as usize), "{busiest:?} turns in a second of {limit}");
            let took = *turns.last().unwrap();
            assert!(took <= 4 * 1000 * 104 / 100, "{limit}: {took} ms for four seconds' worth");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_time_is_not_saved_up() {
        let limiter = RateLimiter::new(50, Instant::now());
        tokio::time::sleep(LONG).await;
        assert!(*turns(&limiter, 50).await.last().unwrap() > 950);
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_given_in_the_order_of_asking_and_a_dropped_wait_makes_nobody_later() {
        let limiter = RateLimiter::new(1, Instant::now());
        let _first = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
        let order = Mutex::new(Vec::new());
        let ask = |name| {
            let (limiter, order) = (&limiter, &order);
            async move {
                let _permit = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
                order.lock().unwrap().push(name);
            }
        };
        let began = Instant::now();
        let (a, b, c) = (ask("a"), ask("b"), ask("c"));
        let dropped = timeout(Duration::from_millis(1500), b);
        let ((), gone, ()) = futures_util::future::join3(a, dropped, c).await;
        assert!(gone.is_err());
        assert_eq!(*order.lock().unwrap(), ["a", "c"]);
        // The moment of the one who is gone passes unused.
        assert!(began.elapsed() < Duration::from_millis(3200), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_and_are_not_polled_or_are_gone_hold_up_nobody() {
        let limiter = RateLimiter::new(1, Instant::now());
        let _first = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
        let mut waits: Vec<_> =
            (0..3).map(|_| Box::pin(limiter.acquire(&TokioRuntime, LONG))).collect();
        for wait in &mut waits {
            assert!(poll_immediate(wait).await.is_none());
        }
        // They are there, and nobody polls them.
        let began = Instant::now();
        for seconds in [5, 6] {
            let _permit = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(seconds), "{:?}", began.elapsed());
        }
        drop(waits);
        let _permit = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_back_together_do_not_leave_together() {
        let limiter = RateLimiter::new(50, Instant::now());
        let mut waits: Vec<_> =
            (0..50).map(|_| Box::pin(limiter.acquire(&TokioRuntime, LONG))).collect();
        let mut left = 0;
        for wait in &mut waits {
            left += usize::from(poll_immediate(wait).await.is_some());
        }
        assert_eq!(left, 1);
        // All of them are late.
        tokio::time::sleep(Duration::from_secs(10)).await;
        for wait in &mut waits[1..] {
            left += usize::from(poll_immediate(wait).await.is_some());
        }
        assert!(left <= 3, "{left} left at once");
        let began = Instant::now();
        futures_util::future::join_all(waits.into_iter().skip(left)).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_any_length_does_not_overflow() {
        let limiter = RateLimiter::new(1, Instant::now());
        limiter.throttle(Instant::now(), Some(Duration::MAX));
        assert!(limiter.acquire(&TokioRuntime, LONG).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_too_late_is_not_waited_for() {
        let limiter = RateLimiter::new(1, Instant::now());
        let _first = limiter.acquire(&TokioRuntime, LONG).await.unwrap();
        let began = Instant::now();
        assert!(limiter.acquire(&TokioRuntime, Duration::from_millis(100)).await.is_none());
        assert!(began.elapsed() <= Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_stops_everyone_for_as_long_as_it_asks_and_slows_all_down_for_a_while() {
        let limiter = RateLimiter::new(50, Instant::now());
        let began = Instant::now();
        // Two responses to what left at the same pace are one reason to slow down.
        limiter.throttle(began, Some(Duration::from_secs(3)));
        limiter.throttle(began, None);
        let slow = turns(&limiter, 26).await;
        assert!(slow[0] >= 3000);
        let pace_after = slow[25] - slow[0];
        assert!((600..1000).contains(&pace_after), "{pace_after} ms for 25 turns");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let full = turns(&limiter, 26).await;
        assert!((full[25] - full[0]) < 550, "{full:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_of_429s_stops_it_for_good() {
        let limiter = RateLimiter::new(50, Instant::now());
        for second in 0..100 {
            limiter.throttle(Instant::now() + Duration::from_secs(2 * second), None);
        }
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(limiter.acquire(&TokioRuntime, Duration::from_secs(5)).await.is_some());
    }
}
