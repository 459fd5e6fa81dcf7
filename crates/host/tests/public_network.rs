//! The HTTP client against real servers on this machine: streaming both ways over HTTP/1.1 and HTTP/2, what
//! the address policy refuses, and how broken exchanges look.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use atoll_host::body::channel;
use atoll_host::network::{NetworkSettings, Sender, SpecialUse, TlsRoots};
use atoll_host::{
    AddressPolicy, Body, BodyError, ByteStream, Network, NetworkError, PublicNetwork, Request, Response,
};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Barrier, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// Where a server listens and how many connections it has accepted.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Starts a server that answers with `handler`; with a certificate it speaks the version of HTTP that TLS
/// agrees on.
async fn serve<H, A>(tls: Option<TlsAcceptor>, handler: H) -> Server
where
    H: Fn(http::Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = http::Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let (tls, handler) = (tls.clone(), handler.clone());
            tokio::spawn(async move {
                match tls {
                    None => speak(tcp, false, handler).await,
                    Some(tls) => {
                        // A client that does not trust the certificate leaves here.
                        let Ok(stream) = tls.accept(tcp).await else { return };
                        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
                        speak(stream, h2, handler).await;
                    }
                }
            });
        }
    });
    Server { address, connections }
}

async fn speak<S, H, A>(stream: S, h2: bool, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(http::Request<Incoming>) -> A + Send + 'static,
    A: Future<Output = http::Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(stream);
    // Tests cut connections off on purpose; what matters of that is what the client sees.
    if h2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(io, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

/// A server that takes one request on each connection and answers with these very bytes, then closes.
async fn serve_raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

/// A certificate for 127.0.0.1 that vouches for itself: what the server uses and what the client may trust.
fn certificate(alpn: &[&str]) -> (TlsAcceptor, TlsRoots) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a usable certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let roots = TlsRoots::from_der([made.cert.der().to_vec()]).expect("a usable root");
    (TlsAcceptor::from(Arc::new(config)), roots)
}

fn network(allow: &[&str], roots: TlsRoots, runtime: Handle) -> PublicNetwork {
    let policy = AddressPolicy::parse(allow).expect("a valid allow list");
    let settings = NetworkSettings { roots: Some(roots), ..NetworkSettings::default() };
    PublicNetwork::with_settings(policy, runtime, settings).expect("a client")
}

/// A client that may connect to 127.0.0.1 and trusts no certificate.
fn local_network() -> PublicNetwork {
    network(&["127.0.0.1"], TlsRoots::from_der([]).expect("no roots"), Handle::current())
}

fn request(method: &str, url: String, body: Body) -> Request {
    Request {
        method: method.to_owned(),
        url: url.parse().expect("a URL"),
        headers: vec![],
        body,
        sender: Sender::default(),
    }
}

fn get(url: String) -> Request {
    request("GET", url, Body::Empty)
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

async fn text(body: Body) -> String {
    let bytes = body.collect(1 << 20).await.expect("a whole body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

async fn echo(request: http::Request<Incoming>) -> http::Response<Body> {
    let version = format!("{:?}", request.version());
    let body = Body::Stream(ByteStream::from_http_body(request.into_body()));
    http::Response::builder().header("x-version", version).body(body).expect("a response")
}

async fn read_exactly(stream: &mut ByteStream, length: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < length {
        read.extend_from_slice(&stream.next().await.expect("more").expect("a chunk"));
    }
    read
}

/// Each part is sent only after the one before has come back: nothing on the way may wait for the whole body.
async fn streams_both_ways(network: &PublicNetwork, url: String, version: &str) {
    let (mut sink, stream) = channel(1024);
    sink.send(Bytes::from_static(b"part 0")).await.expect("a reader");
    let response = network.fetch(request("POST", url, Body::Stream(stream))).await.expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(response.status_text, "OK");
    assert_eq!(header(&response, "x-version"), Some(version));
    let Body::Stream(mut answer) = response.body else { panic!("a streamed answer") };
    assert_eq!(answer.length(), None);
    assert_eq!(read_exactly(&mut answer, 6).await, b"part 0");
    for number in 1..10 {
        let part = format!("part {number}");
        sink.send(Bytes::from(part.clone())).await.expect("a reader");
        assert_eq!(read_exactly(&mut answer, part.len()).await, part.as_bytes());
    }
    sink.finish();
    assert_eq!(answer.next().await, None);
}

#[tokio::test]
async fn http1_streams_both_ways() {
    let server = serve(None, echo).await;
    streams_both_ways(&local_network(), format!("http://{}/", server.address), "HTTP/1.1").await;
}

#[tokio::test]
async fn http2_streams_both_ways() {
    let (tls, roots) = certificate(&["h2", "http/1.1"]);
    let server = serve(Some(tls), echo).await;
    let network = network(&["127.0.0.1"], roots, Handle::current());
    streams_both_ways(&network, format!("https://{}/", server.address), "HTTP/2.0").await;
}

#[tokio::test]
async fn tls_without_http2_falls_back_to_http1() {
    let (tls, roots) = certificate(&["http/1.1"]);
    let server = serve(Some(tls), echo).await;
    let network = network(&["127.0.0.1"], roots, Handle::current());
    streams_both_ways(&network, format!("https://{}/", server.address), "HTTP/1.1").await;
}

#[tokio::test]
async fn http2_carries_exchanges_side_by_side_on_one_connection() {
    let (tls, roots) = certificate(&["h2"]);
    let barrier = Arc::new(Barrier::new(4));
    let server = serve(Some(tls), move |request: http::Request<Incoming>| {
        let barrier = Arc::clone(&barrier);
        async move {
            // Nobody gets an answer before all four are here.
            if request.uri().path() == "/together" {
                barrier.wait().await;
            }
            http::Response::new(Body::from(Bytes::from_static(b"done")))
        }
    })
    .await;
    let network = network(&["127.0.0.1"], roots, Handle::current());
    let url = |path: &str| format!("https://{}{path}", server.address);
    let first = network.fetch(get(url("/first"))).await.expect("an answer");
    assert_eq!(text(first.body).await, "done");

    let together = || network.fetch(get(url("/together")));
    let (a, b, c, d) = tokio::join!(together(), together(), together(), together());
    for response in [a, b, c, d] {
        assert_eq!(text(response.expect("an answer").body).await, "done");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn untrusted_certificate_is_refused() {
    let (tls, _) = certificate(&["h2"]);
    let (_, other_roots) = certificate(&["h2"]);
    let server = serve(Some(tls), echo).await;
    let network = network(&["127.0.0.1"], other_roots, Handle::current());
    let error = network.fetch(get(format!("https://{}/", server.address))).await.expect_err("no trust");
    assert!(matches!(&error, NetworkError::Tls { host, .. } if host == "127.0.0.1"), "{error}");
}

#[tokio::test]
async fn local_address_is_refused_without_an_entry() {
    let server = serve(None, echo).await;
    let network = PublicNetwork::new(AddressPolicy::public_only(), Handle::current()).expect("a client");
    let error =
        network.fetch(get(format!("http://{}/", server.address))).await.expect_err("it is not public");
    assert_eq!(
        error,
        NetworkError::Refused {
            host: "127.0.0.1".into(),
            address: "127.0.0.1".parse().expect("an address"),
            reason: SpecialUse::Loopback,
        }
    );
    assert!(error.to_string().contains(r#""atoll": { "outbound": { "allow": ["127.0.0.1"] } }"#), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn name_is_refused_for_the_address_that_it_resolves_to() {
    let server = serve(None, echo).await;
    let network = PublicNetwork::new(AddressPolicy::public_only(), Handle::current()).expect("a client");
    let url = format!("http://localhost:{}/", server.address.port());
    let error = network.fetch(get(url)).await.expect_err("it is not public");
    assert!(
        matches!(
            &error,
            NetworkError::Refused { host, address, reason: SpecialUse::Loopback }
                if host == "localhost" && address.is_loopback()
        ),
        "{error}"
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn permitted_name_is_reached() {
    let server = serve(None, echo).await;
    let network = network(&["localhost"], TlsRoots::from_der([]).expect("no roots"), Handle::current());
    let url = |host: &str| format!("http://{host}:{}/", server.address.port());
    let response = network.fetch(get(url("localhost"))).await.expect("an answer");
    assert_eq!(response.status, 200);
    // The entry is for the name: the address by itself stays refused.
    let error = network.fetch(get(url("127.0.0.1"))).await.expect_err("it is not permitted");
    assert!(matches!(error, NetworkError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn redirect_is_an_answer_like_any_other() {
    let server = serve(None, |_| async {
        http::Response::builder()
            .status(302)
            .header("location", "http://10.0.0.1/")
            .body(Body::Empty)
            .expect("a response")
    })
    .await;
    let response =
        local_network().fetch(get(format!("http://{}/", server.address))).await.expect("an answer");
    assert_eq!(response.status, 302);
    assert_eq!(header(&response, "location"), Some("http://10.0.0.1/"));
    assert_eq!(text(response.body).await, "");
}

#[tokio::test]
async fn head_has_a_length_and_no_body() {
    let server =
        serve(None, |_| async { http::Response::new(Body::from(Bytes::from_static(b"12345"))) }).await;
    let url = format!("http://{}/", server.address);
    let network = local_network();
    let head = network.fetch(request("HEAD", url.clone(), Body::Empty)).await.expect("an answer");
    assert_eq!(header(&head, "content-length"), Some("5"));
    assert!(matches!(head.body, Body::Empty));
    let full = network.fetch(get(url)).await.expect("an answer");
    assert_eq!(full.body.length(), Some(5));
    assert_eq!(text(full.body).await, "12345");
}

#[tokio::test]
async fn cut_off_answer_ends_in_an_error() {
    let address = serve_raw(
        b"HTTP/1.1 200 Fine\r\nContent-Length: 10\r\nKeep-Alive: 5\r\nX-A: \xc3\xa9\r\nX-B: \xe9\r\n\r\nabc",
    )
    .await;
    let response = local_network().fetch(get(format!("http://{address}/"))).await.expect("a head");
    assert_eq!(response.status_text, "Fine");
    assert_eq!(header(&response, "x-a"), Some("\u{e9}"));
    assert_eq!(header(&response, "x-b"), Some("\u{fffd}"));
    assert_eq!(header(&response, "keep-alive"), None);
    let Body::Stream(mut body) = response.body else { panic!("a streamed answer") };
    assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"abc"))));
    assert_eq!(body.next().await, Some(Err(BodyError::Disconnected)));
    assert_eq!(body.next().await, None);
}

#[tokio::test]
async fn missing_and_malformed_answers_are_told_apart() {
    let fetch = async |answer: &'static [u8]| {
        let address = serve_raw(answer).await;
        local_network().fetch(get(format!("http://{address}/"))).await.expect_err("no valid answer")
    };
    assert_eq!(fetch(b"".as_slice()).await, NetworkError::ConnectionLost { host: "127.0.0.1".into() });
    let error = fetch(b"this is not HTTP\r\n\r\n".as_slice()).await;
    assert!(matches!(error, NetworkError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn failing_request_body_fails_the_exchange() {
    let server = serve(None, |request: http::Request<Incoming>| async {
        let body = Body::Stream(ByteStream::from_http_body(request.into_body()));
        let received = body.collect(1 << 20).await.map_or_else(|error| error.to_string(), |_| "whole".into());
        http::Response::new(Body::from(Bytes::from(received)))
    })
    .await;
    let (mut sink, stream) = channel(1024);
    sink.send(Bytes::from_static(b"half")).await.expect("a reader");
    drop(sink);
    let url = format!("http://{}/", server.address);
    let result = local_network().fetch(request("POST", url, Body::Stream(stream))).await;
    assert_eq!(result.expect_err("no answer"), NetworkError::RequestBody(BodyError::Disconnected));
}

#[tokio::test]
async fn dropped_answer_stops_the_server() {
    let (stopped, has_stopped) = oneshot::channel();
    let stopped = Arc::new(std::sync::Mutex::new(Some(stopped)));
    let server = serve(None, move |_| {
        let stopped = stopped.lock().expect("the signal").take().expect("one request");
        async move {
            let (mut sink, stream) = channel(1024);
            tokio::spawn(async move {
                while sink.send(Bytes::from_static(&[b'x'; 1024])).await.is_ok() {}
                let _ = stopped.send(());
            });
            http::Response::new(Body::Stream(stream))
        }
    })
    .await;
    let network = local_network();
    let response = network.fetch(get(format!("http://{}/", server.address))).await.expect("an answer");
    drop(response);
    has_stopped.await.expect("the server has noticed");
}

#[tokio::test]
async fn dropped_exchange_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let network = local_network();
    let exchange = tokio::spawn(network.fetch(get(format!("http://{address}/"))));
    let (mut stream, _): (TcpStream, _) = listener.accept().await.expect("a connection");
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.expect("a request"), 0);
    }
    exchange.abort();
    // No answer was given, so only the client can end this.
    assert_eq!(stream.read_buf(&mut request).await.expect("the end"), 0);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor that knows nothing of tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn exchange_can_be_awaited_outside_the_runtime_of_the_client() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime.block_on(serve(None, echo));
    let network =
        network(&["127.0.0.1"], TlsRoots::from_der([]).expect("no roots"), runtime.handle().clone());
    let url = format!("http://{}/", server.address);

    let body = Body::from(Bytes::from_static(b"from elsewhere"));
    let response = block_on(network.fetch(request("POST", url.clone(), body))).expect("an answer");
    assert_eq!(block_on(text(response.body)), "from elsewhere");

    drop(runtime);
    assert_eq!(block_on(network.fetch(get(url))).expect_err("nobody works on it"), NetworkError::Stopped);
}
