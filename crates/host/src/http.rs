//! Requests and responses as plain values, and the mapping of header bytes to strings. `fetch` prescribes Latin-1 for
//! it; Workers have UTF-8, so that a value may hold any text.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::body::Body;
use crate::network::Sender;

/// The largest size of one message's headers together on the way out, in bytes, counted as HTTP/2 does (RFC
/// 9113, section 6.5.2): name, value and 32 more for each header.
pub const MAX_HEADER_BYTES: usize = 128 * 1024;

/// A request on its way out. Redirects are not followed by whoever takes it: they come back as responses.
#[derive(Debug)]
pub struct Request {
    /// The method, already normalised by the caller (`GET`, not `get`).
    pub method: String,
    /// Where to. Its fragment, user name and password are never sent.
    pub url: Url,
    /// Names and values in order; a name can come more than once.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// Who sends it.
    pub sender: Sender,
}

/// The answer to a [`Request`], as soon as its head is there.
#[derive(Debug)]
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The reason phrase. HTTP/2 has none: there it is the standard phrase of the status, or empty.
    pub status_text: String,
    /// Names (lower case) and values; a name can come more than once. Headers that concern one connection
    /// only (RFC 9110, section 7.6.1) are left out.
    pub headers: Vec<(String, String)>,
    /// The body; it has a known length where the answer announced one.
    pub body: Body,
}

/// Why a list of headers cannot be sent. The values are not in the message: they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110, section 5.1).
    #[error("{name:?} is not a header name: a name consists of letters, digits and !#$%&'*+-.^_`|~")]
    Name {
        /// The name, cut off after 100 characters.
        name: String,
    },
    /// The value has characters that no header value can have.
    #[error(
        "the value of the header {name} has a control character: only tab, U+0020 to U+007E and those from U+0080 on \
         can be sent"
    )]
    Value {
        /// The header's name.
        name: String,
    },
    /// All headers together are too large.
    #[error(
        "the headers are larger than {} bytes together (each counts its name, its value and 32 more)",
        MAX_HEADER_BYTES
    )]
    TooLarge,
}

/// The text of header bytes: UTF-8; what is none of it becomes U+FFFD.
pub fn header_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A header map as this crate's list of strings.
pub fn list_from_header_map(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), header_text(value.as_bytes()))).collect()
}

/// A list of strings as a header map.
///
/// # Errors
/// As [`header_map`].
pub fn header_map_from_list(list: &[(String, String)]) -> Result<HeaderMap, InvalidHeader> {
    header_map(list.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Names and values as a header map.
///
/// # Errors
/// [`InvalidHeader`] for the first name or value that cannot be sent, and beyond [`MAX_HEADER_BYTES`].
pub fn header_map<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMap, InvalidHeader> {
    let mut map = HeaderMap::new();
    let mut room = MAX_HEADER_BYTES;
    for (name, value) in pairs {
        let size = name.len().saturating_add(value.len()).saturating_add(32);
        room = room.checked_sub(size).ok_or(InvalidHeader::TooLarge)?;
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| InvalidHeader::Name { name: name.chars().take(100).collect() })?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| InvalidHeader::Value { name: name.to_owned() })?;
        map.try_append(parsed, value).map_err(|_| InvalidHeader::TooLarge)?;
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(header_text("gr\u{fc}n \u{20ac}".as_bytes()), "gr\u{fc}n \u{20ac}");
        assert_eq!(header_text(b"gr\xfcn"), "gr\u{fffd}n");
    }

    #[test]
    fn lists_and_maps_keep_repeated_headers_and_utf8_values() {
        let map = header_map_from_list(&[pair("X-A", "1"), pair("x-a", "gr\u{fc}n"), pair("x-b", "")])
            .expect("valid headers");
        assert_eq!(map.get_all("x-a").iter().nth(1).map(HeaderValue::as_bytes), Some(&b"gr\xc3\xbcn"[..]));
        assert_eq!(list_from_header_map(&map), [pair("x-a", "1"), pair("x-a", "gr\u{fc}n"), pair("x-b", "")]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        fn error(name: &str, value: &str) -> InvalidHeader {
            header_map_from_list(&[pair(name, value)]).expect_err("an invalid header")
        }
        assert_eq!(error("a b", ""), InvalidHeader::Name { name: "a b".into() });
        assert_eq!(error("", ""), InvalidHeader::Name { name: String::new() });
        for value in ["a\r\nb: c", "\0", "\u{7f}"] {
            assert_eq!(error("a", value), InvalidHeader::Value { name: "a".into() });
        }
        assert_eq!(error("a", &"x".repeat(MAX_HEADER_BYTES)), InvalidHeader::TooLarge);
        let many: Vec<_> = (0..50_000).map(|_| pair("a", "")).collect();
        assert_eq!(header_map_from_list(&many).expect_err("too many"), InvalidHeader::TooLarge);
    }
}
