//! HTTP ingress: HTTP/1.1 with keep-alive, bodies streaming both ways, a stop that lets requests finish.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atoll_host::body::{Body, ByteStream};
use atoll_host::http::{header_map_from_list, list_from_header_map};
use atoll_loader::{Entrypoint, Worker};
use atoll_web::account::Origin;
use atoll_web::coding::{Coding, encoded};
use atoll_web::fetcher::{FetchRequest, FetchResponse, Fetcher, RemoteError, Responder};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::ServeError;
use crate::socket::Socket;

/// What a `Request` can have as its method (`methods` in `web/js/request.js`); all others are answered here.
const METHODS: &str = "GET HEAD POST PUT DELETE PATCH PURGE OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH \
                       SEARCH UNLOCK ACL REPORT MKACTIVITY CHECKOUT MERGE MSEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE \
                       QUERY BAN";

/// A connection that has sent no complete head after this long is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// After a stop, requests under way have this long to finish.
const DRAIN: Duration = Duration::from_secs(30);

/// An open listener that hands requests to a Worker.
pub struct Ingress {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    drained: std::sync::mpsc::Receiver<()>,
}

impl Ingress {
    /// Listens on `host`:`port` (0: any free port) and serves `worker`'s default entrypoint.
    ///
    /// # Errors
    /// [`ServeError::System`], naming the address.
    pub fn open(worker: &Worker, host: IpAddr, port: u16) -> Result<Self, ServeError> {
        let wanted = SocketAddr::new(host, port);
        let refuse = |source| ServeError::System { what: format!("listen on {wanted}"), source };
        let listener = std::net::TcpListener::bind(wanted).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let (stop, stopped) = watch::channel(false);
        let (alive, drained) = std::sync::mpsc::sync_channel(1);
        let service: Arc<dyn Fetcher> = Entrypoint::new(worker.clone(), None, None);
        let scheduler = worker.runtime().scheduler.clone();
        let lanes = scheduler.lanes();
        let home = worker.home();
        let accepting = scheduler.clone();
        scheduler.spawn(home, async move {
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "the listener cannot be used"),
            };
            let mut next = home;
            let mut closing = stopped.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = closing.changed() => break,
                };
                let Ok((stream, _peer)) = accepted else {
                    // Out of file descriptors, most likely: connections that end will free some.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                next = (next + 1) % lanes;
                let Ok(stream) = stream.into_std() else { continue };
                accepting.spawn(next, serve(stream, service.clone(), stopped.clone(), alive.clone()));
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

async fn serve(
    stream: std::net::TcpStream,
    service: Arc<dyn Fetcher>,
    mut stopped: watch::Receiver<bool>,
    alive: std::sync::mpsc::SyncSender<()>,
) {
    let _alive = alive;
    let _ = stream.set_nodelay(true);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let authority = stream.local_addr().map(|a| a.to_string()).unwrap_or_default();
    let socket = Socket::new(stream);
    let client = socket.clone();
    let handler = service_fn(move |request| {
        let (service, authority, client) = (service.clone(), authority.clone(), client.clone());
        async move { Ok::<_, Infallible>(answer(service, request, &authority, &client).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
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
    authority: &str,
    client: &Socket,
) -> Response<Body> {
    let (sender, receiver) = oneshot::channel();
    if !METHODS.split(' ').any(|method| method == request.method().as_str()) {
        return plain(StatusCode::NOT_IMPLEMENTED, "ERROR: Unrecognized request method.");
    }
    let head_only = request.method() == Method::HEAD;
    let request = match read_request(request, authority) {
        Ok(request) => request,
        Err(message) => return plain(StatusCode::BAD_REQUEST, &message),
    };
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

fn read_request(request: http::Request<Incoming>, authority: &str) -> Result<FetchRequest, String> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str());
    let host = match head.uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let host =
                head.headers.get(http::header::HOST).map_or(authority.as_bytes(), |host| host.as_bytes());
            // Parsed as what it must be: a stray `/` or `#` in it must not become part of the path.
            http::uri::Authority::try_from(host)
                .map_err(|_| "the Host header is not a host with an optional port".to_owned())?
        }
    };
    if host.as_str().contains('@') {
        return Err("the request's host must not have a user name".to_owned());
    }
    let url = format!("http://{host}{path}");
    let body = if hyper::body::Body::is_end_stream(&body) {
        // One of no bytes is a body, too, where it is announced.
        match head.headers.contains_key(CONTENT_LENGTH) {
            true => Body::Bytes(Bytes::new()),
            false => Body::Empty,
        }
    } else {
        let length = hyper::body::Body::size_hint(&body).exact();
        let stream = ByteStream::from_http_body(body);
        Body::Stream(match length {
            Some(length) => stream.with_length(length),
            None => stream,
        })
    };
    let url = match atoll_web::url::canonical(&url) {
        Some(url) => url,
        None => return Err(format!("the request's target {url:?} is not a valid URL")),
    };
    let headers = list_from_header_map(&head.headers).into_iter().flat_map(|(n, v)| [n, v]).collect();
    Ok(FetchRequest {
        method: head.method.as_str().to_owned(),
        url,
        headers,
        body,
        cf: None,
        redirect: "manual".into(),
        origin: Origin::default(),
        network: None,
    })
}

fn response(answer: FetchResponse, head_only: bool) -> Result<Response<Body>, String> {
    let pairs: Vec<(String, String)> = answer
        .headers
        .chunks_exact(2)
        // The body says how long it is, if it is sent, and the connection how.
        .filter(|pair| {
            let name = pair[0].as_str();
            !matches!(name, "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "upgrade")
        })
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    let mut headers: HeaderMap = header_map_from_list(&pairs).map_err(|e| e.to_string())?;
    // Answers of these kinds have no length at all.
    let has_length = answer.status >= 200 && answer.status != 204;
    let stated = if head_only { stated_length(&answer.headers) } else { None };
    if let Some(length) = stated.or(answer.head_length).filter(|_| has_length) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let body = match answer.coding {
        Coding::Pending(format, payer) => encoded(answer.body, format, payer),
        Coding::Applied => answer.body,
    };
    let mut response = Response::new(body.read_patiently());
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|e| e.to_string())?;
    *response.headers_mut() = headers;
    if response.status().canonical_reason() != Some(&answer.status_text)
        && let Ok(phrase) = ReasonPhrase::try_from(answer.status_text.into_bytes())
    {
        response.extensions_mut().insert(phrase);
    }
    Ok(response)
}

/// The length that the guest's headers say, if they agree on one.
fn stated_length(headers: &[String]) -> Option<u64> {
    let mut stated: Option<u64> = None;
    for pair in headers.chunks_exact(2).filter(|pair| pair[0] == "content-length") {
        // Parsing a number allows a sign, too, which the header must not have.
        let digits = pair[1].bytes().all(|byte| byte.is_ascii_digit());
        let length = pair[1].parse::<u64>().ok().filter(|_| digits)?;
        if stated.is_some_and(|other| other != length) {
            return None;
        }
        stated = Some(length);
    }
    stated
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::Bytes(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain;charset=UTF-8"));
    response
}
