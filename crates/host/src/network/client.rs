//! The plain implementation of the network: an HTTP client with a connection pool, for public addresses and
//! those that the operator has permitted.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use url::Url;

use super::connector::{Connector, Places};
use super::tls::{TlsRoots, TlsSetupError};
use super::{AddressPolicy, Network, NetworkError};
use crate::BoxFuture;
use crate::body::{Body, BodyError, ByteStream};
use crate::http::{Request, Response, header_map_from_list, header_text, list_from_header_map};
use crate::runtime::run_on;

/// Largest head of a response, in bytes; for HTTP/1.1 also the read buffer.
const MAX_RESPONSE_HEAD: u32 = 64 * 1024;

/// Headers that concern one connection, not the exchange (RFC 9110, section 7.6.1): dropped both ways. In a
/// request they would let a guest disagree with this client about where a message ends.
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// What a [`PublicNetwork`] trusts and how much it may use. The limits hold for one client.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// Certificate authorities; `None`: [`TlsRoots::system`].
    pub roots: Option<TlsRoots>,
    /// Time for making a connection, from the wait for a free place to the end of the TLS handshake. Default:
    /// 10 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default: 60 s.
    pub idle_timeout: Duration,
    /// Unused connections kept for one host and port. Default: 8.
    pub max_idle_per_host: usize,
    /// Open connections to one host and port; further ones wait (part of `connect_timeout`). With HTTP/2 one
    /// carries many exchanges. Default: 100.
    pub max_connections_per_host: usize,
    /// Open connections in all; further ones wait likewise. Default: 1000.
    pub max_connections: usize,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            roots: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_idle_per_host: 8,
            max_connections_per_host: 100,
            max_connections: 1000,
        }
    }
}

/// HTTP/1.1 and, where the server agrees during the TLS handshake, HTTP/2, over a pool of connections.
///
/// The pool belongs to one policy, which cannot change: every connection in it leads to an address that this
/// policy has admitted, so an exchange on a pooled connection needs no further check. Projects with different
/// policies need clients of their own.
///
/// All sockets live on the runtime given at construction; `fetch` may be awaited from any other.
#[derive(Debug, Clone)]
pub struct PublicNetwork {
    client: Client<Connector, Body>,
    runtime: Handle,
}

/// Puts the connections' tasks on the client's own runtime, whoever asks.
#[derive(Clone)]
struct OnRuntime(Handle);

impl<F> hyper::rt::Executor<F> for OnRuntime
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        drop(self.0.spawn(task));
    }
}

impl PublicNetwork {
    /// A client with the default [`NetworkSettings`]. The runtime needs its I/O and time drivers.
    ///
    /// # Errors
    /// [`TlsSetupError`], in practice a wrong `SSL_CERT_FILE`.
    pub fn new(policy: AddressPolicy, runtime: Handle) -> Result<Self, TlsSetupError> {
        Self::with_settings(policy, runtime, NetworkSettings::default())
    }

    /// A client with other settings.
    ///
    /// # Errors
    /// [`TlsSetupError`].
    pub fn with_settings(
        policy: AddressPolicy,
        runtime: Handle,
        settings: NetworkSettings,
    ) -> Result<Self, TlsSetupError> {
        let roots = match settings.roots {
            Some(roots) => roots,
            None => TlsRoots::system()?,
        };
        let tls = TlsConnector::from(Arc::new(roots.client_config()?));
        let places = Places::new(settings.max_connections_per_host, settings.max_connections);
        let connector = Connector::new(policy, tls, settings.connect_timeout, places);
        let client = Client::builder(OnRuntime(runtime.clone()))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.max_idle_per_host)
            .http1_max_buf_size(MAX_RESPONSE_HEAD as usize)
            .http2_max_header_list_size(MAX_RESPONSE_HEAD)
            // Without a sign of life a dead connection would take every later request to its host with it.
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(15))
            .build(connector);
        Ok(Self { client, runtime })
    }
}

impl Network for PublicNetwork {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, NetworkError>> {
        let Self { client, runtime } = self.clone();
        Box::pin(async move {
            let host = request.url.host_str().unwrap_or_default().to_owned();
            let request = outgoing(request)?;
            let head_only = request.method() == Method::HEAD;
            // The whole exchange runs on the client's runtime, since connecting needs that runtime's drivers.
            match run_on(&runtime, async move { client.request(request).await }).await {
                Some(Ok(response)) => Ok(incoming(response, head_only)),
                Some(Err(error)) => Err(failure(&host, &error)),
                None => Err(NetworkError::Stopped),
            }
        })
    }
}

/// Turns a request into what goes on the wire. The message's length and its host come from the body and the
/// URL alone.
fn outgoing(request: Request) -> Result<http::Request<Body>, NetworkError> {
    let Request { method, url, headers, body } = request;
    let uri = target(&url)?;
    let method = match Method::from_bytes(method.as_bytes()) {
        Ok(parsed) if parsed != Method::CONNECT => parsed,
        _ => return Err(NetworkError::InvalidMethod { method: method.chars().take(100).collect() }),
    };
    let mut headers = header_map_from_list(&headers)?;
    if let Some(protocol) = headers.get(header::UPGRADE) {
        return Err(NetworkError::UpgradeUnsupported { protocol: header_text(protocol.as_bytes()) });
    }
    drop_hop_by_hop(&mut headers);
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    if body.is_end_stream() && ![Method::GET, Method::HEAD].contains(&method) {
        // These say that they are empty, as servers ask for it.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut outgoing = http::Request::new(body);
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}

fn target(url: &Url) -> Result<Uri, NetworkError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NetworkError::UnsupportedScheme { scheme: url.scheme().to_owned() });
    }
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let path_and_query = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    Uri::builder()
        .scheme(url.scheme())
        .authority(authority)
        .path_and_query(path_and_query)
        .build()
        .map_err(|error| NetworkError::InvalidUrl { host: host.to_owned(), detail: error.to_string() })
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn incoming(response: http::Response<Incoming>, head_only: bool) -> Response {
    let (mut head, body) = response.into_parts();
    drop_hop_by_hop(&mut head.headers);
    let status_text = match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => header_text(reason.as_bytes()),
        None => head.status.canonical_reason().unwrap_or_default().to_owned(),
    };
    // These have no body whatever their Content-Length says (RFC 9110, section 6.4.1).
    let bodiless = head_only || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless || body.is_end_stream() {
        Body::Empty
    } else {
        Body::Stream(ByteStream::from_http_body(body))
    };
    Response { status: head.status.as_u16(), status_text, headers: list_from_header_map(&head.headers), body }
}

/// Finds the cause that the caller can do something about in the HTTP client's chain of errors.
fn failure(host: &str, error: &hyper_util::client::legacy::Error) -> NetworkError {
    if let Some(known) = cause::<NetworkError>(error) {
        return known.clone();
    }
    if let Some(known) = cause::<BodyError>(error) {
        return NetworkError::RequestBody(known.clone());
    }
    let host = host.to_owned();
    let closed = cause::<hyper::Error>(error)
        .is_some_and(|error| error.is_incomplete_message() || error.is_closed() || error.is_canceled());
    let reset = cause::<io::Error>(error).is_some_and(|error| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    });
    if closed || reset {
        return NetworkError::ConnectionLost { host };
    }
    // The outermost text only says that something failed; the causes say what.
    let causes: Vec<String> = chain(error).skip(1).map(|cause| cause.to_string()).collect();
    let detail = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
    NetworkError::Protocol { host, detail }
}

fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref::<T>())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
