//! HTTP ingress: HTTP/1.1 with keep-alive, bodies streaming both ways, a stop that lets requests finish.

mod framing;
mod request;
mod response;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atoll_host::body::Body;
use atoll_isolate::scheduler::Scheduler;
use atoll_loader::{Entrypoint, Worker, limits};
use atoll_web::exchange::Cf;
use atoll_web::fetcher::{Fetcher, RemoteError, Responder};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::ServeError;
use crate::socket::{Client, Socket};
pub(crate) use framing::Framing;
use response::{plain, refusal, response};

/// After a stop, requests under way have this long to finish.
const DRAIN: Duration = Duration::from_secs(30);

/// An open listener that hands requests to a Worker.
pub struct Ingress {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    drained: std::sync::mpsc::Receiver<()>,
}

impl Ingress {
    /// Listens on `host`:`port` (0: any free port) and serves `worker`'s default entrypoint to so many connections at
    /// once.
    ///
    /// # Errors
    /// [`ServeError::System`], naming the address.
    pub fn open(worker: &Worker, host: IpAddr, port: u16, connections: usize) -> Result<Self, ServeError> {
        let wanted = SocketAddr::new(host, port);
        let refuse = |source| ServeError::System { what: format!("listen on {wanted}"), source };
        let listener = std::net::TcpListener::bind(wanted).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let (stop, stopped) = watch::channel(false);
        let (alive, drained) = std::sync::mpsc::sync_channel(1);
        let scheduler = worker.runtime().scheduler.clone();
        let served = Served {
            service: Entrypoint::new(worker.clone(), None, None),
            stopped,
            places: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            doors: Arc::new(Semaphore::new(TURNED_AWAY)),
            alive,
        };
        let home = worker.home();
        scheduler.clone().spawn(home, async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => accept(listener, served, scheduler, home).await,
                Err(error) => tracing::error!(%error, "the listener cannot be used"),
            }
        });
        Ok(Self { address, stop, drained })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets requests under way finish. False: some did not, in the time that they had.
    pub fn close(self) -> bool {
        let _ = self.stop.send(true);
        // Each connection holds a sender: the channel ends with the last.
        !matches!(self.drained.recv_timeout(DRAIN), Err(std::sync::mpsc::RecvTimeoutError::Timeout))
    }
}

/// What the connections have in common.
#[derive(Clone)]
struct Served {
    service: Arc<dyn Fetcher>,
    stopped: watch::Receiver<bool>,
    /// One for each connection that is served.
    places: Arc<Semaphore>,
    /// One for each that is told that there is no place.
    doors: Arc<Semaphore>,
    /// Is dropped with the last connection.
    alive: std::sync::mpsc::SyncSender<()>,
}

/// Connections that are told at once that there is no place; further ones are closed without a word.
const TURNED_AWAY: usize = 64;

/// What a client gets for whom there is no place.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain;charset=UTF-8\r\nRetry-After: 1\r\n\
    Content-Length: 36\r\nConnection: close\r\n\r\nThe server has too many connections\n";

async fn accept(listener: TcpListener, mut served: Served, scheduler: Arc<Scheduler>, home: usize) {
    let mut lane = home;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = served.stopped.changed() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: connections that end will free some.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        lane = (lane + 1) % scheduler.lanes();
        let Ok(stream) = stream.into_std() else { continue };
        if let Ok(place) = served.places.clone().try_acquire_owned() {
            scheduler.spawn(lane, serve(stream, peer, served.clone(), place));
        } else if let Ok(door) = served.doors.clone().try_acquire_owned() {
            scheduler.spawn(lane, turn_away(stream, door));
        }
    }
}

/// Says that there is no place. The client's request is read, too: a connection that is closed with something unread
/// is reset, and the answer with it.
async fn turn_away(stream: std::net::TcpStream, _door: OwnedSemaphorePermit) {
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    let said = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        let mut read = [0; 1024];
        while stream.read(&mut read).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
}

async fn serve(stream: std::net::TcpStream, peer: SocketAddr, served: Served, _place: OwnedSemaphorePermit) {
    let Served { service, mut stopped, alive: _alive, .. } = served;
    let _ = stream.set_nodelay(true);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let socket = Socket::new(stream);
    let client = socket.client().clone();
    let cf = Cf::of_client(peer);
    let handler = service_fn(move |request| {
        let (service, client, cf) = (service.clone(), client.clone(), cf.clone());
        async move { Ok::<_, Infallible>(answer(service, request, &client, &cf).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_WAIT)
        .max_headers(limits::HEAD_FIELDS)
        .max_buf_size(limits::HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), handler);
    let mut connection = std::pin::pin!(connection);
    let stop = async move { while !*stopped.borrow_and_update() && stopped.changed().await.is_ok() {} };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(
    service: Arc<dyn Fetcher>,
    request: http::Request<Incoming>,
    client: &Client,
    cf: &Cf,
) -> Response<Body> {
    if let Some(status) = client.refusal() {
        return refused(status);
    }
    let head_only = request.method() == Method::HEAD;
    let request = match request::read(request, client, cf) {
        Ok(request) => request,
        Err((status, text)) => return refusal(status, text),
    };
    let (sender, receiver) = oneshot::channel();
    let responder = Responder::new(move |answer| {
        let _ = sender.send(answer);
    });
    // A client that leaves drops this future, and with it the interest in the answer.
    let _interest = responder.interest();
    let has_body = matches!(request.body, Body::Stream(_));
    service.fetch(request, responder);
    let answer = match has_body {
        false => receiver.await,
        // hyper sees that the client has left only once the Worker reads on.
        true => tokio::select! {
            answer = receiver => answer,
            () = client.closed() => return plain(StatusCode::BAD_REQUEST, "The client has left."),
        },
    };
    if let Some(status) = client.refusal() {
        return refused(status);
    }
    let answer = answer.unwrap_or_else(|_| Err(RemoteError::error("The Worker gave no answer.")));
    match answer.map(|answer| response(answer, head_only)) {
        Ok(Ok(response)) => response,
        Ok(Err(message)) => {
            tracing::error!(%message, "the Worker's response cannot be sent");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Err(error) => {
            tracing::debug!(error = %error.message, "the Worker failed");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// The answer to a client that is refused for what it sent, or did not send, since its request began.
fn refused(status: StatusCode) -> Response<Body> {
    refusal(status, status.canonical_reason().unwrap_or_default())
}
