//! What a Worker answers, as it goes to the client. Where it ends is said by its body alone: a guest's headers that would
//! say so are left out.

use atoll_host::body::Body;
use atoll_host::http::header_map;
use atoll_web::coding::{Coding, encoded};
use atoll_web::exchange::HeaderList;
use atoll_web::fetcher::FetchResponse;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;

/// Fields about the connection and about where the message ends (RFC 9110, section 7.6.1; RFC 9112, section 6).
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The answer to a request; `head_only`: to HEAD.
pub(super) fn response(answer: FetchResponse, head_only: bool) -> Result<Response<Body>, String> {
    let pairs = answer.headers.pairs().filter(|(name, _)| !FRAMING.contains(name));
    let mut headers = header_map(pairs).map_err(|e| e.to_string())?;
    let status = answer.status.as_u16();
    // Only an answer to HEAD says a length that its body has not. With 204 there is none.
    if head_only
        && status != 204
        && let Some(length) = stated_length(&answer.headers).or(answer.head_length)
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let body = match answer.coding {
        _ if head_only => Body::Empty,
        Coding::Pending(format, payer) => encoded(answer.body, format, payer),
        Coding::Applied => answer.body,
    };
    let mut response = Response::new(body.read_patiently());
    *response.status_mut() = StatusCode::from_u16(status).map_err(|e| e.to_string())?;
    *response.headers_mut() = headers;
    if response.status().canonical_reason() != Some(answer.status_text.as_str())
        && let Ok(phrase) = ReasonPhrase::try_from(answer.status_text.into_string().into_bytes())
    {
        response.extensions_mut().insert(phrase);
    }
    Ok(response)
}

/// The length that the guest's headers say, if they agree on one.
fn stated_length(headers: &HeaderList) -> Option<u64> {
    let mut stated: Option<u64> = None;
    for (_, value) in headers.pairs().filter(|(name, _)| *name == "content-length") {
        // Parsing a number allows a sign, too, which the header must not have.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse::<u64>().ok().filter(|_| digits)?;
        if stated.is_some_and(|other| other != length) {
            return None;
        }
        stated = Some(length);
    }
    stated
}

/// An answer of the server's own.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::Bytes(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    response
}

/// The answer to what is no request, or to a client that does not go on: the connection ends with it.
pub(super) fn refusal(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = plain(status, text);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
