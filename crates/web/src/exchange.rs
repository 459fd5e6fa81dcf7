//! The parts of requests and answers between isolates, and to and from wires. Each is a type that only its check can
//! make, so that whoever receives one has what HTTP allows, in canonical form, whatever the scripts of the sending
//! isolate did.

mod headers;
mod target;

use std::sync::Arc;

use atoll_isolate::{JsError, v8};
use serde_json::value::RawValue;

pub use headers::{HeaderList, MAX_HEADER_BYTES};
pub use target::{MAX_URL_BYTES, Target};

use crate::fetcher::RemoteError;

/// Why a part of a request or an answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No method that a `Request` can have; its start.
    #[error("Invalid HTTP method string: {0}")]
    Method(String),
    /// No URL that can be requested; its start.
    #[error("Invalid URL: {0}")]
    Url(String),
    /// A name that is no token (RFC 9110, section 5.1), or has no value.
    #[error("Invalid header name.")]
    HeaderName,
    /// A value with a line end or NUL, or one that is no text.
    #[error("Invalid header value.")]
    HeaderValue,
    /// Headers that are too large together.
    #[error(
        "The headers are larger than {MAX_HEADER_BYTES} bytes together (each counts its name, its value and 32 more)."
    )]
    HeadersTooLarge,
    /// No status of an answer.
    #[error("Responses may only be constructed with status codes in the range 200 to 599, inclusive.")]
    Status,
    /// No reason phrase.
    #[error("Invalid statusText")]
    Reason,
    /// `cf` is no object as JSON text, or too large.
    #[error("The 'cf' field must be an object of at most {MAX_CF_BYTES} bytes as JSON.")]
    Cf,
}

impl From<Invalid> for JsError {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Status => JsError::range_error(invalid.to_string()),
            _ => JsError::type_error(invalid.to_string()),
        }
    }
}

impl From<Invalid> for RemoteError {
    fn from(invalid: Invalid) -> Self {
        RemoteError::type_error(invalid.to_string())
    }
}

/// What an error shows of a text that guests choose.
fn start_of(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The text of a string of at most `most` UTF-16 units.
fn text_of(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>, most: usize) -> Option<String> {
    let text = v8::Local::<v8::String>::try_from(value).ok()?;
    (text.length() <= most).then(|| text.to_rust_string_lossy(scope))
}

/// A request method, as a `Request` can have it (`methods` in `web/js/request.js`): upper case, never `CONNECT` or
/// `TRACK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method(&'static str);

const METHODS: [&str; 28] = [
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "PURGE",
    "TRACE",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "SEARCH",
    "UNLOCK",
    "ACL",
    "REPORT",
    "MKACTIVITY",
    "CHECKOUT",
    "MERGE",
    "MSEARCH",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "QUERY",
    "BAN",
];

impl Method {
    /// The method of this name.
    ///
    /// # Errors
    /// [`Invalid::Method`] for any other text, also for a name in lower case.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        let known = METHODS.into_iter().find(|method| *method == name);
        known.map(Self).ok_or_else(|| Invalid::Method(start_of(name)))
    }

    /// The method that a script names.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Result<Self, Invalid> {
        Self::new(&text_of(scope, value, 200).unwrap_or_default())
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// The status of a whole answer: 200 to 999. (1xx are no answers, and Workers cannot switch protocols. Servers do send
/// statuses above 599, which a `Response` of the guest's own cannot have.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(u16);

impl Status {
    /// The status of this number.
    ///
    /// # Errors
    /// [`Invalid::Status`].
    pub fn new(number: u32) -> Result<Self, Invalid> {
        let status = u16::try_from(number).ok().filter(|status| (200..=999).contains(status));
        status.map(Self).ok_or(Invalid::Status)
    }

    /// The status that a script gives.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(value: v8::Local<v8::Value>) -> Result<Self, Invalid> {
        let number = v8::Local::<v8::Uint32>::try_from(value).map_err(|_| Invalid::Status)?;
        Self::new(number.value())
    }

    /// Its number.
    pub fn as_u16(self) -> u16 {
        self.0
    }
}

/// A reason phrase: at most 8 KiB without line ends and other control characters (but tab).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason(String);

const MAX_REASON_BYTES: usize = 8 * 1024;

impl Reason {
    /// The phrase of this text.
    ///
    /// # Errors
    /// [`Invalid::Reason`].
    pub fn new(text: String) -> Result<Self, Invalid> {
        let control = |byte: u8| byte < 0x20 && byte != b'\t';
        if text.len() > MAX_REASON_BYTES || text.bytes().any(control) {
            return Err(Invalid::Reason);
        }
        Ok(Self(text))
    }

    /// The phrase that a script gives.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Result<Self, Invalid> {
        Self::new(text_of(scope, value, MAX_REASON_BYTES).ok_or(Invalid::Reason)?)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// `request.cf`: an object as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cf(Arc<str>);

/// Largest JSON text of a `cf`, in bytes.
pub const MAX_CF_BYTES: usize = 1 << 20;

impl Cf {
    /// The object that this JSON text is.
    ///
    /// # Errors
    /// [`Invalid::Cf`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let is_object = text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok();
        if is_object && text.len() <= MAX_CF_BYTES { Ok(Self(text.into())) } else { Err(Invalid::Cf) }
    }

    /// What a script gives: a text, or undefined for none.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Result<Option<Self>, Invalid> {
        if value.is_undefined() {
            return Ok(None);
        }
        Self::new(&text_of(scope, value, MAX_CF_BYTES).ok_or(Invalid::Cf)?).map(Some)
    }

    /// What requests from outside have: the client's address, with its port, as in the reference.
    pub fn of_client(address: std::net::SocketAddr) -> Self {
        Self(format!(r#"{{"clientIp":"{address}"}}"#).into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
