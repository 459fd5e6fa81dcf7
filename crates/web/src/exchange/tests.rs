//! What a hostile sender may hand over, and what comes of it.

use atoll_isolate::error::ErrorClass;
use proptest::prelude::*;
use url::Url;

use super::*;

fn headers(flat: &[&str]) -> Result<HeaderList, Invalid> {
    HeaderList::new(flat.iter().map(|text| (*text).to_owned()).collect())
}

fn target(text: &str) -> Option<String> {
    Target::new(text.to_owned()).ok().map(|target| target.as_str().to_owned())
}

#[test]
fn a_method_is_one_that_requests_can_have() {
    assert_eq!(Method::new("GET").map(Method::as_str), Ok("GET"));
    assert_eq!(Method::new("UNSUBSCRIBE").map(Method::as_str), Ok("UNSUBSCRIBE"));
    for name in [
        "",
        "get",
        "CONNECT",
        "TRACK",
        "GET ",
        " GET",
        "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET",
        "G\u{c4}T",
        "FOO",
    ] {
        assert_eq!(Method::new(name), Err(Invalid::Method(name.to_owned())));
    }
    let long = "X".repeat(100_000);
    assert!(Method::new(&long).is_err_and(|error| error.to_string().len() < 300));
}

#[test]
fn a_status_is_that_of_a_whole_answer() {
    for number in [200, 204, 304, 599, 600, 999] {
        assert_eq!(Status::new(number).map(Status::as_u16), Ok(number as u16));
    }
    for number in [0, 1, 100, 101, 199, 1000, 65_536 + 200, u32::MAX] {
        assert_eq!(Status::new(number), Err(Invalid::Status));
    }
    assert_eq!(JsError::from(Invalid::Status).class, ErrorClass::Range);
}

#[test]
fn a_reason_has_no_line_ends() {
    for text in ["", "Not Found", "gr\u{fc}n", "a\tb"] {
        assert_eq!(Reason::new(text.to_owned()).map(Reason::into_string), Ok(text.to_owned()));
    }
    for text in ["OK\r\nX: y", "\n", "\0", "\x1b[2J"] {
        assert_eq!(Reason::new(text.to_owned()), Err(Invalid::Reason));
    }
    assert_eq!(Reason::new("x".repeat(MAX_REASON_BYTES + 1)), Err(Invalid::Reason));
}

#[test]
fn cf_is_one_object() {
    for text in ["{}", r#"{"a":{"b":[1,"\ud800"]}}"#] {
        assert_eq!(Cf::new(text).map(|cf| cf.as_str().to_owned()), Ok(text.to_owned()));
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_CF_BYTES));
    for text in ["", "null", "[]", "\"x\"", "{", "{}{}", "{},\"forged\":{", " {}", "{a:1}", &long] {
        assert_eq!(Cf::new(text), Err(Invalid::Cf), "{:.40}", text);
    }
    let cf = Cf::of_client("[::1]:80".parse().expect("an address"));
    assert_eq!(cf, Cf::new(r#"{"clientIp":"[::1]:80"}"#).expect("an object"));
}

#[test]
fn headers_are_lower_case_tokens_with_values_of_one_line() {
    let list = headers(&["X-A", " b \t", "x-a", "", "set-cookie", "gr\u{fc}n\u{1}"]).expect("valid headers");
    let pairs: Vec<_> = list.pairs().collect();
    assert_eq!(pairs, [("x-a", "b"), ("x-a", ""), ("set-cookie", "gr\u{fc}n\u{1}")]);
    assert_eq!(list.size(), 3 + 1 + 3 + 10 + 6);
    for name in ["", " ", "a b", "a:", "x\r\ny", "\u{212a}", "a\0", "\u{ff}"] {
        assert_eq!(headers(&[name, "b"]), Err(Invalid::HeaderName), "{name:?}");
    }
    for value in ["1\r\nX-Injected: yes", "\n", "a\rb", "a\0", "\r\n"] {
        assert_eq!(headers(&["a", value]), Err(Invalid::HeaderValue), "{value:?}");
    }
    assert_eq!(headers(&["a"]), Err(Invalid::HeaderName));
    assert_eq!(headers(&["a", "b", "c"]), Err(Invalid::HeaderName));
}

#[test]
fn headers_have_a_largest_size_and_number() {
    let long = "x".repeat(MAX_HEADER_BYTES - 33);
    assert!(headers(&["a", &long]).is_ok());
    assert_eq!(headers(&["ab", &long]), Err(Invalid::HeadersTooLarge));
    let many = |count: usize| headers(&["a", ""].repeat(count));
    assert!(many(MAX_HEADER_BYTES / 33).is_ok());
    assert_eq!(many(MAX_HEADER_BYTES / 33 + 1), Err(Invalid::HeadersTooLarge));
}

#[test]
fn a_target_is_what_everybody_reads_in_it() {
    for (text, canonical) in [
        ("http://a.example/", "http://a.example/"),
        ("HTTP://U:p@A.example:80/a/../b/%2E%2e/c?q#f", "http://a.example/c?q"),
        ("https://x:443", "https://x/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://127.0.0.1:8080/a?b=/../", "http://127.0.0.1:8080/a?b=/../"),
        ("http://allowed.example:1\\@other.example/secret", "http://allowed.example:1/@other.example/secret"),
        ("http://allowed.example@other.example/", "http://other.example/"),
        ("http:///a.example//b", "http://a.example//b"),
        (" http://a.example/\n", "http://a.example/"),
        ("http://b\u{fc}cher.example/\u{fc}", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://a.example/a\r\nX: y", "http://a.example/aX:%20y"),
    ] {
        assert_eq!(target(text).as_deref(), Some(canonical), "{text:?}");
    }
    for text in [
        "",
        "not a url",
        "/path",
        "ftp://a.example/",
        "data:,x",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "http://a:99999/",
        "javascript:1",
        "http+unix://a/",
    ] {
        assert_eq!(target(text), None, "{text:?}");
    }
    assert_eq!(target(&format!("http://a.example/{}", "x".repeat(MAX_URL_BYTES))), None);
}

#[test]
fn a_received_target_stays_as_it_came() {
    let received = |host, path| Target::received(host, path).map(|target| target.as_str().to_owned());
    for (host, path) in [
        ("a.example", "/"),
        ("A.Example:80", "/a/../b"),
        ("a.example:8080", "//b/%2e%2e/%zz?x=\"y"),
        ("127.0.0.1:1", "/\u{e9}"),
        ("[::1]", "/a\\b"),
    ] {
        assert_eq!(received(host, path), Some(format!("http://{host}{path}")));
    }
    for (host, path) in [
        ("", "/"),
        ("u@a", "/"),
        ("a b", "/"),
        ("a/b", "/"),
        ("a?b", "/"),
        ("a#b", "/"),
        ("a\\b", "/"),
        ("a:99999", "/"),
        ("a:b", "/"),
        ("a", "b"),
        ("a", "*"),
        ("a", ":80/"),
        ("a", "@b/"),
        ("a", ".b/"),
        ("[::1", "/"),
        ("a", ""),
    ] {
        assert_eq!(received(host, path), None, "{host:?} {path:?}");
    }
}

/// Texts that look like URLs, made of what is special somewhere in one.
fn url_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("//"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2E."),
        Just("%"),
        Just("\\"),
        Just("@"),
        Just(":"),
        Just("80"),
        Just("443"),
        Just("0"),
        Just("0x7f"),
        Just("127.0.0.1"),
        Just("?"),
        Just("#"),
        Just("a"),
        Just("A"),
        Just("xn--"),
        Just("-"),
        Just("_"),
        Just("~"),
        Just("\u{fc}"),
        Just(" "),
        Just("\t"),
        Just("|"),
        Just("^"),
        Just("'"),
        Just("\""),
        Just("["),
        Just("]"),
        Just("[::1]"),
        Just("{"),
        Just("!$&()*+,;="),
        Just("b.c"),
    ];
    let scheme = prop_oneof![
        Just("http://"),
        Just("https://"),
        Just("HTTP:"),
        Just("http:/"),
        Just("ftp://"),
        Just("")
    ];
    (scheme, proptest::collection::vec(piece, 0..12))
        .prop_map(|(scheme, pieces)| scheme.to_owned() + &pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_target_parses_to_itself(text in prop_oneof![url_like(), any::<String>()]) {
        if let Some(canonical) = target(&text) {
            let url = Url::parse(&canonical).expect("a URL");
            prop_assert_eq!(url.as_str(), canonical.as_str());
            prop_assert!(matches!(url.scheme(), "http" | "https") && url.fragment().is_none());
            prop_assert!(url.username().is_empty() && url.password().is_none());
            prop_assert!(canonical.bytes().all(|byte| byte > b' ' && byte < 0x7f));
            prop_assert_eq!(target(&canonical), Some(canonical));
        }
    }

    #[test]
    fn a_received_host_is_the_host_of_its_url(host in "[a-z0-9.:@/\\\\?#%\\[\\]* -]{0,12}", path in "/?[a-z0-9.:@/\\\\?%*]{0,8}") {
        if let Some(target) = Target::received(&host, &path) {
            let url = Url::parse(target.as_str()).expect("a URL");
            let alone = Url::parse(&format!("http://{host}/")).expect("a URL");
            prop_assert_eq!((url.host(), url.port()), (alone.host(), alone.port()));
            prop_assert!(url.username().is_empty() && url.password().is_none());
        }
    }

    #[test]
    fn headers_that_pass_stay_as_they_are_and_can_be_framed(flat in proptest::collection::vec(".{0,6}", 0..6)) {
        if let Ok(list) = HeaderList::new(flat) {
            for (name, value) in list.pairs() {
                prop_assert!(http::HeaderName::from_bytes(name.as_bytes()).is_ok_and(|parsed| parsed.as_str() == name));
                prop_assert!(!value.contains(['\r', '\n', '\0']));
                prop_assert_eq!(value, value.trim_matches([' ', '\t']));
            }
            prop_assert_eq!(HeaderList::new(list.flat().to_vec()), Ok(list));
        }
    }

    #[test]
    fn a_cf_that_passes_is_one_json_object(text in "[{}\\[\\]\",:a0 ]{0,10}") {
        let parsed = serde_json::from_str::<serde_json::Value>(&text);
        let is_object = text.starts_with('{') && parsed.is_ok_and(|value| value.is_object());
        prop_assert_eq!(Cf::new(&text).is_ok(), is_object);
    }
}
