//! A call as a message, and the reply that it must settle.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use atoll_isolate::values::Message;
use atoll_web::account::Origin;
use atoll_web::fetcher::{CONNECTION_LOST, RemoteError};
use atoll_web::inbox::Charge;

use crate::budget::Landing;
use crate::object::{CONTEXT_GONE, ObjectRef};
use crate::paths::Names;
use crate::service::ServiceCap;

/// One call, or the reading of one property.
pub struct Call {
    /// Property names from the target on; empty: the target itself.
    pub path: Arc<Names>,
    /// Serialised argument list; none: the property is read, not called.
    pub arguments: Option<Message>,
    /// Takes the outcome.
    pub reply: Reply,
    /// The question that it answers, for calls on its result before it is there.
    pub question: Arc<Question>,
    /// Where it comes from: how deep it is in calls that led to it, and whom it counts for.
    pub origin: Origin,
    /// Its place among the messages on their way to the callee, until its arguments are read.
    pub charge: Option<Charge>,
}

impl Call {
    /// Bytes that it takes while it is on its way.
    pub fn size(&self) -> usize {
        let names: usize = self.path.iter().map(String::len).sum();
        names + self.arguments.as_ref().map_or(0, Message::size)
    }
}

type TakeOutcome = Box<dyn FnOnce(Result<Message, RemoteError>) + Send>;

/// Takes the outcome of a call, once; dropped unused, the caller learns that the connection was lost.
pub struct Reply(Option<TakeOutcome>);

impl Reply {
    /// A reply that passes the outcome to `take`.
    pub fn new(take: impl FnOnce(Result<Message, RemoteError>) + Send + 'static) -> Self {
        Self(Some(Box::new(take)))
    }

    /// Settles the call.
    pub fn settle(mut self, outcome: Result<Message, RemoteError>) {
        if let Some(take) = self.0.take() {
            take(outcome);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(take) = self.0.take() {
            take(Err(RemoteError::error(CONNECTION_LOST)));
        }
    }
}

/// Work to do where a call was sent, after it.
pub type Followup = Box<dyn for<'s, 'i> FnOnce(Option<&mut atoll_isolate::v8::PinScope<'s, 'i>>) + Send>;

/// The way that a call went.
pub enum Route {
    /// To an address.
    Service(Arc<ServiceCap>),
    /// To a live object.
    Object(Arc<ObjectRef>),
    /// To the answer of an earlier call.
    Answer(Arc<Question>),
    /// To what cannot be called.
    Nowhere,
}

impl Route {
    /// Sends work behind the call; with the place where that landed, where it is known.
    fn follow(&self, landing: Option<&Arc<Landing>>, work: Followup) {
        match self {
            Self::Service(service) => service.0.follow(landing.map(|landing| &**landing), work),
            Self::Object(object) => object.follow(work),
            Self::Answer(question) => question.follow(work),
            Self::Nowhere => work(None),
        }
    }
}

const PENDING: u8 = 0;
const PIPELINED: u8 = 1;
const REPLIED: u8 = 2;

/// A call under way, seen from both sides: the caller sends further calls on its result, the callee keeps the result
/// while there can be such calls.
pub struct Question {
    id: u64,
    state: AtomicU8,
    route: Route,
    landing: OnceLock<Arc<Landing>>,
    /// Why the call itself failed, for calls on its result that find nobody.
    failure: OnceLock<RemoteError>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Question {
    /// A new question; `route` leads to where the call is sent.
    pub fn new(route: Route) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            state: AtomicU8::new(PENDING),
            route,
            landing: OnceLock::new(),
            failure: OnceLock::new(),
        })
    }

    /// The call failed; with calls on its result, so do they.
    pub(crate) fn failed(&self, error: &RemoteError) {
        let _ = self.failure.set(error.clone());
    }

    /// Its number, unique in the process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The caller wants to send a call on the result. False: the reply is already on its way to the caller.
    pub fn pipeline(&self) -> bool {
        match self.state.compare_exchange(PENDING, PIPELINED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == PIPELINED,
        }
    }

    /// The callee has replied. True: it must keep the result, calls on it may be under way.
    pub fn replied(&self) -> bool {
        self.state.compare_exchange(PENDING, REPLIED, Ordering::AcqRel, Ordering::Acquire).is_err()
    }

    /// Sends work behind the call.
    pub fn follow(&self, work: Followup) {
        self.route.follow(self.landing.get(), work);
    }

    /// What a call on the result gets when nobody has it: the call's own error, or else why nobody answers there.
    pub fn gone(&self) -> RemoteError {
        let own = self.failure.get().cloned().or_else(|| self.landing.get().map(|landing| landing.gone()));
        own.unwrap_or_else(|| RemoteError::error(CONTEXT_GONE))
    }

    /// Notes where the call landed.
    pub fn land(&self, landing: Arc<Landing>) {
        let _ = self.landing.set(landing);
    }

    /// Where the call landed, where it did.
    pub fn landing(&self) -> Option<&Arc<Landing>> {
        self.landing.get()
    }
}

/// The caller's hold on a question: once it lets go, the callee may forget the result.
pub struct Asked(pub Arc<Question>);

impl Drop for Asked {
    fn drop(&mut self) {
        // Replied and never asked for more: the callee has forgotten it already. Otherwise the callee is told; a call that
        // is still under way ends, for nobody waits for it.
        if self.0.state.load(Ordering::Acquire) != REPLIED {
            let id = self.0.id;
            self.0.follow(Box::new(move |scope| {
                if let Some(scope) = scope {
                    crate::server::forget_answer(scope, id);
                }
            }));
        }
    }
}
