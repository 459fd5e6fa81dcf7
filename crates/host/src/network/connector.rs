//! How a connection is made: name resolution, the address policy, TCP to exactly the addresses
//! that the policy has admitted, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::connection::{Connection, Open};
use super::places::{HostKey, Most, NoPlace, Places};
use super::sender::Sender;
use super::{AddressPolicy, ConnectStage, NetworkError};

/// How long one address has for itself before the next is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many of a host's addresses are tried.
const MAX_ADDRESSES: usize = 16;

/// Names that are looked up at once. Each takes a thread, also after nobody waits for it any more.
const MAX_LOOKUPS: usize = 64;

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) key: HostKey,
    /// As in the URL: an IPv6 address has brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secure: bool,
}

/// Makes connections for the HTTP client. All its work happens where its futures are polled, which must be a tokio
/// runtime.
pub(super) struct Connector {
    policy: AddressPolicy,
    tls: TlsConnector,
    /// For looking names up.
    lookups: Places,
    /// The one host that all look-ups count for.
    resolver: HostKey,
}

impl Connector {
    pub(super) fn new(policy: AddressPolicy, tls: TlsConnector, waiting: usize) -> Self {
        let lookups = Places::new(Most { to_one_host: MAX_LOOKUPS, in_all: MAX_LOOKUPS, waiting });
        Self { policy, tls, lookups, resolver: "the resolver".into() }
    }

    /// The addresses of the host that may be connected to.
    pub(super) async fn resolve(
        &self,
        target: &Target,
        sender: &Sender,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<SocketAddr>, NetworkError> {
        let bare = without_brackets(&target.host);
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, target.port)],
            Err(_) => self.look_up(bare, target.port, sender, deadline).await?,
        };
        self.policy.admit(&target.host, found)
    }

    async fn look_up(
        &self,
        host: &str,
        port: u16,
        sender: &Sender,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<SocketAddr>, NetworkError> {
        let place = match self.lookups.take(&self.resolver, sender.id(), deadline.left()).await {
            Ok(place) => place,
            Err(NoPlace::TimedOut { .. }) => return Err(deadline.passed(ConnectStage::Queue)),
            Err(NoPlace::QueueFull) => {
                let detail = format!(
                    "too many names are being looked up for this Worker; at most {MAX_LOOKUPS} are at once"
                );
                return Err(NetworkError::Dns { host: host.to_owned(), detail });
            }
        };
        let name = host.to_owned();
        let lookup = spawn_blocking(move || {
            let found = (name.as_str(), port).to_socket_addrs();
            drop(place);
            found
        });
        let failed = |detail: String| NetworkError::Dns { host: host.to_owned(), detail };
        match deadline.hold(ConnectStage::Resolve, lookup).await? {
            Ok(Ok(addresses)) => Ok(addresses.collect()),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(stopped) => Err(failed(stopped.to_string())),
        }
    }

    /// A connection to one of these addresses; `open` counts it.
    pub(super) async fn connect(
        &self,
        target: &Target,
        addresses: Vec<SocketAddr>,
        deadline: &Deadline<'_>,
        open: impl FnOnce() -> Open,
    ) -> Result<Connection, NetworkError> {
        let open = open();
        let host = &target.host;
        let tcp =
            deadline.hold(ConnectStage::Connect, connect_to_any(addresses)).await?.map_err(|error| {
                NetworkError::Connect { host: host.clone(), port: target.port, detail: error.to_string() }
            })?;
        if !target.secure {
            return Ok(Connection::plain(tcp, open));
        }
        let tls = deadline.hold(ConnectStage::Tls, self.handshake(host, tcp)).await??;
        Ok(Connection::tls(tls, open))
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
pub(super) struct Deadline<'a> {
    host: &'a str,
    at: Instant,
    allowed: Duration,
}

impl<'a> Deadline<'a> {
    pub(super) fn new(host: &'a str, allowed: Duration) -> Self {
        Self { host, at: Instant::now() + allowed, allowed }
    }

    pub(super) async fn hold<F: Future>(
        &self,
        stage: ConnectStage,
        step: F,
    ) -> Result<F::Output, NetworkError> {
        timeout_at(self.at, step).await.map_err(|_| self.passed(stage))
    }

    fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    fn passed(&self, stage: ConnectStage) -> NetworkError {
        NetworkError::Timeout { host: self.host.to_owned(), stage, after: self.allowed }
    }
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
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
}
