//! What a client asks for: one host, a target, a body that keeps coming.

use std::error::Error;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atoll_host::body::{Body, BodyError, ByteStream};
use atoll_loader::limits;
use atoll_web::account::Origin;
use atoll_web::exchange::{Cf, HeaderList, Method, Target};
use atoll_web::fetcher::FetchRequest;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{StatusCode, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::socket::Client;

/// Why a request is not taken: a status and what is wrong with it.
pub(super) type Refusal = (StatusCode, &'static str);

const fn bad(text: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, text)
}

pub(super) fn read(
    request: http::Request<Incoming>,
    client: &Client,
    cf: &Cf,
) -> Result<FetchRequest, Refusal> {
    let (head, body) = request.into_parts();
    let method = Method::new(head.method.as_str())
        .map_err(|_| (StatusCode::NOT_IMPLEMENTED, "ERROR: Unrecognized request method."))?;
    let host = host(&head)?;
    let path = match head.uri.path_and_query().map_or("/", |path| path.as_str()) {
        // Of the server, not of anything on it (RFC 9112, section 3.2.4).
        "*" if method.as_str() == "OPTIONS" => "/",
        path => path,
    };
    let url = Target::received(host, path).ok_or(bad("the request's host or target is not valid"))?;
    let headers = HeaderList::of_map(&head.headers);
    let body = match body.is_end_stream() {
        // One of no bytes is a body, too, where it is announced.
        true if head.headers.contains_key(CONTENT_LENGTH) => Body::Bytes(Bytes::new()),
        true => Body::Empty,
        false => {
            Body::Stream(ByteStream::from_http_body(Awaited::new(body, client.clone(), limits::BODY_WAIT)))
        }
    };
    let origin = Origin::default();
    Ok(FetchRequest { method, url, headers, body, cf: Some(cf.clone()), origin, network: None })
}

/// The one host that the request says it is for (RFC 9112, section 3.2): what stands in front of this server must not
/// have read another one.
fn host(head: &Parts) -> Result<&str, Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(bad("a request must have one Host header"));
    };
    let host = host.to_str().map_err(|_| bad("the Host header is not a host with an optional port"))?;
    match (head.uri.scheme_str(), head.uri.authority()) {
        (None, None) => Ok(host),
        (Some("http" | "https"), Some(authority)) if same_host(&head.uri, authority.as_str(), host) => {
            Ok(host)
        }
        (Some("http" | "https"), Some(_)) => {
            Err(bad("the request's target and its Host header name different hosts"))
        }
        _ => Err(bad("the request's target must be a path or an http URL")),
    }
}

fn same_host(uri: &Uri, authority: &str, host: &str) -> bool {
    let default_port = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    let without = |host: &'_ str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    authority == host || without(authority) == without(host)
}

/// A body whose client has to go on sending while somebody reads it.
struct Awaited<B> {
    body: B,
    client: Client,
    /// How long the client may send nothing.
    wait: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<B> Awaited<B> {
    fn new(body: B, client: Client, wait: Duration) -> Self {
        Self { body, client, wait, deadline: None, waiting: false }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let wait = self.wait;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(wait)));
        if !std::mem::replace(&mut self.waiting, true) {
            deadline.as_mut().reset(Instant::now() + wait);
        }
        deadline.as_mut().poll(context)
    }
}

impl<B> http_body::Body for Awaited<B>
where
    B: http_body::Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(next) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = false;
            return Poll::Ready(next.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.poll_deadline(context));
        this.client.refuse(StatusCode::REQUEST_TIMEOUT);
        let text = format!("the client has sent nothing for {} s", this.wait.as_secs());
        Poll::Ready(Some(Err(BodyError::Transport(text).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use atoll_host::body::channel;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::socket::Socket;

    async fn client() -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connect");
        Socket::new(stream).client().clone()
    }

    #[tokio::test]
    async fn a_body_that_does_not_go_on_ends_and_its_client_is_refused() {
        let client = client().await;
        let (mut sink, stream) = channel(100);
        let body = Awaited::new(Body::Stream(stream), client.clone(), Duration::from_millis(20));
        let mut body = ByteStream::from_http_body(body);
        for _ in 0..3 {
            sink.try_send(Bytes::from_static(b"x")).expect("there is room");
            assert!(matches!(body.next().await, Some(Ok(_))));
        }
        // While nobody reads, nobody waits for it.
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(client.refusal(), None);
        assert!(matches!(body.next().await, Some(Err(BodyError::Transport(_)))));
        assert_eq!(client.refusal(), Some(StatusCode::REQUEST_TIMEOUT));
    }

    #[tokio::test]
    async fn a_body_that_ends_is_left_alone() {
        let client = client().await;
        let (mut sink, stream) = channel(100);
        sink.try_send(Bytes::from_static(b"x")).expect("there is room");
        sink.finish();
        let body = Awaited::new(Body::Stream(stream), client.clone(), Duration::from_millis(20));
        assert_eq!(ByteStream::from_http_body(body).collect(10).await, Ok(Bytes::from_static(b"x")));
        assert_eq!(client.refusal(), None);
    }
}
