//! The network as one operation, an HTTP exchange, and everything that can go wrong with it.

mod address;
mod answer;
mod client;
mod connection;
mod connector;
mod exchange;
mod payload;
mod places;
mod policy;
mod pool;
mod sender;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

pub use self::address::{SpecialUse, special_use};
pub use self::client::{MAX_REQUESTS, MAX_REQUESTS_TO_A_HOST, MAX_WAITING, NetworkSettings, PublicNetwork};
pub use self::connection::{MAX_RESPONSE_FIELDS, MAX_RESPONSE_HEAD};
pub use self::policy::{AddressPolicy, AllowEntry, AllowEntryProblem, InvalidAllowList};
pub use self::sender::{Account, READ_AHEAD, READ_AHEAD_IN_ALL, Sender};
pub use self::tls::{TlsRoots, TlsSetupError};

use crate::BoxFuture;
use crate::body::BodyError;
use crate::http::{InvalidHeader, Request, Response};

/// Where outbound requests go.
pub trait Network: Send + Sync {
    /// Sends a request and gives the answer as soon as its head is there; both bodies may still be on their
    /// way then.
    ///
    /// A redirect is an answer like any other: following it is the caller's, so that each hop is checked
    /// anew. The future may be awaited from any executor. Dropping it, or later the response's body, cancels
    /// the exchange; there is no other limit on how long a server may take to answer.
    ///
    /// # Errors
    /// See [`NetworkError`].
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, NetworkError>>;
}

/// Why an exchange failed before there was an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The policy does not let requests go to this address.
    #[error("{}", refusal(.host, .address, .reason))]
    Refused {
        /// The host, as the URL has it.
        host: String,
        /// The address that the host stands for; the first one where there are several.
        address: IpAddr,
        /// What the address is reserved for.
        reason: SpecialUse,
    },
    /// The URL cannot be turned into a request target.
    #[error("the URL for the host {host} cannot be requested: {detail}")]
    InvalidUrl {
        /// The URL's host; not the whole URL, since its query may hold a secret.
        host: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The URL is neither `http:` nor `https:`.
    #[error("the URL scheme {scheme:?} cannot be fetched: only http and https can")]
    UnsupportedScheme {
        /// The scheme without its colon.
        scheme: String,
    },
    /// The method is not a token, or is one that has no place in a request.
    #[error("the method {method:?} cannot be sent: it must be a token such as GET or POST, and not CONNECT")]
    InvalidMethod {
        /// The method.
        method: String,
    },
    /// A header cannot be sent.
    #[error(transparent)]
    InvalidHeader(#[from] InvalidHeader),
    /// The request asks for another protocol on its connection.
    #[error(
        "an \"Upgrade: {protocol}\" request cannot be made here: this network carries plain HTTP exchanges only"
    )]
    UpgradeUnsupported {
        /// The protocol asked for.
        protocol: String,
    },
    /// The host name was not resolved.
    #[error("the host name {host} was not resolved: {detail}")]
    Dns {
        /// The host name.
        host: String,
        /// What the resolver says.
        detail: String,
    },
    /// No connection was made to any of the host's addresses.
    #[error("no connection to {host} port {port}: {detail}")]
    Connect {
        /// The host.
        host: String,
        /// The TCP port.
        port: u16,
        /// What the operating system says of the last address that was tried.
        detail: String,
    },
    /// The TLS handshake failed; a certificate that is not trusted, for example.
    #[error("the TLS handshake with {host} failed: {detail}")]
    Tls {
        /// The host.
        host: String,
        /// What was wrong.
        detail: String,
    },
    /// No place among the requests under way was free in time.
    #[error(
        "the request to {host} waited {} s for its turn: {to_host} requests of this Worker to that host are under way, \
         {in_all} in all, which is its share. Read the body of each response, or cancel it with response.body.cancel()",
        .after.as_secs_f64()
    )]
    Crowded {
        /// The host.
        host: String,
        /// How long it waited.
        after: Duration,
        /// The sender's requests under way to this host.
        to_host: usize,
        /// The sender's requests under way in all.
        in_all: usize,
    },
    /// Too many requests of the sender wait for their turn.
    #[error(
        "the request to {host} was not sent: {limit} requests of this Worker wait for their turn, which is the most that may"
    )]
    TooManyWaiting {
        /// The host.
        host: String,
        /// How many may wait.
        limit: usize,
    },
    /// Making a connection took too long.
    #[error("{stage} {host} took longer than {} s", .after.as_secs_f64())]
    Timeout {
        /// The host.
        host: String,
        /// What took so long.
        stage: ConnectStage,
        /// The time allowed for the whole connection.
        after: Duration,
    },
    /// The server closed the connection before its answer was there.
    #[error("the connection to {host} was closed before there was an answer")]
    ConnectionLost {
        /// The host.
        host: String,
    },
    /// The server's answer is not valid HTTP, or goes beyond a limit of this client.
    #[error("the HTTP exchange with {host} failed: {detail}")]
    Protocol {
        /// The host.
        host: String,
        /// What was wrong.
        detail: String,
    },
    /// The request's own body failed while it was sent.
    #[error("the request body failed while it was sent: {0}")]
    RequestBody(BodyError),
    /// The runtime that drives the connections has been shut down.
    #[error("the network has been shut down")]
    Stopped,
}

/// The steps of making a connection, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectStage {
    /// The sender's other names are being looked up.
    Queue,
    /// The name is being resolved.
    Resolve,
    /// TCP connections are being tried.
    Connect,
    /// The TLS handshake is under way.
    Tls,
}

impl std::fmt::Display for ConnectStage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            ConnectStage::Queue => "waiting for the look-ups of other names before that of",
            ConnectStage::Resolve => "resolving the name",
            ConnectStage::Connect => "connecting to",
            ConnectStage::Tls => "the TLS handshake with",
        })
    }
}

fn refusal(host: &str, address: &IpAddr, reason: &SpecialUse) -> String {
    // For a host that is an address the name would only repeat it (an IPv6 host has brackets).
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let target =
        if bare == address.to_string() { bare.to_owned() } else { format!("{host} (address {address})") };
    format!(
        "the request to {target} was refused: the address is not public ({reason}). To permit it, set in the \
         configuration: \"atoll\": {{ \"outbound\": {{ \"allow\": [\"{address}\"] }} }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_says_what_why_and_what_to_set() {
        let text = |host: &str, address: &str| {
            let address = address.parse().expect("an address");
            NetworkError::Refused { host: host.into(), address, reason: SpecialUse::Loopback }.to_string()
        };
        assert_eq!(
            text("localhost", "127.0.0.1"),
            "the request to localhost (address 127.0.0.1) was refused: the address is not public (loopback). To permit \
             it, set in the configuration: \"atoll\": { \"outbound\": { \"allow\": [\"127.0.0.1\"] } }"
        );
        assert!(text("127.0.0.1", "127.0.0.1").starts_with("the request to 127.0.0.1 was refused"));
        assert!(text("[::1]", "::1").starts_with("the request to ::1 was refused"));
    }

    #[test]
    fn timeout_names_the_stage() {
        let error = NetworkError::Timeout {
            host: "example.com".into(),
            stage: ConnectStage::Tls,
            after: Duration::from_secs(10),
        };
        assert_eq!(error.to_string(), "the TLS handshake with example.com took longer than 10 s");
    }
}
