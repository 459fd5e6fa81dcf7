//! A Worker: its code in an isolate of its own, from loading to its end.
//!
//! Events that come before it has started wait, in order. It lives as long as somebody holds it: a stub, a cache
//! entry, an invocation under way; then its isolate is closed. It can be without an isolate before that: put to sleep
//! while idle, or ended by a limit. Then its next event starts it again from its code.

mod loading;
mod start;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rustc_hash::FxHashMap;

use atoll_isolate::{Envelope, Isolate, Meter, Origin, realm, v8};
use atoll_rpc::Service;
use atoll_web::account::WorkerId;
use atoll_web::fetcher::RemoteError;
use atoll_web::inbox::{Inbox, InboxLimits};
use atoll_web::sender::{Sender, Shares};

use crate::answer::Answer;
use crate::code::{CodeLimits, WorkerCode};
use crate::ending::Crowd;
use crate::line::Line;
use crate::metrics::{Account, Label};
use crate::usage::Outcome;
use crate::{Runtime, limits};

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

    /// Whether the Worker still lives.
    pub(crate) fn exists(&self) -> bool {
        self.0.strong_count() > 0
    }
}

struct Inner {
    runtime: Arc<Runtime>,
    name: String,
    id: WorkerId,
    /// As what it counts with others; none: it is a project's own.
    sender: Option<Arc<Sender>>,
    home: usize,
    state: Mutex<State>,
    /// Invocations whose callers still wait, so that they can be told when the isolate ends under them.
    waiting: Mutex<FxHashMap<u64, Arc<Answer>>>,
    next: AtomicU64,
    /// When it was last asked for, in microseconds of the runtime's monotonic clock.
    last_used: AtomicU64,
    settings: OnceLock<Settings>,
    /// Messages on their way to it.
    inbox: Mutex<Arc<Inbox>>,
    /// Invocations that were asked for and have not ended.
    under_way: Crowd,
    /// Those who would give it its code.
    line: Mutex<Line<Turn>>,
    on_failure: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// What it can be started from again; none: it has no code yet, or its `env` has something live in it.
    code: OnceLock<Arc<WorkerCode>>,
    /// Every message on its way into the isolate holds one more.
    mail: Arc<()>,
    /// Where its invocations are summed.
    account: OnceLock<Account>,
}

/// What its code says of every invocation.
#[derive(Default)]
struct Settings {
    limits: CodeLimits,
    tails: Vec<Arc<dyn Service>>,
}

pub(crate) use loading::{LoadGuard, Turn};

enum State {
    /// No code yet, or starting: events wait.
    Loading {
        queue: Vec<(Origin, Arc<Meter>, Work)>,
        isolate: Option<Isolate>,
    },
    Live(Isolate),
    /// It was idle, or a limit ended it: the next event starts it again.
    Asleep(Arc<WorkerCode>),
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

fn new_inbox(worker: &str, sender: Option<Arc<Sender>>) -> Arc<Inbox> {
    let limits = InboxLimits { bytes: limits::INBOX_BYTES, messages: limits::INBOX_MESSAGES };
    Inbox::new(worker.to_owned(), sender, limits)
}

/// What one dynamic Worker may have under way.
const SHARES: Shares = Shares {
    requests: limits::REQUESTS_OF_ONE,
    bytes: limits::MESSAGE_BYTES_OF_ONE,
    messages: limits::MESSAGES_OF_ONE,
};

/// Of children only: what a project's own Worker has on its way to slow clients is the operator's business.
fn new_bodies(worker: &str, dynamic: bool) -> Arc<Inbox> {
    let most = if dynamic {
        InboxLimits { bytes: limits::BODY_BYTES, messages: limits::INBOX_MESSAGES }
    } else {
        InboxLimits { bytes: usize::MAX, messages: usize::MAX }
    };
    Inbox::of_bodies(worker.to_owned(), most)
}

/// What callers of a Worker get that has ended.
pub fn gone() -> RemoteError {
    RemoteError::error("The Worker is no longer running.")
}

impl Worker {
    /// A project's Worker whose code comes later, by [`Worker::start`] or [`Worker::fail`]. Its turns run on lane `home`.
    pub fn loading(runtime: Arc<Runtime>, name: String, home: usize) -> Self {
        Self::new(runtime, name, home, None)
    }

    /// As [`Worker::loading`], of a Worker that another loads.
    pub(crate) fn loading_dynamic(runtime: Arc<Runtime>, name: String, home: usize) -> Self {
        let sender = Sender::new(name.clone(), SHARES);
        Self::new(runtime, name, home, Some(sender))
    }

    fn new(runtime: Arc<Runtime>, name: String, home: usize, sender: Option<Arc<Sender>>) -> Self {
        Self(Arc::new(Inner {
            runtime,
            inbox: Mutex::new(new_inbox(&name, sender.clone())),
            name,
            id: WorkerId::new(sender.is_some()),
            sender,
            home,
            state: Mutex::new(State::Loading { queue: Vec::new(), isolate: None }),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            last_used: AtomicU64::new(0),
            under_way: Crowd::default(),
            line: Mutex::default(),
            settings: OnceLock::new(),
            on_failure: Mutex::default(),
            code: OnceLock::new(),
            mail: Arc::default(),
            account: OnceLock::new(),
        }))
    }

    /// Messages on their way to it.
    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Invocations that were asked for and have not ended.
    pub(crate) fn under_way(&self) -> &Crowd {
        &self.0.under_way
    }

    /// Tells it from others in the accounts of its invocations.
    pub(crate) fn id(&self) -> WorkerId {
        self.0.id
    }

    /// As what it counts with others; none: it is a project's own.
    pub(crate) fn sender(&self) -> Option<&Arc<Sender>> {
        self.0.sender.as_ref()
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
        self.0.settings.get().map(|settings| settings.limits).unwrap_or_default()
    }

    /// Whether its invocations are traced; before its code is there, nobody knows.
    pub(crate) fn may_be_traced(&self) -> bool {
        matches!(*self.state(), State::Loading { .. })
            || self.0.settings.get().is_some_and(|settings| !settings.tails.is_empty())
    }

    /// Whether it was given its code.
    pub(crate) fn has_code(&self) -> bool {
        self.0.settings.get().is_some()
    }

    /// Where traces of its invocations go.
    pub(crate) fn tails(&self) -> Vec<Arc<dyn Service>> {
        self.0.settings.get().map(|settings| settings.tails.clone()).unwrap_or_default()
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
        self.0.last_used.store(now.as_micros() as u64, Ordering::Relaxed);
        now
    }

    /// When it was last used, in microseconds of the monotonic clock.
    pub(crate) fn last_used(&self) -> u64 {
        self.0.last_used.load(Ordering::Relaxed)
    }

    /// As [`Worker::last_used`]; none while it is starting, or anybody but the caller holds it: a stub, an invocation under
    /// way.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        let idle = Arc::strong_count(&self.0) == 1 && !matches!(*self.state(), State::Loading { .. });
        idle.then(|| self.last_used())
    }

    /// Whether it has an isolate and has started in it.
    pub(crate) fn is_live(&self) -> bool {
        matches!(*self.state(), State::Live(_))
    }

    /// Lets go of the isolate where only fresh module state tells: no event is under way, no stream or object of one is
    /// held, and the Worker can be started again. Gives whether it did.
    pub(crate) fn sleep(&self) -> bool {
        let mut state = self.state();
        let (State::Live(isolate), Some(code)) = (&*state, self.0.code.get()) else { return false };
        // In this order: a message is counted until its invocation is.
        if Arc::strong_count(&self.0.mail) > 1 || !self.waiting().is_empty() {
            return false;
        }
        let isolate = isolate.clone();
        *state = State::Asleep(code.clone());
        drop(state);
        isolate.close();
        true
    }

    /// Whether two handles mean the same Worker.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What happens, once, when it fails to start, ends itself or is ended by a limit: a cache forgets it.
    pub fn on_failure(&self, action: impl FnOnce() + Send + 'static) {
        *self.0.on_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, FxHashMap<u64, Arc<Answer>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does work in the started Worker, after what came before; it is charged to `meter`.
    pub fn deliver(&self, meter: Arc<Meter>, work: Work) {
        let mut state = self.state();
        match &mut *state {
            State::Loading { queue, .. } if queue.len() < limits::QUEUED => {
                queue.push((Origin::current(), meter, work));
            }
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
                let counted = self.0.mail.clone();
                drop(state);
                send(&isolate, self.inbox(), counted, Origin::current(), meter, work);
            }
            State::Asleep(code) => {
                let code = code.clone();
                *state = State::Loading { queue: vec![(Origin::current(), meter, work)], isolate: None };
                drop(state);
                self.request_heap(code);
            }
            State::Failed(error) => {
                let error = error.clone();
                drop(state);
                work(Admission::Refused(error));
            }
        }
    }

    /// Tells whether it has started, once that is known.
    pub fn once_started(&self, tell: impl FnOnce(Result<(), RemoteError>) + Send + 'static) {
        self.deliver(
            Arc::new(Meter::new(self.limits().cpu)),
            Box::new(move |admission| match admission {
                Admission::Inside(_) => tell(Ok(())),
                Admission::Refused(error) => tell(Err(error)),
            }),
        );
    }

    /// As [`Worker::deliver`], for work that belongs to an event before it: where that went with its isolate, the work is
    /// refused, and no isolate is started for it.
    pub(crate) fn follow(&self, meter: Arc<Meter>, work: Work) {
        if matches!(*self.state(), State::Asleep(_)) {
            return work(Admission::Refused(gone()));
        }
        self.deliver(meter, work);
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
                    self.touch();
                }
                return;
            }
            let Some(isolate) = isolate.clone() else { return };
            let waiting = std::mem::take(queue);
            drop(state);
            for (origin, meter, work) in waiting {
                send(&isolate, self.inbox(), self.0.mail.clone(), origin, meter, work);
            }
        }
    }

    /// It will never start, or has ended for good: whoever waits gets the error, and so does everybody later.
    pub fn fail(&self, error: RemoteError) {
        self.end(State::Failed(error.clone()), error, None);
    }

    /// A limit ended it: whoever waits gets the error, their records the outcome. Its next event starts it again, where
    /// that is possible.
    fn interrupt(&self, error: RemoteError, outcome: Outcome) {
        let next = match self.0.code.get() {
            Some(code) => State::Asleep(code.clone()),
            None => State::Failed(error.clone()),
        };
        self.end(next, error, Some(outcome));
    }

    fn end(&self, next: State, error: RemoteError, outcome: Option<Outcome>) {
        let before = {
            let mut state = self.state();
            if matches!(*state, State::Failed(_)) {
                return;
            }
            // Before anybody learns that it ended: their next request must find it as it will be.
            std::mem::replace(&mut *state, next)
        };
        let action = self.0.on_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(action) = action {
            action();
        }
        let waiting = std::mem::take(&mut *self.waiting());
        for answer in waiting.into_values() {
            if let Some(outcome) = outcome {
                answer.conclude(outcome);
            }
            answer.fail(error.clone());
        }
        match before {
            State::Loading { queue, isolate } => {
                self.0.runtime.metrics.load_failed();
                if let Some(isolate) = isolate {
                    isolate.close();
                }
                for (.., work) in queue {
                    work(Admission::Refused(error.clone()));
                }
            }
            State::Live(isolate) => isolate.close(),
            State::Asleep(_) | State::Failed(_) => {}
        }
    }

    /// Remembers an answer that somebody waits for, until it is given.
    pub(crate) fn expect(&self, answer: &Arc<Answer>) -> u64 {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.waiting().insert(id, answer.clone());
        id
    }

    /// An invocation has ended; gives the time, by the monotonic clock.
    pub(crate) fn settled(&self, id: u64) -> Duration {
        let now = self.touch();
        self.waiting().remove(&id);
        now
    }
}

fn send(
    isolate: &Isolate,
    inbox: Arc<Inbox>,
    counted: Arc<()>,
    origin: Origin,
    meter: Arc<Meter>,
    work: Work,
) {
    let mut message = Undelivered { work: Some(work), inbox, _counted: counted };
    let deliver = move |scope: &mut v8::PinScope<'_, '_>| {
        if let Some(work) = message.work.take() {
            work(Admission::Inside(scope));
        }
    };
    isolate.send(Envelope::new(meter, deliver).from(origin));
}

/// Work in a mailbox: should the isolate end before its turn, whoever waits is told.
struct Undelivered {
    work: Option<Work>,
    inbox: Arc<Inbox>,
    _counted: Arc<()>,
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let reason = self.inbox.ended();
            work(Admission::Refused(reason.map_or_else(gone, |reason| RemoteError::error(&*reason))));
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
pub(crate) const EVENTS_SCRIPT: &str = "loader/events";

/// Asks a Worker which of its exports have a test handler.
pub fn test_names(worker: &Worker, take: impl FnOnce(Result<Vec<String>, String>) + Send + 'static) {
    ask_names(worker, "tests", take);
}

/// Asks a Worker which of its exports can be entrypoints: classes and objects.
pub fn entrypoint_names(worker: &Worker, take: impl FnOnce(Result<Vec<String>, String>) + Send + 'static) {
    ask_names(worker, "entrypoints", take);
}

fn ask_names(
    worker: &Worker,
    question: &'static str,
    take: impl FnOnce(Result<Vec<String>, String>) + Send + 'static,
) {
    // Exports may have getters.
    worker.deliver(
        Arc::new(Meter::new(worker.limits().cpu)),
        Box::new(move |admission| match admission {
            Admission::Inside(scope) => {
                let names = realm::call(scope, EVENTS_SCRIPT, question, &[]);
                take(Ok(names.map(|n| atoll_isolate::arguments::texts(scope, n)).unwrap_or_default()));
            }
            Admission::Refused(error) => take(Err(error.message)),
        }),
    );
}
