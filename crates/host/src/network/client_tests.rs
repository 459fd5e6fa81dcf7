//! Tests of what a request looks like on the wire and what is refused before there is a wire.

use bytes::Bytes;

use super::*;
use crate::body::{Body, channel};
use crate::http::InvalidHeader;

fn outgoing(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Outgoing, NetworkError> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Outgoing::new(method, &url.parse().expect("a URL"), &headers)
}

fn refused(method: &str, url: &str, headers: &[(&str, &str)]) -> NetworkError {
    outgoing(method, url, headers).expect_err("it cannot be sent")
}

#[test]
fn target_has_neither_fragment_nor_credentials() {
    let uri = |url| outgoing("GET", url, &[]).expect("a request").uri.to_string();
    assert_eq!(uri("https://user:secret@Example.com:443/a%20b?q=1#part"), "https://example.com/a%20b?q=1");
    assert_eq!(uri("http://[::1]:8080"), "http://[::1]:8080/");
    assert_eq!(uri("http://127.1/?"), "http://127.0.0.1/?");
    assert_eq!(uri("http://b\u{fc}cher.example/\u{fc}"), "http://xn--bcher-kva.example/%C3%BC");
}

#[test]
fn headers_of_the_connection_are_dropped_and_others_kept() {
    let sent = outgoing(
        "POST",
        "http://example.com/",
        &[
            ("Host", "other.example"),
            ("Content-Length", "3"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close, X-Secret"),
            ("X-Secret", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers"),
            ("Trailer", "x-sum"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            ("X-Kept", "gr\u{fc}n"),
        ],
    )
    .expect("a request");
    let payload = Payload::new(Body::from(Bytes::from_static(b"abcdef")));
    let names = |http2| -> Vec<String> {
        sent.message(&payload, http2).headers().keys().map(|name| name.to_string()).collect()
    };
    assert_eq!([names(true), names(false)], [vec!["x-kept"], vec!["x-kept", "host"]]);
    let sent = sent.message(&payload, false);
    assert_eq!(
        [sent.headers()["host"].as_bytes(), sent.uri().path().as_bytes()],
        [&b"example.com"[..], b"/"]
    );
    assert_eq!(sent.headers()["x-kept"].as_bytes(), b"gr\xc3\xbcn");
}

#[test]
fn empty_bodies_are_announced_where_servers_expect_it() {
    let length = |method, body| {
        let sent = outgoing(method, "http://example.com/", &[]).expect("a request");
        sent.message(&Payload::new(body), false).headers().get("content-length").cloned()
    };
    assert_eq!(length("POST", Body::Empty), Some(HeaderValue::from_static("0")));
    assert_eq!(length("PUT", Body::Bytes(Bytes::new())), Some(HeaderValue::from_static("0")));
    assert_eq!(length("GET", Body::Empty), None);
    assert_eq!(length("POST", Body::Stream(channel(1).1)), None);
}

#[test]
fn what_cannot_be_requested_is_refused_with_its_reason() {
    assert_eq!(
        refused("GET", "ftp://example.com/", &[]),
        NetworkError::UnsupportedScheme { scheme: "ftp".into() }
    );
    assert_eq!(
        refused("GET", "data:text/plain,hi", &[]),
        NetworkError::UnsupportedScheme { scheme: "data".into() }
    );
    for method in ["CONNECT", "", "GET /", "G\u{c4}T"] {
        assert_eq!(
            refused(method, "http://example.com/", &[]),
            NetworkError::InvalidMethod { method: method.into() }
        );
    }
    assert_eq!(
        refused("GET", "http://example.com/", &[("Upgrade", "websocket")]),
        NetworkError::UpgradeUnsupported { protocol: "websocket".into() }
    );
    assert_eq!(
        refused("GET", "http://example.com/", &[("a b", "c")]),
        NetworkError::InvalidHeader(InvalidHeader::Name { name: "a b".into() })
    );
    let long = format!("http://example.com/{}", "x".repeat(70_000));
    assert!(matches!(refused("GET", &long, &[]), NetworkError::InvalidUrl { .. }));
}
