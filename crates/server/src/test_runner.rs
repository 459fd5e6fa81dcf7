//! `atoll test`: runs the exports of the first project's main module that have a `test(controller, env, ctx)` handler.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use atoll_loader::Worker;
use atoll_loader::invocation::{self, Failure};
use atoll_loader::worker;

/// The outcome of one test.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The export's name.
    pub test: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// The names of the exports that have a test handler, in the order of the module's namespace.
///
/// # Errors
/// The reason why the Worker cannot say.
pub fn tests(worker: &Worker) -> Result<Vec<String>, String> {
    let (sender, receiver) = mpsc::channel();
    worker::test_names(worker, move |names| drop(sender.send(names)));
    receiver.recv().unwrap_or_else(|_| Err("the Worker is gone".into()))
}

/// Runs one test, in an invocation of its own.
pub fn run(worker: &Worker, test: &str, limit: Duration) -> Outcome {
    let started = Instant::now();
    let (sender, receiver) = mpsc::channel();
    let entrypoint = (test != "default").then(|| test.to_owned());
    invocation::test_event(worker, entrypoint, move |outcome| drop(sender.send(outcome)));
    let failure = match receiver.recv_timeout(limit) {
        Ok(outcome) => outcome.err(),
        Err(mpsc::RecvTimeoutError::Timeout) => Some(Failure {
            message: format!("the test did not end within its limit of {} ms", limit.as_millis()),
            ..Failure::default()
        }),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Some(Failure { message: "the Worker ended under the test".into(), ..Failure::default() })
        }
    };
    Outcome { test: test.to_owned(), elapsed: started.elapsed(), failure }
}
