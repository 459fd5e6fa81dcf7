//! The plain implementation of the network: an HTTP client with a connection pool, for public addresses and
//! those that the operator has permitted.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, Version};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use url::Url;

use super::connection::{MAX_RESPONSE_FIELDS, MAX_RESPONSE_HEAD, is_lost};
use super::connector::{Connector, Target};
use super::exchange::Exchanges;
use super::payload::{Payload, Upload};
use super::places::{Most, Places};
use super::pool::{Keep, Pool};
use super::tls::{TlsRoots, TlsSetupError};
use super::{AddressPolicy, Network, NetworkError};
use crate::BoxFuture;
use crate::body::BodyError;
use crate::http::{Request, Response, header_map_from_list, header_text};
use crate::runtime::Task;

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
    /// Time for waiting for a free place, and again for making a connection up to the end of the TLS handshake.
    /// Default: 10 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default: 60 s.
    pub idle_timeout: Duration,
    /// Unused HTTP/1.1 connections kept for one host and port. Default: 8.
    pub max_idle_per_host: usize,
    /// Requests under way to one host and port: each until its answer has been read, or given up. A sender may
    /// have as many as are left by all, alone half of them; further ones wait. Default:
    /// [`MAX_REQUESTS_TO_A_HOST`].
    pub max_requests_per_host: usize,
    /// Requests under way in all, likewise, and open connections. Default: [`MAX_REQUESTS`].
    pub max_requests: usize,
}

/// Requests under way from one network at a time, and connections that it has open.
pub const MAX_REQUESTS: usize = 1000;

/// Requests under way from one network to one host and port at a time.
pub const MAX_REQUESTS_TO_A_HOST: usize = 400;

/// Requests of one sender that wait until others have ended.
pub const MAX_WAITING: usize = 10_000;

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            roots: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_idle_per_host: 8,
            max_requests_per_host: MAX_REQUESTS_TO_A_HOST,
            max_requests: MAX_REQUESTS,
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
#[derive(Clone)]
pub struct PublicNetwork {
    exchanges: Arc<Exchanges>,
    runtime: Handle,
}

impl std::fmt::Debug for PublicNetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PublicNetwork").finish_non_exhaustive()
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
        let most = Most {
            to_one_host: settings.max_requests_per_host,
            in_all: settings.max_requests,
            waiting: MAX_WAITING,
        };
        let keep = Keep {
            idle_for: settings.idle_timeout,
            idle_to_one_host: settings.max_idle_per_host,
            open: settings.max_requests,
        };
        let exchanges = Exchanges {
            connector: Connector::new(policy, tls, MAX_WAITING),
            places: Places::new(most),
            pool: Pool::new(keep, runtime.clone()),
            patience: settings.connect_timeout,
        };
        Ok(Self { exchanges: Arc::new(exchanges), runtime })
    }
}

impl Network for PublicNetwork {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, NetworkError>> {
        let Self { exchanges, runtime } = self.clone();
        Box::pin(async move {
            let Request { method, url, headers, body, sender } = request;
            let request = Outgoing::new(&method, &url, &headers)?;
            // The whole exchange runs on the client's runtime, since connecting needs that runtime's drivers.
            let (answer, answered) = oneshot::channel();
            let exchange = Task::start(&runtime, async move {
                match exchanges.exchange(request, body, sender).await {
                    Err(error) => drop(answer.send(Err(error))),
                    Ok((response, afterwards)) => {
                        if answer.send(Ok(response)).is_ok()
                            && let Some(afterwards) = afterwards
                        {
                            afterwards.await;
                        }
                    }
                }
            });
            let response = answered.await.unwrap_or(Err(NetworkError::Stopped));
            exchange.detach();
            response
        })
    }
}

/// A request as it goes on the wire. The message's length and its host come from the body and the URL alone.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) target: Target,
    uri: Uri,
    headers: HeaderMap,
}

impl Outgoing {
    fn new(method: &str, url: &Url, headers: &[(String, String)]) -> Result<Self, NetworkError> {
        let uri = target(url)?;
        let method = match Method::from_bytes(method.as_bytes()) {
            Ok(parsed) if parsed != Method::CONNECT => parsed,
            _ => return Err(NetworkError::InvalidMethod { method: method.chars().take(100).collect() }),
        };
        let mut headers = header_map_from_list(headers)?;
        if let Some(protocol) = headers.get(header::UPGRADE)
            && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
        {
            return Err(NetworkError::UpgradeUnsupported { protocol: header_text(protocol.as_bytes()) });
        }
        drop_hop_by_hop(&mut headers);
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let key = format!("{}://{host}:{port}", url.scheme()).into();
        let target = Target { key, host, port, secure: url.scheme() == "https" };
        Ok(Self { method, target, uri, headers })
    }

    /// What is sent, for one try.
    pub(super) fn message(&self, payload: &Payload, http2: bool) -> http::Request<Upload> {
        let mut message = http::Request::new(payload.upload());
        *message.method_mut() = self.method.clone();
        *message.headers_mut() = self.headers.clone();
        if http2 {
            *message.version_mut() = Version::HTTP_2;
            *message.uri_mut() = self.uri.clone();
        } else {
            let origin = self.uri.path_and_query().cloned();
            *message.uri_mut() = origin.map(Uri::from).unwrap_or_default();
            if let Some(host) = self.uri.authority()
                && let Ok(host) = HeaderValue::from_str(host.as_str())
            {
                message.headers_mut().insert(header::HOST, host);
            }
        }
        if payload.is_empty() && ![Method::GET, Method::HEAD].contains(&self.method) {
            // These say that they are empty, as servers ask for it.
            message.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        message
    }
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

pub(super) fn drop_hop_by_hop(headers: &mut HeaderMap) {
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

/// Finds the cause that the caller can do something about in the HTTP client's chain of errors.
pub(super) fn failure(host: &str, error: &hyper::Error) -> NetworkError {
    if let Some(known) = cause::<BodyError>(error) {
        return NetworkError::RequestBody(known.clone());
    }
    let host = host.to_owned();
    if is_lost(error) {
        return NetworkError::ConnectionLost { host };
    }
    if is_head_too_large(error) {
        return NetworkError::Protocol {
            host,
            detail: format!(
                "its head has more than {MAX_RESPONSE_FIELDS} fields or {MAX_RESPONSE_HEAD} bytes"
            ),
        };
    }
    let detail = chain(error).map(|cause| cause.to_string()).collect::<Vec<_>>().join(": ");
    NetworkError::Protocol { host, detail }
}

/// The client's half of the crate has no predicate for it, only this text.
fn is_head_too_large(error: &hyper::Error) -> bool {
    error.is_parse() && chain(error).any(|cause| cause.to_string().contains("message head is too large"))
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
