//! An entrypoint of a Worker, with props, as a service.

use std::sync::Arc;

use atoll_isolate::JsError;
use atoll_rpc::Service;
use atoll_rpc::budget::Landing;
use atoll_rpc::call::{Call, Followup};
use atoll_web::account::Origin;
use atoll_web::fetcher::{FetchRequest, Fetcher, RemoteError, Responder};

use crate::code::CodeLimits;
use crate::invocation::{self, Props, Target};
use crate::worker::{self, WeakWorker, Worker};

/// Whether the service keeps its Worker.
enum Holds {
    Strong(Worker),
    /// A Worker's address of itself, which must not keep it alive.
    Weak(WeakWorker),
}

/// An address: Worker, entrypoint, props, limits.
pub struct Entrypoint {
    worker: Holds,
    target: Target,
    limits: CodeLimits,
    dynamic: bool,
}

/// What a sender gets who gives away an entrypoint of a dynamic Worker.
const NOT_TRANSFERABLE: &str = "Entrypoints to dynamically-loaded workers cannot be transferred to other Workers, \
because the system does not know how to reload this Worker from scratch. Instead, have the parent Worker expose an \
entrypoint which constructs the dynamic worker and forwards to it.";

impl Entrypoint {
    /// An entrypoint of a project's Worker.
    pub fn new(worker: Worker, entrypoint: Option<String>, props: Option<Props>) -> Arc<Self> {
        let target = Target { entrypoint: named(entrypoint), props };
        Arc::new(Self {
            worker: Holds::Strong(worker),
            target,
            limits: CodeLimits::default(),
            dynamic: false,
        })
    }

    /// An entrypoint of a Worker that another Worker loaded.
    pub fn of_dynamic(
        worker: Worker,
        entrypoint: Option<String>,
        props: Option<Props>,
        limits: CodeLimits,
    ) -> Arc<Self> {
        let target = Target { entrypoint: named(entrypoint), props };
        Arc::new(Self { worker: Holds::Strong(worker), target, limits, dynamic: true })
    }

    /// A Worker's address of one of its own entrypoints: `ctx.exports`. Its limits are those of the invocation that made
    /// it: no Worker gets more by calling itself.
    pub fn loopback(
        worker: WeakWorker,
        entrypoint: Option<String>,
        props: Option<Props>,
        limits: CodeLimits,
        dynamic: bool,
    ) -> Arc<Self> {
        let target = Target { entrypoint: named(entrypoint), props };
        Arc::new(Self { worker: Holds::Weak(worker), target, limits, dynamic })
    }

    fn worker(&self) -> Option<Worker> {
        match &self.worker {
            Holds::Strong(worker) => Some(worker.clone()),
            Holds::Weak(worker) => worker.upgrade(),
        }
    }
}

fn named(entrypoint: Option<String>) -> Option<String> {
    entrypoint.filter(|name| name != "default")
}

impl Fetcher for Entrypoint {
    fn fetch(&self, request: FetchRequest, respond: Responder) {
        match self.worker() {
            Some(worker) => {
                invocation::fetch_event(&worker, self.target.clone(), self.limits, request, respond)
            }
            None => respond.respond(Err(worker::gone())),
        }
    }
}

impl Service for Entrypoint {
    fn call(&self, call: Call) {
        match self.worker() {
            Some(worker) => invocation::call_event(&worker, self.target.clone(), self.limits, call),
            None => call.reply.settle(Err(worker::gone())),
        }
    }

    fn follow(&self, landing: Option<&Landing>, work: Followup) {
        match self.worker() {
            Some(worker) => invocation::follow(&worker, landing, work),
            None => work(None),
        }
    }

    fn tail(&self, events: Arc<str>, origin: Origin) {
        if let Some(worker) = self.worker() {
            invocation::tail_event(&worker, self.target.clone(), events, &origin);
        }
    }

    fn check_transfer(&self) -> Result<(), JsError> {
        if self.dynamic { Err(JsError::dom("DataCloneError", NOT_TRANSFERABLE)) } else { Ok(()) }
    }

    fn as_fetcher(self: Arc<Self>) -> Arc<dyn Fetcher> {
        self
    }
}

/// A service that is not there: every use gives the error.
pub struct Absent(pub RemoteError);

impl Fetcher for Absent {
    fn fetch(&self, _request: FetchRequest, respond: Responder) {
        respond.respond(Err(self.0.clone()));
    }
}

impl Service for Absent {
    fn call(&self, call: Call) {
        call.reply.settle(Err(self.0.clone()));
    }

    fn follow(&self, _landing: Option<&Landing>, work: Followup) {
        work(None);
    }

    fn tail(&self, _events: Arc<str>, _origin: Origin) {}

    fn check_transfer(&self) -> Result<(), JsError> {
        Ok(())
    }

    fn as_fetcher(self: Arc<Self>) -> Arc<dyn Fetcher> {
        self
    }
}
