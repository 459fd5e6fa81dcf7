//! What tail Workers see of a request: without what looks like a secret, by the reference's rules.

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "REDACTED";

/// Whether a header's value (the name is in lower case) is not for tails.
pub(crate) fn is_secret_header(name: &str) -> bool {
    matches!(name, "cookie" | "set-cookie")
        || ["auth", "jwt", "key", "secret", "token"].iter().any(|part| name.contains(part))
}

/// A URL without what looks like an id: 32 hex digits or more, or 21 characters of base64 or more with two digits, two
/// capital and two small letters at least.
pub(crate) fn redact_url(url: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || is_separator(c);
    let mut redacted = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(start) = rest.find(is_part) {
        let (before, run) = rest.split_at(start);
        let (run, after) = run.split_at(run.find(|c| !is_part(c)).unwrap_or(run.len()));
        redacted.push_str(before);
        redacted.push_str(if is_id(run) { REDACTED } else { run });
        rest = after;
    }
    redacted + rest
}

fn is_separator(c: char) -> bool {
    matches!(c, '+' | '-' | '_')
}

fn is_id(run: &str) -> bool {
    let count = |wanted: fn(&char) -> bool| run.chars().filter(wanted).count();
    let hex = count(char::is_ascii_hexdigit);
    let only_hex = run.chars().all(|c| c.is_ascii_hexdigit() || is_separator(c));
    let mixed = run.len() >= 21
        && count(char::is_ascii_digit) >= 2
        && count(char::is_ascii_uppercase) >= 2
        && count(char::is_ascii_lowercase) >= 2;
    hex >= 32 && only_hex || mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_out_of_urls() {
        for (url, expected) in [
            ("http://a.example/b/c?d=e#f", "http://a.example/b/c?d=e#f"),
            ("http://a/0123456789abcdef0123456789ABCDEF/b", "http://a/REDACTED/b"),
            ("http://a/01234567-89ab-cdef-0123-456789abcdef?x=1", "http://a/REDACTED?x=1"),
            ("http://a/0123456789abcdef0123456789abcde", "http://a/0123456789abcdef0123456789abcde"),
            ("http://a/?t=AbcdefGhijk12mnopqrst&u=2", "http://a/?t=REDACTED&u=2"),
            ("http://a/AbcdefGhijk12mnopqrs", "http://a/AbcdefGhijk12mnopqrs"),
            ("http://a/\u{e9}", "http://a/\u{e9}"),
        ] {
            assert_eq!(redact_url(url), expected);
        }
    }

    #[test]
    fn secret_headers_are_known_by_name() {
        for name in ["cookie", "set-cookie", "authorization", "x-api-key", "x-token", "my-secret", "cf-jwt"] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["accept", "content-type", "cf-ray", "x-session", "x-password"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }
}
