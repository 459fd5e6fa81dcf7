//! How a connection is made: a free place, name resolution, the address policy, TCP to exactly the addresses
//! that the policy has admitted, TLS.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{AddressPolicy, ConnectStage, NetworkError};
use crate::BoxFuture;

/// How long one address has for itself before the next is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many of a host's addresses are tried.
const MAX_ADDRESSES: usize = 16;

/// Makes connections for the HTTP client, as its `tower` service. All its work happens where its futures are
/// polled, which must be a tokio runtime.
#[derive(Clone)]
pub(super) struct Connector(Arc<Shared>);

struct Shared {
    policy: AddressPolicy,
    tls: TlsConnector,
    time_allowed: Duration,
    places: Places,
}

impl Connector {
    pub(super) fn new(
        policy: AddressPolicy,
        tls: TlsConnector,
        time_allowed: Duration,
        places: Places,
    ) -> Self {
        Self(Arc::new(Shared { policy, tls, time_allowed, places }))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = HttpConnection;
    type Error = NetworkError;
    type Future = BoxFuture<'static, Result<HttpConnection, NetworkError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.connect(&target).await })
    }
}

impl Shared {
    async fn connect(&self, target: &Uri) -> Result<HttpConnection, NetworkError> {
        let secure = target.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = target.host().unwrap_or_default();
        let deadline = Deadline { host, at: Instant::now() + self.time_allowed, allowed: self.time_allowed };

        let place = deadline.hold(ConnectStage::Queue, self.places.take(host, port)).await??;
        let resolved = deadline.hold(ConnectStage::Resolve, resolve(host, port)).await??;
        let admitted = self.policy.admit(host, resolved)?;
        let tcp = deadline.hold(ConnectStage::Connect, connect_to_any(admitted)).await?.map_err(|error| {
            NetworkError::Connect { host: host.to_owned(), port, detail: error.to_string() }
        })?;
        let io = if secure {
            let tls = deadline.hold(ConnectStage::Tls, self.handshake(host, tcp)).await??;
            Io::Tls(Box::new(TokioIo::new(tls)))
        } else {
            Io::Plain(TokioIo::new(tcp))
        };
        Ok(HttpConnection { io, _place: place })
    }

    async fn handshake(&self, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, NetworkError> {
        let failed = |detail: String| NetworkError::Tls { host: host.to_owned(), detail };
        let bare = without_brackets(host);
        let name = match bare.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            // Certificates name hosts without the final dot.
            Err(_) => ServerName::try_from(bare.strip_suffix('.').unwrap_or(bare).to_owned())
                .map_err(|error| failed(error.to_string()))?,
        };
        self.tls.connect(name, tcp).await.map_err(|error| failed(error.to_string()))
    }
}

/// The time that all steps of one connection have together.
struct Deadline<'a> {
    host: &'a str,
    at: Instant,
    allowed: Duration,
}

impl Deadline<'_> {
    async fn hold<F: Future>(&self, stage: ConnectStage, step: F) -> Result<F::Output, NetworkError> {
        timeout_at(self.at, step).await.map_err(|_| NetworkError::Timeout {
            host: self.host.to_owned(),
            stage,
            after: self.allowed,
        })
    }
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, NetworkError> {
    let bare = without_brackets(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match tokio::net::lookup_host((bare, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(NetworkError::Dns { host: host.to_owned(), detail: error.to_string() }),
    }
}

/// Tries the addresses in turn, IPv6 and IPv4 alternately, and lets a slow one compete with those after it
/// ("Happy Eyeballs", RFC 8305). Gives the last error if none answers.
async fn connect_to_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut untried = alternate_families(addresses).into_iter();
    let mut attempts = JoinSet::new();
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = untried.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let outcome = if untried.as_slice().is_empty() {
            attempts.join_next().await
        } else {
            match timeout(ATTEMPT_DELAY, attempts.join_next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome {
            Some(Ok(Ok(stream))) => {
                // Requests are written whole; waiting for more to send would only delay them.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Some(Ok(Err(error))) => last_error = error,
            Some(Err(stopped)) => last_error = io::Error::other(stopped),
            None => return Err(last_error),
        }
    }
}

fn alternate_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut order = Vec::new();
    while order.len() < MAX_ADDRESSES {
        let before = order.len();
        order.extend(preferred.next());
        order.extend(others.next());
        if order.len() == before {
            break;
        }
    }
    order
}

/// How many connections may be open at once, idle ones in the pool included: to one host and port, and in
/// all.
pub(super) struct Places {
    all: Arc<Semaphore>,
    for_each_host: usize,
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A connection's right to exist, given back when it is dropped.
struct Place {
    _of_host: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(for_each_host: usize, in_all: usize) -> Self {
        let permits = |count: usize| count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(permits(in_all))),
            for_each_host: permits(for_each_host),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a free place. First that of the host, so that those who wait for one crowded host hold no
    /// place that another host could use.
    async fn take(&self, host: &str, port: u16) -> Result<Place, NetworkError> {
        let of_host = self.of_host(host, port).acquire_owned().await.map_err(|_| NetworkError::Stopped)?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.map_err(|_| NetworkError::Stopped)?;
        Ok(Place { _of_host: of_host, _of_all: of_all })
    }

    fn of_host(&self, host: &str, port: u16) -> Arc<Semaphore> {
        let key = format!("{host}:{port}");
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = hosts.get(&key).and_then(Weak::upgrade) {
            return semaphore;
        }
        // A host without connections leaves an empty entry behind; clearing at each doubling costs little.
        if hosts.len() == hosts.capacity() {
            hosts.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let semaphore = Arc::new(Semaphore::new(self.for_each_host));
        hosts.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }
}

/// A connection that HTTP can be spoken on.
pub(super) struct HttpConnection {
    io: Io,
    _place: Place,
}

enum Io {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for HttpConnection {
    fn connected(&self) -> Connected {
        let protocol = match &self.io {
            Io::Plain(_) => None,
            Io::Tls(tls) => tls.inner().get_ref().1.alpn_protocol(),
        };
        if protocol == Some(b"h2".as_slice()) { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl Read for HttpConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Io::Tls(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl Write for HttpConnection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Io::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_flush(context),
            Io::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(context),
            Io::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(context, slices),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(context, slices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().expect("address and port")
    }

    #[test]
    fn families_alternate_from_the_preferred_one() {
        let order = alternate_families(
            ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(socket).to_vec(),
        );
        assert_eq!(order, ["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "[::3]:1"].map(socket));
        assert_eq!(
            alternate_families((1..100).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()).len(),
            16
        );
        assert!(alternate_families(vec![]).is_empty());
    }

    #[tokio::test]
    async fn refused_address_gives_way_to_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let open = listener.local_addr().expect("an address");
        // Bound, so that nobody else gets the port, but not listening.
        let silent = tokio::net::TcpSocket::new_v4().expect("a socket");
        silent.bind(socket("127.0.0.1:0")).expect("a port");
        let closed = silent.local_addr().expect("an address");
        let stream = connect_to_any(vec![closed, open]).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), open);
        let error = connect_to_any(vec![closed]).await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_to_any(vec![]).await.is_err());
    }

    #[tokio::test]
    async fn places_are_counted_for_each_host_and_given_back() {
        let places = Places::new(1, 2);
        let first = places.take("a.example", 80).await.expect("a place");
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut second = Box::pin(places.take("a.example", 80));
        assert!(second.as_mut().poll(&mut context).is_pending(), "the host is full");
        let other = places.take("b.example", 80).await.expect("a place");
        let mut third = Box::pin(places.take("c.example", 80));
        assert!(third.as_mut().poll(&mut context).is_pending(), "all places are taken");
        drop(other);
        assert!(third.await.is_ok());
        drop(first);
        assert!(second.await.is_ok());
    }

    #[test]
    fn hosts_without_connections_are_forgotten() {
        let places = Places::new(1, 1);
        for number in 0..10_000 {
            drop(places.of_host(&number.to_string(), 80));
        }
        assert!(places.hosts.lock().expect("the hosts").len() < 100);
    }
}
