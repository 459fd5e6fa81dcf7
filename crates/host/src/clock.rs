//! Time: the wall clock, a clock that never goes back, and waiting.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;

use crate::BoxFuture;
use crate::runtime::run_on;

/// Where an isolate's time comes from.
pub trait Clock: Send + Sync {
    /// The wall clock in milliseconds since 1970-01-01T00:00:00Z, with fractions. It can jump, also
    /// backwards.
    fn now_ms(&self) -> f64;

    /// Time since an arbitrary but fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// A future that is ready once `duration` has passed on the monotonic clock. It may be awaited from any
    /// executor; dropping it cancels the wait.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's own clocks; waiting is done by a tokio runtime.
#[derive(Debug, Clone)]
pub struct SystemClock {
    runtime: Handle,
    start: Instant,
}

impl SystemClock {
    /// A clock whose timers run on `runtime` (which must have its time driver enabled). Its monotonic time
    /// starts now.
    ///
    /// After that runtime has been shut down a [`sleep`](Clock::sleep) never becomes ready, rather than
    /// early.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> f64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_secs_f64() * 1000.0,
            Err(before) => -(before.duration().as_secs_f64() * 1000.0),
        }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let runtime = self.runtime.clone();
        // The deadline counts from this call, not from the first poll, which may come a turn later.
        let deadline = tokio::time::Instant::now().checked_add(duration);
        Box::pin(async move {
            let wait = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            if run_on(&runtime, wait).await.is_none() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wall_clock_is_in_milliseconds() {
        let clock = SystemClock::new(Handle::current());
        // 2020-01-01 and 2200-01-01: a unit mistake would be off by a factor of a thousand.
        assert!((1.577e12..7.258e12).contains(&clock.now_ms()));
    }

    #[tokio::test]
    async fn sleep_lasts_at_least_as_long_as_asked() {
        let clock = SystemClock::new(Handle::current());
        let before = clock.monotonic();
        clock.sleep(Duration::from_millis(20)).await;
        assert!(clock.monotonic() - before >= Duration::from_millis(20));
    }

    #[test]
    fn sleep_that_outlives_its_runtime_does_not_end_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let clock = SystemClock::new(runtime.handle().clone());
        let mut sleep = clock.sleep(Duration::from_secs(3600));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        drop(runtime);
        assert!(sleep.as_mut().poll(&mut context).is_pending());
    }
}
