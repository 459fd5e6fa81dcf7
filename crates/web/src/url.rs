//! URL parsing over the `url` crate, and around it what it does otherwise than the standard says today.
//! <https://url.spec.whatwg.org/>

use atoll_isolate::{Native, arguments, error::string, natives, v8};
use url::{Position, Url, quirks};

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "urlParse" => url_parse,
        "urlSet" => url_set,
        "formParse" => form_parse,
        "formSerialize" => form_serialize,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn url_parse<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let input = arguments::text(scope, &args, 0);
    let base = arguments::optional_text(scope, &args, 1);
    if let Some(url) = parse(&input, base.as_deref()) {
        rv.set(string(scope, url.as_str()).into());
    }
}

fn url_set<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let href = arguments::text(scope, &args, 0);
    let part = arguments::text(scope, &args, 1);
    let value = arguments::text(scope, &args, 2);
    let url = Url::parse(&href).ok().and_then(|url| set(url, &part, &value));
    match url {
        Some(url) => rv.set(string(scope, url.as_str()).into()),
        None => rv.set(args.get(0)),
    }
}

/// Parses a URL, against another one where there is one.
fn parse(input: &str, base: Option<&str>) -> Option<Url> {
    let url = match base {
        None => Url::parse(input).ok()?,
        Some(base) => {
            let base = Url::parse(base).ok()?;
            match reference(input, &base) {
                Some(input) => base.join(&input).ok()?,
                None => base.join(input).ok()?,
            }
        }
    };
    Some(as_today(url))
}

/// A reference in a form that the crate reads as the standard does. None: it is in one already.
fn reference(input: &str, base: &Url) -> Option<String> {
    let start = input.trim_start_matches(|c: char| c <= ' ');
    let rest = start.trim_start_matches(['/', '\\', '\t', '\n', '\r']);
    let slashes = start.len() - rest.len();
    match base.scheme() {
        // Of a host, however many slashes begin it.
        "http" | "https" | "ws" | "wss" | "ftp" if slashes > 2 => Some(format!("//{rest}")),
        "http" | "https" | "ws" | "wss" | "ftp" | "file" => None,
        // Elsewhere a backslash is a character like another.
        _ if start.starts_with('\\') => Some(format!("./{start}")),
        _ => None,
    }
}

/// The URL as the standard serialises it today: `^` in a path and a space at the end of an opaque one are encoded.
fn as_today(url: Url) -> Url {
    let text = url.as_str();
    let path = &url[Position::BeforePath..Position::AfterPath];
    let path = if url.cannot_be_a_base() {
        let goes_on = url.query().is_some() || url.fragment().is_some();
        match path.strip_suffix(' ') {
            Some(start) if goes_on => format!("{start}%20"),
            _ => return url,
        }
    } else if path.contains('^') {
        path.replace('^', "%5E")
    } else {
        return url;
    };
    let before = &url[..Position::BeforePath];
    let text = format!("{before}{path}{}", &text[before.len() + url.path().len()..]);
    Url::parse(&text).unwrap_or(url)
}

/// The URL after a setter of the API. None: the standard ignores the value.
fn set(mut url: Url, part: &str, value: &str) -> Option<Url> {
    match part {
        "protocol" => quirks::set_protocol(&mut url, value).ok()?,
        "username" => quirks::set_username(&mut url, value).ok()?,
        "password" => quirks::set_password(&mut url, value).ok()?,
        "host" | "hostname" => url = with_host(url, part, value)?,
        "port" => quirks::set_port(&mut url, value).ok()?,
        "pathname" if url.has_authority() || url.cannot_be_a_base() => quirks::set_pathname(&mut url, value),
        "pathname" => url = without_host(&url, value)?,
        "search" => quirks::set_search(&mut url, value),
        "hash" => quirks::set_hash(&mut url, value),
        _ => return None,
    }
    Some(as_today(url))
}

/// What stands before a path that begins with two slashes where there is no host, and is no part of it.
const NO_HOST: &str = "/.//";

fn with_host(mut url: Url, part: &str, value: &str) -> Option<Url> {
    let after_scheme = &url[Position::AfterScheme..];
    if let Some(rest) = after_scheme.strip_prefix(':').filter(|rest| rest.starts_with(NO_HOST)) {
        // The crate keeps the "/." as a part of the path.
        let with_host = with_host(Url::parse(&format!("{}://host/", url.scheme())).ok()?, part, value)?;
        let path = rest.strip_prefix("/.")?;
        return Url::parse(&format!("{}{path}", &with_host[..Position::BeforePath])).ok();
    }
    match part {
        "host" => quirks::set_host(&mut url, value).ok()?,
        _ => quirks::set_hostname(&mut url, value).ok()?,
    }
    Some(url)
}

/// Another path for a URL without a host: the crate would take two slashes at its beginning for one.
fn without_host(url: &Url, path: &str) -> Option<Url> {
    let mut with_host = Url::parse(&format!("{}://host/", url.scheme())).ok()?;
    quirks::set_pathname(&mut with_host, path);
    let path = if with_host.path().is_empty() { "/" } else { with_host.path() };
    let dot = if path.starts_with("//") { "/." } else { "" };
    Url::parse(&format!("{}:{dot}{path}{}", url.scheme(), &url[Position::AfterPath..])).ok()
}

fn form_parse<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let text = arguments::text(scope, &args, 0);
    let mut items: Vec<v8::Local<v8::Value>> = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        items.push(string(scope, &name).into());
        items.push(string(scope, &value).into());
    }
    rv.set(v8::Array::new_with_elements(scope, &items).into());
}

fn form_serialize<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let flat = arguments::texts(scope, args.get(0));
    let mut serializer = form_urlencoded::Serializer::new(String::new());
    for pair in flat.chunks_exact(2) {
        serializer.append_pair(&pair[0], &pair[1]);
    }
    rv.set(string(scope, &serializer.finish()).into());
}

/// A URL in its serialised form; none where it does not parse.
pub fn canonical(text: &str) -> Option<String> {
    parse(text, None).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_crate_leaves_is_encoded_and_stays_so() {
        for (input, expected) in [
            ("http://h/a^b?c^d#e^f", "http://h/a%5Eb?c^d#e^f"),
            ("x://h/^", "x://h/%5E"),
            ("x:a^b", "x:a^b"),
            ("x:a  ?q", "x:a %20?q"),
            ("x:a #h", "x:a%20#h"),
        ] {
            let url = canonical(input);
            assert_eq!(url.as_deref(), Some(expected), "{input}");
            assert_eq!(canonical(expected), url);
            assert_eq!(Url::parse(expected).map(String::from).ok(), url);
        }
    }

    #[test]
    fn references_are_read_as_the_standard_reads_them() {
        for (input, base, expected) in [
            ("///z", "http://b/c", "http://z/"),
            (" /\\/z/y", "http://b/c", "http://z/y"),
            ("//z", "http://b/c", "http://z/"),
            ("/z", "http://b/c", "http://b/z"),
            ("\\z", "x:/a/b", "x:/a/\\z"),
            ("///z", "file:///a", "file:///z"),
        ] {
            let url = parse(input, Some(base)).map(String::from);
            assert_eq!(url.as_deref(), Some(expected), "{input} at {base}");
        }
    }

    #[test]
    fn a_path_never_becomes_a_host() {
        let set = |href: &str, part: &str, value: &str| {
            let url = Url::parse(href).expect("a URL");
            set(url, part, value).map(String::from).unwrap_or_default()
        };
        assert_eq!(set("x:/p?q#h", "pathname", "//host"), "x:/.//host?q#h");
        assert_eq!(set("x:/.//p", "pathname", "/a"), "x:/a");
        assert_eq!(set("x:/.//p?q", "host", "h"), "x://h//p?q");
        assert_eq!(set("x:/.//p", "hostname", ""), "x:////p");
        assert_eq!(set("http://h/", "pathname", "a^b"), "http://h/a%5Eb");
    }
}
