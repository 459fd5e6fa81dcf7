//! The URL that a request is for.

use std::net::Ipv4Addr;

use atoll_isolate::v8;
use url::Url;

use super::{Invalid, start_of, text_of};

/// Longest URL of a request, in bytes.
pub const MAX_URL_BYTES: usize = 1 << 20;

/// The absolute URL of a request, `http:` or `https:`, without a user name, a password or a fragment. Whoever parses it
/// and writes it again gets the same text, so that what one check reads is what the next one reads; but for a request
/// from a wire, whose URL is as its client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// The URL of this text, in canonical form.
    ///
    /// # Errors
    /// [`Invalid::Url`] for what is no URL with one of the two schemes, and for one of more than [`MAX_URL_BYTES`].
    pub fn new(text: String) -> Result<Self, Invalid> {
        if text.len() > MAX_URL_BYTES {
            return Err(Invalid::Url(start_of(&text)));
        }
        // Most are canonical already, and that is found out in a tenth of the time that parsing takes.
        if is_canonical(&text) {
            return Ok(Self(text));
        }
        parsed(&text).map(Self).ok_or_else(|| Invalid::Url(start_of(&text)))
    }

    /// The URL that a script gives.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Result<Self, Invalid> {
        Self::new(text_of(scope, value, MAX_URL_BYTES).ok_or_else(|| Invalid::Url(String::new()))?)
    }

    /// The URL of a request that came over HTTP: the host, with a port where the client gave one, and the path with the
    /// query, as they came. None: the host is not one, or would have a part of the path in it.
    pub fn received(host: &str, path_and_query: &str) -> Option<Self> {
        let ends_a_host = |byte: u8| matches!(byte, b'/' | b'?' | b'#' | b'\\' | b'@');
        if host.bytes().any(ends_a_host) || !path_and_query.starts_with('/') {
            return None;
        }
        let text = format!("http://{host}{path_and_query}");
        if is_canonical(&text) {
            return Some(Self(text));
        }
        let url = Url::parse(&text).ok()?;
        let alone = Url::parse(&format!("http://{host}/")).ok()?;
        (url.host() == alone.host() && url.port() == alone.port()).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parsed(text: &str) -> Option<String> {
    let mut text = crate::url::canonical(text)?;
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    if let Some(fragment) = text.find('#') {
        text.truncate(fragment);
    }
    if text.contains('@') {
        let mut url = Url::parse(&text).ok()?;
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        text = url.into();
    }
    // Nobody who parses it may take it for another.
    (crate::url::canonical(&text)? == text).then_some(text)
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
const HOST: u8 = 4;

/// Where each byte may stand as it is. There are more that may, for those a URL is parsed.
static PLACES: [u8; 256] = {
    const fn allow(mut places: [u8; 256], bytes: &[u8], place: u8) -> [u8; 256] {
        let mut i = 0;
        while i < bytes.len() {
            places[bytes[i] as usize] |= place;
            i += 1;
        }
        places
    }
    let places = allow([0; 256], b"0123456789abcdefghijklmnopqrstuvwxyz-", PATH | QUERY | HOST);
    let places = allow(places, b"_.", PATH | QUERY | HOST);
    allow(places, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ~!$&()*+,;=:@/%", PATH | QUERY)
};

fn all_in(text: &str, place: u8) -> bool {
    text.bytes().all(|byte| PLACES[usize::from(byte)] & place != 0)
}

/// Whether the text is certainly what parsing and serialising it would give. False says nothing.
fn is_canonical(text: &str) -> bool {
    let (rest, default_port) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
        (Some(rest), _) => (rest, "80"),
        (_, Some(rest)) => (rest, "443"),
        _ => return false,
    };
    let Some(path) = rest.find('/') else { return false };
    let (authority, path) = rest.split_at(path);
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    is_canonical_host(host)
        && port.is_none_or(|port| port != default_port && is_canonical_port(port))
        && is_canonical_path(path)
        && query.bytes().all(|byte| byte == b'?' || PLACES[usize::from(byte)] & QUERY != 0)
}

/// Names whose last label begins with a letter, none of them in Punycode, and IPv4 addresses.
fn is_canonical_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    match last.bytes().next() {
        Some(b'0'..=b'9') => host.parse::<Ipv4Addr>().is_ok(),
        Some(b'a'..=b'z') => {
            let pieces = |length| host.as_bytes().windows(length);
            let empty_label = host.starts_with('.') || pieces(2).any(|two| two == b"..");
            !empty_label && all_in(host, HOST) && !pieces(4).any(|four| four == b"xn--")
        }
        _ => false,
    }
}

/// Without segments that are, or may be, dots.
fn is_canonical_path(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let dots = before == b'/' && matches!(byte, b'.' | b'%');
        before = byte;
        !dots && PLACES[usize::from(byte)] & PATH != 0
    })
}

fn is_canonical_port(port: &str) -> bool {
    !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}
