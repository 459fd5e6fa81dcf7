//! A Worker: its code in an isolate of its own, from loading to its end.
//!
//! Events that come before it has started wait, in order. It lives as long as somebody holds it: a stub, a cache
//! entry, an invocation under way; then its isolate is closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use atoll_isolate::actor::End;
use atoll_isolate::modules::{self, Bundle};
use atoll_isolate::{Envelope, Heap, Isolate, Meter, realm, v8, values};
use atoll_rpc::{Service, ServiceCap};
use atoll_web::context::{self, Environment};
use atoll_web::fetcher::RemoteError;

use crate::code::{Binding, CodeLimits, EnvSource, WorkerCode};
use crate::invocation::{self, Answer};
use crate::manifest::{BUILTINS, NODE_BUILTINS};
use crate::metrics::{Account, Label};
use crate::usage::Outcome;
use crate::{Runtime, limits, tail};

/// Work to do inside a Worker once it has started; it gets the reason where it never will.
pub type Work = Box<dyn for<'s, 'i> FnOnce(Admission<'_, 's, 'i>) + Send>;

/// What [`Work`] gets.
pub enum Admission<'a, 's, 'i> {
    /// The started Worker's isolate.
    Inside(&'a mut v8::PinScope<'s, 'i>),
    /// Why it did not start, or that it is gone.
    Refused(RemoteError),
}

/// A handle to a Worker; the Worker lives as long as one exists.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

/// A handle that does not keep the Worker.
#[derive(Clone)]
pub struct WeakWorker(Weak<Inner>);

impl WeakWorker {
    /// The Worker, where it still lives.
    pub fn upgrade(&self) -> Option<Worker> {
        self.0.upgrade().map(Worker)
    }
}

type Restart = Box<dyn Fn() -> Option<WorkerCode> + Send + Sync>;

struct Inner {
    runtime: Arc<Runtime>,
    name: String,
    home: usize,
    state: Mutex<State>,
    /// Invocations whose callers still wait, so that they can be told when the isolate ends under them.
    waiting: Mutex<HashMap<u64, Arc<Answer>>>,
    next: AtomicU64,
    /// When it was last asked for, in milliseconds of the runtime's monotonic clock.
    last_used: AtomicU64,
    settings: Mutex<Settings>,
    on_failure: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Makes the code once more, for Workers that nobody else would load again.
    restart: OnceLock<Restart>,
    /// Where its invocations are summed.
    account: OnceLock<Account>,
}

/// What its code says of every invocation.
#[derive(Default)]
struct Settings {
    limits: CodeLimits,
    tails: Vec<Arc<dyn Service>>,
}

enum State {
    /// No code yet, or starting: events wait.
    Loading {
        queue: Vec<(Option<Arc<Meter>>, Work)>,
        isolate: Option<Isolate>,
    },
    Live(Isolate),
    Failed(RemoteError),
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = std::mem::replace(
            self.state.get_mut().unwrap_or_else(PoisonError::into_inner),
            State::Failed(gone()),
        );
        if let State::Live(isolate) | State::Loading { isolate: Some(isolate), .. } = state {
            isolate.close();
        }
    }
}

/// What callers of a Worker get that has ended.
pub fn gone() -> RemoteError {
    RemoteError::error("The Worker is no longer running.")
}

impl Worker {
    /// A Worker whose code comes later, by [`Worker::start`] or [`Worker::fail`]. Its turns run on lane `home`.
    pub fn loading(runtime: Arc<Runtime>, name: String, home: usize) -> Self {
        Self(Arc::new(Inner {
            runtime,
            name,
            home,
            state: Mutex::new(State::Loading { queue: Vec::new(), isolate: None }),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            last_used: AtomicU64::new(0),
            settings: Mutex::default(),
            on_failure: Mutex::default(),
            restart: OnceLock::new(),
            account: OnceLock::new(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it shares with all others.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.0.runtime
    }

    /// The lane that its turns run on while that is free.
    pub fn home(&self) -> usize {
        self.0.home
    }

    /// Its own limits for each invocation.
    pub fn limits(&self) -> CodeLimits {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner).limits
    }

    /// Whether its invocations are traced; before its code is there, nobody knows.
    pub(crate) fn may_be_traced(&self) -> bool {
        matches!(*self.state(), State::Loading { .. })
            || !self.0.settings.lock().unwrap_or_else(PoisonError::into_inner).tails.is_empty()
    }

    /// Where traces of its invocations go.
    pub(crate) fn tails(&self) -> Vec<Arc<dyn Service>> {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner).tails.clone()
    }

    /// A weak handle.
    pub fn downgrade(&self) -> WeakWorker {
        WeakWorker(Arc::downgrade(&self.0))
    }

    /// Sums its invocations under this label; unless told, under that of a project's Worker.
    pub(crate) fn set_label(&self, label: Label) {
        let _ = self.0.account.set(self.0.runtime.metrics.account(label));
    }

    /// Where its invocations are summed.
    pub(crate) fn account(&self) -> &Account {
        let own = || self.0.runtime.metrics.account(Label::project(&self.0.name));
        self.0.account.get_or_init(own)
    }

    /// Notes that it was asked for; gives the time, by the monotonic clock.
    pub(crate) fn touch(&self) -> Duration {
        let now = self.0.runtime.host.clock.monotonic();
        self.0.last_used.store(now.as_millis() as u64, Ordering::Relaxed);
        now
    }

    /// When it was last asked for, in milliseconds of the monotonic clock; none while anybody but the caller holds it: a
    /// stub, an invocation under way.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        (Arc::strong_count(&self.0) == 1).then(|| self.0.last_used.load(Ordering::Relaxed))
    }

    /// Whether two handles mean the same Worker.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What happens, once, when it fails to start or ends by a limit: a cache forgets it.
    pub fn on_failure(&self, action: impl FnOnce() + Send + 'static) {
        *self.0.on_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }

    /// A live Worker that ends by a limit or a crash starts again with what `make` gives. For a project's own Workers:
    /// nobody else would load them again.
    pub fn on_restart(&self, make: impl Fn() -> Option<WorkerCode> + Send + Sync + 'static) {
        let _ = self.0.restart.set(Box::new(make));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does work in the started Worker, after what came before.
    pub fn deliver(&self, meter: Option<Arc<Meter>>, work: Work) {
        let mut state = self.state();
        match &mut *state {
            State::Loading { queue, .. } if queue.len() < limits::QUEUED => queue.push((meter, work)),
            State::Loading { .. } => {
                drop(state);
                work(Admission::Refused(RemoteError::error(format!(
                    "Worker \"{}\" is still starting and has {} requests waiting, which is the most that may wait.",
                    self.0.name,
                    limits::QUEUED
                ))));
            }
            State::Live(isolate) => {
                let isolate = isolate.clone();
                drop(state);
                send(&isolate, meter, work);
            }
            State::Failed(error) => {
                let error = error.clone();
                drop(state);
                work(Admission::Refused(error));
            }
        }
    }

    /// Gives it its code: takes a blank isolate and starts in it.
    pub fn start(&self, code: WorkerCode) {
        *self.0.settings.lock().unwrap_or_else(PoisonError::into_inner) =
            Settings { limits: code.limits, tails: code.tails.clone() };
        if code.dynamic {
            let runtime = &self.0.runtime;
            runtime.metrics.loading(self.account(), &code, runtime.host.clock.now_ms());
        }
        let weak = self.downgrade();
        self.0.runtime.pool.request(move |heap| {
            // Nobody holds the Worker any more: the heap goes back unused, to be dropped.
            match (weak.upgrade(), heap) {
                (Some(worker), Some(heap)) => worker.start_in(heap, code),
                (Some(worker), None) => worker.fail(RemoteError::error(format!(
                    "Worker \"{}\" found no room: this process may have {} isolates, and none became free within {} s.",
                    worker.0.name,
                    limits::ISOLATES,
                    limits::ROOM_WAIT.as_secs()
                ))),
                (None, heap) => drop(heap),
            }
        });
    }

    fn start_in(&self, heap: Heap, code: WorkerCode) {
        let runtime = &self.0.runtime;
        let isolate = Isolate::new(
            heap,
            invocation::HOOKS,
            runtime.scheduler.clone(),
            runtime.pool.clone(),
            self.0.home,
        );
        if let State::Loading { isolate: slot, .. } = &mut *self.state() {
            *slot = Some(isolate.clone());
        }
        let weak = self.downgrade();
        isolate.on_end(move |end| {
            let Some(worker) = weak.upgrade() else { return };
            match end {
                End::Memory => worker.conclude(Outcome::ExceededMemory),
                End::Crashed => worker.conclude(Outcome::InternalError),
                End::Closed => {}
            }
            match end {
                End::Memory => worker.fail(RemoteError::error(format!(
                    "Worker \"{}\" exceeded its memory limit of {} MiB.",
                    worker.0.name,
                    limits::HEAP_BYTES >> 20
                ))),
                End::Crashed => worker.fail(RemoteError::error("internal error")),
                End::Closed => {}
            }
        });
        let meter = Arc::new(Meter::new(limits::STARTUP_CPU));
        let weak = self.downgrade();
        meter.on_over(move |_| {
            if let Some(worker) = weak.upgrade() {
                worker.fail(RemoteError::error(format!(
                    "Worker \"{}\" exceeded its start-up CPU time limit of {} ms.",
                    worker.0.name,
                    limits::STARTUP_CPU.as_millis()
                )));
            }
        });
        let weak = self.downgrade();
        let actor = isolate.downgrade();
        isolate.send(Envelope::new(meter, move |scope| {
            let Some(worker) = weak.upgrade() else { return };
            let environment = Environment {
                isolate: actor,
                name: worker.0.name.clone(),
                outbound: code.outbound.clone(),
                clock: worker.0.runtime.host.clock.clone(),
                random: worker.0.runtime.host.random.clone(),
                log: worker.0.runtime.host.log.clone(),
                flags: code.flags.clone(),
                max_timers: limits::TIMERS,
            };
            context::set_environment(scope, environment);
            if !code.tails.is_empty() {
                atoll_web::basics::set_log_hook(scope, tail::on_log);
                atoll_web::basics::set_error_hook(scope, tail::on_exception);
            }
            scope.set_slot(Own { worker: weak.clone(), dynamic: code.dynamic });
            scope.set_slot(Given {
                date: code.date.clone(),
                flags: code.given_flags.clone(),
                outbound: code.outbound.clone(),
            });
            match begin(scope, code) {
                Ok(()) => worker.started(),
                Err(error) => worker.fail(error),
            }
        }));
    }

    fn started(&self) {
        // Events that come while the queue is worked off wait behind it, until it is empty.
        loop {
            let mut state = self.state();
            let State::Loading { queue, isolate } = &mut *state else { return };
            if queue.is_empty() {
                if let Some(isolate) = isolate.take() {
                    *state = State::Live(isolate);
                    self.0.runtime.metrics.loaded();
                }
                return;
            }
            let Some(isolate) = isolate.clone() else { return };
            let waiting = std::mem::take(queue);
            drop(state);
            for (meter, work) in waiting {
                send(&isolate, meter, work);
            }
        }
    }

    /// It will never start, or has ended: whoever waits gets the error.
    pub fn fail(&self, error: RemoteError) {
        // What it starts again with, before anybody learns that it ended: their next request must find it starting.
        let again = match *self.state() {
            State::Live(_) => self.0.restart.get().and_then(|make| make()),
            _ => None,
        };
        let next = match again {
            Some(_) => State::Loading { queue: Vec::new(), isolate: None },
            None => State::Failed(error.clone()),
        };
        let before = std::mem::replace(&mut *self.state(), next);
        let action = self.0.on_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(action) = action {
            action();
        }
        let waiting = std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for answer in waiting.into_values() {
            answer.fail(error.clone());
        }
        match before {
            State::Loading { queue, isolate } => {
                self.0.runtime.metrics.load_failed();
                if let Some(isolate) = isolate {
                    isolate.close();
                }
                for (_, work) in queue {
                    work(Admission::Refused(error.clone()));
                }
            }
            State::Live(isolate) => isolate.close(),
            State::Failed(_) => {}
        }
        if let Some(code) = again {
            tracing::warn!(worker = self.0.name, reason = error.message, "the Worker ended and starts again");
            self.start(code);
        }
    }

    /// Remembers an answer that somebody waits for, until it is given.
    pub(crate) fn expect(&self, answer: &Arc<Answer>) -> u64 {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer.clone());
        id
    }

    /// Says how everything under way ends that has not ended yet.
    fn conclude(&self, outcome: Outcome) {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.values().for_each(|answer| answer.conclude(outcome));
    }

    pub(crate) fn settled(&self, id: u64) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

fn send(isolate: &Isolate, meter: Option<Arc<Meter>>, work: Work) {
    let mut guard = Undelivered(Some(work));
    let deliver = move |scope: &mut v8::PinScope<'_, '_>| {
        if let Some(work) = guard.0.take() {
            work(Admission::Inside(scope));
        }
    };
    isolate.send(match meter {
        Some(meter) => Envelope::new(meter, deliver),
        None => Envelope::unmetered(deliver),
    });
}

/// Work in a mailbox: should the isolate end before its turn, whoever waits is told.
struct Undelivered(Option<Work>);

impl Drop for Undelivered {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work(Admission::Refused(gone()));
        }
    }
}

/// The Worker that an isolate belongs to; lives in its slot.
pub(crate) struct Own {
    pub(crate) worker: WeakWorker,
    pub(crate) dynamic: bool,
}

/// What the short form of `load` gives on to children.
pub(crate) struct Given {
    pub(crate) date: String,
    pub(crate) flags: Vec<String>,
    pub(crate) outbound: Arc<dyn atoll_web::fetcher::Fetcher>,
}

/// The Worker that runs in this isolate.
pub(crate) fn own(scope: &mut v8::PinScope<'_, '_>) -> Option<Worker> {
    scope.get_slot::<Own>().and_then(|own| own.worker.upgrade())
}

pub(crate) const HOOKS_SCRIPT: &str = "loader/worker";

/// Evaluates the code and hands namespace and `env` to the dispatch script.
fn begin(scope: &mut v8::PinScope<'_, '_>, code: WorkerCode) -> Result<(), RemoteError> {
    let has = |flag: &str| code.flags.iter().any(|f| f == flag);
    let mut builtins = BUILTINS.to_vec();
    if has("nodejs_compat") || has("nodejs_compat_v2") {
        builtins.extend_from_slice(NODE_BUILTINS);
    }
    let bundle = Bundle {
        main: code.main,
        modules: code.modules,
        aliases: code.aliases,
        builtins,
        refuse_attributes: has("throw_on_unrecognized_import_assertion"),
    };
    modules::allow_code_generation(scope, has("allow_eval_during_startup"));
    v8::tc_scope!(let scope, scope);
    // `env` is importable, so it has to be there before the first module is evaluated.
    let env = match code.env {
        EnvSource::Value(message) => values::read(scope, message).map(|value| (value, false)),
        EnvSource::Bindings(bindings) => Some((bindings_value(scope, bindings), true)),
    };
    let prepared = env.and_then(|(env, bindings)| {
        let bindings = v8::Boolean::new(scope, bindings);
        realm::call(scope, HOOKS_SCRIPT, "prepare", &[env, bindings.into()])
    });
    if prepared.is_none() {
        let message = scope.exception().map(|e| e.to_rust_string_lossy(scope)).unwrap_or_default();
        return Err(RemoteError::error(format!("Failed to start Worker:\n{message}")));
    }
    let namespace = match modules::start(scope, bundle) {
        Ok(namespace) => namespace,
        Err(modules::StartError::NoMain) => {
            return Err(RemoteError::type_error(modules::StartError::NoMain.to_string()));
        }
        Err(modules::StartError::MainNotEsm) => {
            return Err(RemoteError::type_error(modules::StartError::MainNotEsm.to_string()));
        }
        Err(modules::StartError::Exception(report)) => {
            return Err(RemoteError::error(format!(
                "Failed to start Worker:\nUncaught {}",
                report.to_text()
            )));
        }
        Err(error) => return Err(RemoteError::error(format!("Failed to start Worker:\n{error}"))),
    };
    modules::allow_code_generation(scope, false);
    match realm::call(scope, HOOKS_SCRIPT, "start", &[namespace.into()]) {
        Some(_) => Ok(()),
        None => {
            let message = scope.exception().map(|e| e.to_rust_string_lossy(scope)).unwrap_or_default();
            Err(RemoteError::error(format!("Failed to start Worker:\nUncaught {message}")))
        }
    }
}

fn bindings_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bindings: Vec<(String, Binding)>,
) -> v8::Local<'s, v8::Value> {
    let mut flat: Vec<v8::Local<v8::Value>> = Vec::with_capacity(bindings.len() * 3);
    for (name, binding) in bindings {
        let (kind, value): (&str, v8::Local<v8::Value>) = match binding {
            Binding::Json(text) => ("json", atoll_isolate::error::string(scope, &text).into()),
            Binding::Service(service) => {
                let handle = context::add_resource(scope, 0, Arc::new(ServiceCap(service)));
                ("service", v8::Integer::new_from_unsigned(scope, handle).into())
            }
            Binding::Loader(loader) => {
                let handle = context::add_resource(scope, 0, loader);
                ("loader", v8::Integer::new_from_unsigned(scope, handle).into())
            }
        };
        flat.push(atoll_isolate::error::string(scope, &name).into());
        flat.push(atoll_isolate::error::string(scope, kind).into());
        flat.push(value);
    }
    v8::Array::new_with_elements(scope, &flat).into()
}

/// Asks a Worker which of its exports have a test handler.
pub fn test_names(worker: &Worker, take: impl FnOnce(Result<Vec<String>, String>) + Send + 'static) {
    worker.deliver(
        None,
        Box::new(move |admission| match admission {
            Admission::Inside(scope) => {
                let names = realm::call(scope, HOOKS_SCRIPT, "tests", &[]);
                take(Ok(names.map(|n| atoll_isolate::arguments::texts(scope, n)).unwrap_or_default()));
            }
            Admission::Refused(error) => take(Err(error.message)),
        }),
    );
}
