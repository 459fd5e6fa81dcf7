//! What a server sees of the client's pool: unread answers that keep no connection, requests that are sent again, and
//! heads with many fields.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atoll_host::network::{NetworkSettings, Sender, TlsRoots};
use atoll_host::{AddressPolicy, Body, Network, NetworkError, PublicNetwork, Request, Response};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Where a server listens, and how many connections and requests it has seen.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// A server whose answer is made from the number of the request on its connection, from 0; none: it closes the connection
/// without one.
async fn serve(answer: fn(usize) -> Option<Vec<u8>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let server = Server { url, connections: connections.clone(), requests: requests.clone() };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(speak(stream, requests.clone(), answer));
        }
    });
    server
}

async fn speak(mut stream: TcpStream, requests: Arc<AtomicUsize>, answer: fn(usize) -> Option<Vec<u8>>) {
    for count in 0.. {
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let Some(answer) = answer(count) else { return };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn network(max_requests_per_host: usize) -> PublicNetwork {
    let policy = AddressPolicy::parse(&["127.0.0.1"]).expect("a valid allow list");
    let roots = Some(TlsRoots::from_der([]).expect("no roots"));
    let settings = NetworkSettings { roots, max_requests_per_host, ..NetworkSettings::default() };
    PublicNetwork::with_settings(policy, Handle::current(), settings).expect("a client")
}

async fn fetch(
    network: &PublicNetwork,
    sender: &Sender,
    method: &str,
    server: &Server,
) -> Result<Response, NetworkError> {
    let body = if method == "POST" { Body::Bytes(Bytes::from_static(b"once")) } else { Body::Empty };
    let url = server.url.parse().expect("a URL");
    network.fetch(Request { method: method.into(), url, headers: vec![], body, sender: sender.clone() }).await
}

fn chunked(_: usize) -> Option<Vec<u8>> {
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n".to_vec();
    answer.extend([b'x'; 1000]);
    answer.extend(b"\r\n0\r\n\r\n");
    Some(answer)
}

#[tokio::test]
async fn small_unread_answers_leave_their_connections() {
    let server = serve(chunked).await;
    let (network, sender) = (network(4), Sender::default());
    let mut kept = Vec::new();
    for _ in 0..300 {
        kept.push(fetch(&network, &sender, "GET", &server).await.expect("an answer"));
    }
    for response in kept {
        assert_eq!(response.body.collect(1 << 20).await.expect("it was read ahead").len(), 1000);
    }
    assert!(server.connections.load(Ordering::SeqCst) < 300);
}

/// More than the client and both sockets hold.
const LARGE: usize = 32 << 20;

fn large(_: usize) -> Option<Vec<u8>> {
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + LARGE, b'x');
    Some(answer)
}

#[tokio::test]
async fn the_oldest_unread_answer_is_cancelled_for_another_request() {
    let server = serve(large).await;
    // Alone a sender has half of the places.
    let (network, sender) = (network(4), Sender::default());
    let first = fetch(&network, &sender, "GET", &server).await.expect("an answer");
    let second = fetch(&network, &sender, "GET", &server).await.expect("an answer");
    let third = fetch(&network, &sender, "GET", &server).await.expect("a place");
    let error = first.body.collect(LARGE).await.expect_err("it was cancelled").to_string();
    assert!(error.contains("was not read while other requests waited"), "{error}");
    assert_eq!(third.body.collect(LARGE).await.expect("the whole").len(), LARGE);
    assert_eq!(second.body.collect(LARGE).await.expect("the whole").len(), LARGE);
}

#[tokio::test]
async fn an_answer_that_is_read_is_not_cancelled() {
    let server = serve(large).await;
    let (network, sender) = (network(2), Sender::default());
    let Body::Stream(mut read) = fetch(&network, &sender, "GET", &server).await.expect("an answer").body
    else {
        panic!("it is too large to be there already");
    };
    let begun = read.next().await.expect("more").expect("bytes").len();
    let waiting = tokio::spawn({
        let (network, sender, url) = (network.clone(), sender.clone(), server.url.clone());
        async move {
            let url = url.parse().expect("a URL");
            let request = Request { method: "GET".into(), url, headers: vec![], body: Body::Empty, sender };
            network.fetch(request).await
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished());
    assert_eq!(begun + Body::Stream(read).collect(LARGE).await.expect("the rest").len(), LARGE);
    waiting.await.expect("no panic").expect("its turn");
}

fn once(count: usize) -> Option<Vec<u8>> {
    (count == 0).then(|| b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst".to_vec())
}

#[tokio::test]
async fn a_get_goes_again_when_its_kept_connection_was_lost() {
    let server = serve(once).await;
    let (network, sender) = (network(4), Sender::default());
    for _ in 0..4 {
        let response = fetch(&network, &sender, "GET", &server).await.expect("an answer");
        assert_eq!(response.body.collect(100).await.expect("the whole"), "first");
    }
}

#[tokio::test]
async fn a_post_that_a_server_has_seen_does_not_go_again() {
    let server = serve(once).await;
    let (network, sender) = (network(4), Sender::default());
    let first = fetch(&network, &sender, "POST", &server).await.expect("an answer");
    assert_eq!(first.body.collect(100).await.expect("the whole"), "first");
    let lost = fetch(&network, &sender, "POST", &server).await.expect_err("no answer");
    assert_eq!(lost, NetworkError::ConnectionLost { host: "127.0.0.1".into() });
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
}

fn with_fields(count: usize) -> Vec<u8> {
    let fields: String = (0..count).map(|number| format!("x-{number}: v\r\n")).collect();
    format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn heads_may_have_many_fields_but_not_any_number() {
    let (network, sender) = (network(4), Sender::default());
    let many = serve(|_| Some(with_fields(999))).await;
    assert_eq!(fetch(&network, &sender, "GET", &many).await.expect("an answer").headers.len(), 1000);
    let more = serve(|_| Some(with_fields(1000))).await;
    let error = fetch(&network, &sender, "GET", &more).await.expect_err("too many").to_string();
    assert!(error.contains("more than 1000 fields"), "{error}");
}
