//! One exchange, from its place among others to the head of its answer, with another try where that is safe.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use tokio::time::sleep;

use super::answer::{self, Afterwards};
use super::client::{MAX_WAITING, Outgoing, drop_hop_by_hop, failure};
use super::connection::{self, MAX_RESPONSE_FIELDS};
use super::connector::{Connector, Deadline, Target};
use super::payload::Payload;
use super::places::{NoPlace, Place, Places};
use super::pool::{Found, Lease, Pool};
use super::sender::Sender;
use super::{ConnectStage, NetworkError};
use crate::body::Body;
use crate::http::{Response, header_text, list_from_header_map};

/// How often a request is sent at most.
const MAX_TRIES: u32 = 5;

/// How long a request waits before it is sent again to a server that refused it; doubled each time.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// What all exchanges of a network share.
pub(super) struct Exchanges {
    pub(super) connector: Connector,
    pub(super) places: Places,
    pub(super) pool: Arc<Pool>,
    /// For a place, and again for a connection.
    pub(super) patience: Duration,
}

impl Exchanges {
    /// Sends a request and gives its answer, and what is to be run until that has been read.
    pub(super) async fn exchange(
        &self,
        request: Outgoing,
        body: Body,
        sender: Sender,
    ) -> Result<(Response, Afterwards), NetworkError> {
        let target = &request.target;
        let place = self.places.take(&target.key, sender.id(), self.patience).await;
        let place = place.map_err(|reason| no_place(reason, target, self.patience))?;
        let (response, lease) = self.answer(&request, Payload::new(body), &sender).await?;
        self.received(response, lease, place, &request, &sender).await
    }

    /// The head of the answer. The request's body is not held any longer when it is there.
    async fn answer(
        &self,
        request: &Outgoing,
        payload: Payload,
        sender: &Sender,
    ) -> Result<(http::Response<Incoming>, Lease), NetworkError> {
        let repeatable = request.method.is_idempotent();
        let mut fresh = false;
        for count in 1.. {
            let mut lease = self.connection(&request.target, sender, fresh, !repeatable).await?;
            let message = request.message(&payload, lease.is_http2());
            let failed = match lease.send(message).await {
                Ok(response) => return Ok((response, lease)),
                Err(failed) => failed,
            };
            let lost = failed.silent && lease.reused && repeatable;
            let again = payload.is_repeatable() && (failed.unseen || lost) && count < MAX_TRIES;
            if !again {
                return Err(failure(&request.target.host, &failed.error));
            }
            drop(lease);
            // What else is kept may be as old as the connection that was lost.
            fresh |= failed.silent;
            if failed.refused && count > 1 {
                sleep(REFUSED_PAUSE * 2u32.pow(count)).await;
            }
        }
        Err(NetworkError::Stopped)
    }

    /// A connection for one request. A `fresh` one has not been kept; a `careful` request cannot be repeated.
    async fn connection(
        &self,
        target: &Target,
        sender: &Sender,
        fresh: bool,
        careful: bool,
    ) -> Result<Lease, NetworkError> {
        if !fresh && let Some(lease) = self.pool.reuse(&target.key, careful).await {
            return Ok(lease);
        }
        let deadline = Deadline::new(&target.host, self.patience);
        let addresses = self.connector.resolve(target, sender, &deadline).await?;
        let connecting = loop {
            match self.pool.share_or_connect(&target.key, target.secure) {
                Found::Lease(lease) => return Ok(*lease),
                Found::Wait(changed) => deadline.hold(ConnectStage::Connect, changed).await?,
                Found::Connect(connecting) => break connecting,
            }
        };
        let io = self.connector.connect(target, addresses, &deadline, || self.pool.open()).await?;
        let started = deadline.hold(ConnectStage::Tls, connection::start(io)).await?;
        let channel = started.map_err(|error| failure(&target.host, &error))?;
        Ok(connecting.done(channel))
    }

    async fn received(
        &self,
        response: http::Response<Incoming>,
        lease: Lease,
        place: Place,
        request: &Outgoing,
        sender: &Sender,
    ) -> Result<(Response, Afterwards), NetworkError> {
        let host = &request.target.host;
        let protocol = |detail: String| NetworkError::Protocol { host: host.clone(), detail };
        let (mut head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(protocol(
                "the server switched to another protocol, for which it was not asked".into(),
            ));
        }
        if head.headers.len() > MAX_RESPONSE_FIELDS {
            return Err(protocol(format!("its head has more than {MAX_RESPONSE_FIELDS} fields")));
        }
        drop_hop_by_hop(&mut head.headers);
        let status_text = match head.extensions.get::<ReasonPhrase>() {
            Some(reason) => header_text(reason.as_bytes()),
            None => head.status.canonical_reason().unwrap_or_default().to_owned(),
        };
        // These have no body whatever their Content-Length says (RFC 9110, section 6.4.1).
        let bodiless = request.method == Method::HEAD
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let (body, afterwards) = if bodiless {
            drop(incoming);
            lease.finish(place);
            (Body::Empty, None)
        } else {
            answer::body(incoming, lease, place, sender, host).await
        };
        let headers = list_from_header_map(&head.headers);
        Ok((Response { status: head.status.as_u16(), status_text, headers, body }, afterwards))
    }
}

fn no_place(reason: NoPlace, target: &Target, after: Duration) -> NetworkError {
    let host = target.host.clone();
    match reason {
        NoPlace::QueueFull => NetworkError::TooManyWaiting { host, limit: MAX_WAITING },
        NoPlace::TimedOut { to_host, in_all } => NetworkError::Crowded { host, after, to_host, in_all },
    }
}
