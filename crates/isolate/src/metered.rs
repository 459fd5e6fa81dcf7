//! Work that an invocation has done outside of turns: futures on a lane's runtime, charged to its meter.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::meter::Meter;

/// Polls up to this long are charged their wall time: reading the thread's CPU clock is a system call.
const CHEAP: Duration = Duration::from_micros(250);

/// Runs `future` and charges its polls to `meter`. None: the meter is over, and whoever waits has the error by then.
pub async fn metered<F: Future>(meter: Arc<Meter>, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    // After a poll that took long, the CPU clock decides: it does not count what other threads took meanwhile.
    let mut long = false;
    std::future::poll_fn(move |context| {
        let cpu = long.then(thread_cpu_time);
        let started = Instant::now();
        let polled = future.as_mut().poll(context);
        let wall = started.elapsed();
        long |= wall > CHEAP;
        meter.charge(cpu.map_or(wall, |before| thread_cpu_time().saturating_sub(before).min(wall)));
        if meter.is_over() { Poll::Ready(None) } else { polled.map(Some) }
    })
    .await
}

/// CPU time of the calling thread.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a local; the clock of the calling thread always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::Context;

    use super::*;

    fn spin(time: Duration) {
        let started = Instant::now();
        while started.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn polls_are_charged() {
        let meter = Arc::new(Meter::new(Duration::from_secs(10)));
        let mut polls = 0;
        let work = std::future::poll_fn(|_| {
            polls += 1;
            spin(Duration::from_millis(2));
            if polls < 3 { Poll::Pending } else { Poll::Ready(7) }
        });
        let mut work = pin!(metered(meter.clone(), work));
        assert_eq!(poll(work.as_mut()), Poll::Pending);
        assert!(meter.used() >= Duration::from_millis(2), "charged {:?}", meter.used());
        let first = meter.used();
        // From the CPU clock now; how much depends on what else the machine does, but it is something.
        assert_eq!(poll(work.as_mut()), Poll::Pending);
        assert!(meter.used() > first);
        assert_eq!(poll(work.as_mut()), Poll::Ready(Some(7)));
    }

    #[test]
    fn a_meter_that_is_over_ends_the_work() {
        let meter = Arc::new(Meter::new(Duration::from_millis(1)));
        let told = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let teller = told.clone();
        meter.on_over(move |_| teller.store(true, std::sync::atomic::Ordering::Relaxed));
        let endless = std::future::poll_fn(|_| {
            spin(Duration::from_millis(3));
            Poll::<()>::Pending
        });
        let mut work = pin!(metered(meter, endless));
        assert_eq!(poll(work.as_mut()), Poll::Ready(None));
        assert!(told.load(std::sync::atomic::Ordering::Relaxed));
    }
}
