//! Where a `fetch` goes: the trait that the internet, a service and an intercepting Worker have in common.

use std::sync::Arc;

use atoll_host::body::Body;
use atoll_host::http::Response;
use atoll_host::network::{self, Network};
use atoll_isolate::values::Message;

use crate::account::Origin;
use crate::coding::Coding;
use crate::exchange::{Cf, HeaderList, Invalid, Method, Reason, Status, Target};
use crate::interest::{Interest, Work};
use crate::sender::Sender;
use crate::task::Task;

/// A request between isolates, or on its way out.
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub url: Target,
    /// The headers.
    pub headers: HeaderList,
    /// The body.
    pub body: Body,
    /// `request.cf`.
    pub cf: Option<Cf>,
    /// Where it comes from: how deep it is, and whom it counts for.
    pub origin: Origin,
    /// Who sends it, for its share of the network's connections; none: it came from outside.
    pub network: Option<network::Sender>,
}

impl FetchRequest {
    /// Bytes that it takes while it is on its way; a stream's are not among them.
    pub fn size(&self) -> usize {
        let texts = self.url.as_str().len() + self.cf.as_ref().map_or(0, |cf| cf.as_str().len());
        texts + self.headers.size() + buffered(&self.body)
    }
}

fn buffered(body: &Body) -> usize {
    if let Body::Bytes(bytes) = body { bytes.len() } else { 0 }
}

/// The answer to a [`FetchRequest`].
pub struct FetchResponse {
    /// The status code.
    pub status: Status,
    /// The reason phrase.
    pub status_text: Reason,
    /// The headers.
    pub headers: HeaderList,
    /// The body.
    pub body: Body,
    /// Whether the body is in the coding that the headers say.
    pub coding: Coding,
    /// For an answer to HEAD: length in bytes of the body that another method had got, where that is known.
    pub head_length: Option<u64>,
}

impl FetchResponse {
    /// Bytes that it takes while it is on its way; a stream's are not among them.
    pub fn size(&self) -> usize {
        self.status_text.as_str().len() + self.headers.size() + buffered(&self.body)
    }
}

/// An error that crossed from another isolate, or came from outside: class and message, never a stack.
#[derive(Clone, Default)]
pub struct RemoteError {
    /// `name` of the error: a standard class, a `DOMException` name, or a guest's own.
    pub name: String,
    /// Its message.
    pub message: String,
    /// Whether it was a `DOMException`.
    pub dom: bool,
    /// Own properties beyond those, as a serialised object.
    pub properties: Option<Message>,
    /// Whether it came from another Worker's code (`error.remote`), not from the runtime.
    pub remote: bool,
}

impl RemoteError {
    /// A plain `Error` of the runtime's own.
    pub fn error(message: impl Into<String>) -> Self {
        Self { name: "Error".into(), message: message.into(), ..Self::default() }
    }

    /// A `TypeError` of the runtime's own.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self { name: "TypeError".into(), message: message.into(), ..Self::default() }
    }
}

impl std::fmt::Debug for RemoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

type TakeAnswer = Box<dyn FnOnce(Result<FetchResponse, RemoteError>, Option<&Arc<Sender>>) + Send>;

/// Takes the answer, once; dropped unused, the caller learns that the connection was lost.
pub struct Responder {
    take: Option<TakeAnswer>,
    work: Work,
    sender: Option<Arc<Sender>>,
}

/// What a caller gets when whoever should have answered is gone.
pub const CONNECTION_LOST: &str = "Network connection lost.";

impl Responder {
    /// A responder that passes the answer to `take`.
    pub fn new(take: impl FnOnce(Result<FetchResponse, RemoteError>) + Send + 'static) -> Self {
        Self::told_by(move |answer, _| take(answer))
    }

    /// As [`Responder::new`]; `take` is also given whom the answer counts for.
    pub fn told_by(
        take: impl FnOnce(Result<FetchResponse, RemoteError>, Option<&Arc<Sender>>) + Send + 'static,
    ) -> Self {
        Self { take: Some(Box::new(take)), work: Work::default(), sender: None }
    }

    /// The answer will count for this dynamic Worker.
    pub fn counts_for(&mut self, sender: Option<Arc<Sender>>) {
        self.sender = sender;
    }

    /// For a caller that may stop waiting: dropped before the answer, whoever works on the request is told.
    pub fn interest(&self) -> Interest {
        self.work.interest()
    }

    /// For whoever works on the request, to learn that nobody waits any more.
    pub fn work(&self) -> Work {
        self.work.clone()
    }

    /// Answers.
    pub fn respond(mut self, answer: Result<FetchResponse, RemoteError>) {
        self.give(answer);
    }

    fn give(&mut self, answer: Result<FetchResponse, RemoteError>) {
        if let Some(take) = self.take.take() {
            self.work.answered();
            take(answer, self.sender.as_ref());
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.give(Err(RemoteError::error(CONNECTION_LOST)));
    }
}

/// Something that answers requests.
pub trait Fetcher: Send + Sync + 'static {
    /// Starts a request. Never blocks; the answer may come on any thread. Ends its work when nobody waits any more.
    fn fetch(&self, request: FetchRequest, respond: Responder);

    /// Why nothing can be reached through it at all; none: something may be.
    fn refusal(&self) -> Option<&'static str> {
        None
    }
}

/// The network, as far as the host lets it through.
pub struct Internet(pub Arc<dyn Network>);

impl Fetcher for Internet {
    fn fetch(&self, request: FetchRequest, respond: Responder) {
        let FetchRequest { method, url, headers, body, origin, network, .. } = request;
        let url = match url::Url::parse(url.as_str()) {
            Ok(url) => url,
            Err(error) => {
                let text = format!("Fetch API cannot load: {} ({error})", url.as_str());
                return respond.respond(Err(RemoteError::type_error(text)));
            }
        };
        let place = match origin.sender.as_ref().map(Sender::request).transpose() {
            Ok(place) => place,
            Err(error) => return respond.respond(Err(error)),
        };
        let headers = headers.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let method = method.as_str().to_owned();
        let sender = network.unwrap_or_default();
        let request = atoll_host::http::Request { method, url, headers, body, sender };
        let answer = self.0.fetch(request);
        let work = respond.work();
        let exchange = Task::spawn(async move {
            let _place = place;
            respond.respond(match answer.await {
                Ok(response) => received(response).map_err(RemoteError::from),
                Err(error) => Err(RemoteError::error(error.to_string())),
            });
        });
        work.on_given_up(move || drop(exchange));
    }
}

fn received(response: Response) -> Result<FetchResponse, Invalid> {
    let Response { status, status_text, headers, body } = response;
    let headers = headers.into_iter().flat_map(|(name, value)| [name, value]).collect();
    Ok(FetchResponse {
        status: Status::new(status.into())?,
        status_text: Reason::new(status_text)?,
        headers: HeaderList::new(headers)?,
        body,
        coding: Coding::Applied,
        head_length: None,
    })
}

/// No network: what `globalOutbound: null` gives.
pub struct NoOutbound;

/// The error of every `fetch()` in a Worker without an outbound.
pub const NO_OUTBOUND: &str = "This worker is not permitted to access the internet via global functions like fetch(). \
It must use capabilities (such as bindings in 'env') to talk to the outside world.";

impl Fetcher for NoOutbound {
    fn fetch(&self, _request: FetchRequest, respond: Responder) {
        respond.respond(Err(RemoteError::error(NO_OUTBOUND)));
    }

    fn refusal(&self) -> Option<&'static str> {
        Some(NO_OUTBOUND)
    }
}
