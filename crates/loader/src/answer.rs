//! What the caller of an invocation waits for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use atoll_isolate::values::Message;
use atoll_isolate::{Envelope, Meter, WeakIsolate, v8};
use atoll_rpc::call::Reply;
use atoll_web::context::{self, ContextId};
use atoll_web::fetcher::{FetchResponse, RemoteError, Responder};
use atoll_web::interest::Work;

use crate::usage::{Outcome, Verdict};

/// What a caller waits for; given once, from inside the isolate or, at a limit, from outside.
pub(crate) struct Answer {
    waiting: Mutex<Option<Waiting>>,
    given: AtomicBool,
    verdict: Verdict,
    /// It names an entrypoint that its Worker does not have.
    misdirected: AtomicBool,
    /// Bytes that the isolate had when it was ended for its memory.
    memory: AtomicU64,
    /// Where it is worked on, once that has begun.
    place: OnceLock<Place>,
}

/// Where an invocation is worked on. Not by way of the Worker: should it have started again, the number means another
/// context there.
pub(crate) struct Place {
    pub(crate) isolate: WeakIsolate,
    pub(crate) context: ContextId,
    /// The meter keeps the answer, so that it can tell whoever waits.
    pub(crate) meter: Weak<Meter>,
}

impl Place {
    /// Does work there on the invocation's account.
    pub(crate) fn send(&self, work: impl FnOnce(&mut v8::PinScope<'_, '_>, ContextId) + Send + 'static) {
        let context = self.context;
        if let (Some(isolate), Some(meter)) = (self.isolate.upgrade(), self.meter.upgrade()) {
            isolate.send(Envelope::new(meter, move |scope| work(scope, context)));
        }
    }
}

pub(crate) enum Waiting {
    Fetch(Responder),
    Call(Reply),
    Test(Box<dyn FnOnce(Result<(), Failure>) + Send>),
}

/// Why a test failed.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// Class and message.
    pub message: String,
    /// The stack, with source positions.
    pub stack: Option<String>,
    /// The line of source where it was thrown.
    pub source_line: Option<String>,
}

impl Answer {
    pub(crate) fn new(waiting: Waiting) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(Some(waiting)),
            given: AtomicBool::new(false),
            verdict: Verdict::default(),
            misdirected: AtomicBool::new(false),
            memory: AtomicU64::new(0),
            place: OnceLock::new(),
        })
    }

    /// Says how the invocation ends, unless that is known.
    pub(crate) fn conclude(&self, outcome: Outcome) {
        self.verdict.set(outcome);
    }

    /// How the invocation ends, where somebody has said so.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.verdict.get()
    }

    /// There is no such entrypoint: the error that says so is not one that the Worker's code threw.
    pub(crate) fn misdirected(&self) {
        self.misdirected.store(true, Ordering::Relaxed);
    }

    /// The error as the caller gets it.
    fn told(&self, error: RemoteError) -> RemoteError {
        RemoteError { remote: error.remote && !self.misdirected.load(Ordering::Relaxed), ..error }
    }

    /// Its isolate is ended for its memory, of which it had so many bytes.
    pub(crate) fn ran_out_of_memory(&self, bytes: usize) {
        self.memory.store(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that the isolate had when it was ended for its memory; 0 where it was not.
    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Work on it has begun there.
    pub(crate) fn work_is_in(&self, place: Place) {
        let _ = self.place.set(place);
    }

    /// Where it is worked on; none before that has begun.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.get()
    }

    /// The invocation's meter is over, and nothing on it runs any more that would close the context.
    pub(crate) fn close_context(&self) {
        let Some(Place { isolate, context, .. }) = self.place() else { return };
        let context = *context;
        if let Some(isolate) = isolate.upgrade() {
            isolate.send(Envelope::without_guest_code(move |scope| context::close(scope, context)));
        }
    }

    /// Takes what waits: nobody else gives it an answer.
    pub(crate) fn take(&self) -> Option<Waiting> {
        self.given.store(true, Ordering::Release);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Who works on the request that waits, if it is one.
    pub(crate) fn work(&self) -> Option<Work> {
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(Waiting::Fetch(responder)) => Some(responder.work()),
            _ => None,
        }
    }

    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Fails with what ended the invocation from within. As in the reference that is remote over `fetch`, not over RPC.
    pub(crate) fn end(&self, error: RemoteError) {
        let remote = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(*waiting, Some(Waiting::Fetch(_)))
        };
        self.fail(RemoteError { remote, ..error });
    }

    pub(crate) fn fail(&self, error: RemoteError) {
        let error = self.told(error);
        match self.take() {
            Some(Waiting::Fetch(responder)) => responder.respond(Err(error)),
            Some(Waiting::Call(reply)) => reply.settle(Err(error)),
            Some(Waiting::Test(report)) => {
                report(Err(Failure { message: error.message, ..Failure::default() }))
            }
            None => {}
        }
    }

    /// A limit ended the invocation: its tails are told which, its caller gets the error.
    pub(crate) fn exceeded(&self, outcome: Outcome, error: RemoteError) {
        self.conclude(outcome);
        self.fail(error);
    }

    pub(crate) fn respond(&self, response: FetchResponse) {
        if let Some(Waiting::Fetch(responder)) = self.take() {
            responder.respond(Ok(response));
        }
    }

    pub(crate) fn settle(&self, outcome: Result<Message, RemoteError>) {
        if let Some(Waiting::Call(reply)) = self.take() {
            reply.settle(outcome.map_err(|error| self.told(error)));
        }
    }

    pub(crate) fn report(&self, outcome: Result<(), Failure>) {
        if let Some(Waiting::Test(report)) = self.take() {
            report(outcome);
        }
    }
}
