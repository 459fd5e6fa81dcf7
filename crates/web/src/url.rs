//! URL parsing over the `url` crate. <https://url.spec.whatwg.org/>

use atoll_isolate::{Native, arguments, error::string, natives, v8};
use url::{Url, quirks};

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
    let parsed = match arguments::optional_text(scope, &args, 1) {
        Some(base) => Url::parse(&base).and_then(|base| base.join(&input)),
        None => Url::parse(&input),
    };
    if let Ok(url) = parsed {
        rv.set(string(scope, url.as_str()).into());
    }
}

fn url_set<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let href = arguments::text(scope, &args, 0);
    let part = arguments::text(scope, &args, 1);
    let value = arguments::text(scope, &args, 2);
    let Ok(mut url) = Url::parse(&href) else { return rv.set(args.get(0)) };
    // A value that the standard ignores leaves the URL as it is.
    let _ignored = match part.as_str() {
        "protocol" => quirks::set_protocol(&mut url, &value),
        "username" => quirks::set_username(&mut url, &value),
        "password" => quirks::set_password(&mut url, &value),
        "host" => quirks::set_host(&mut url, &value),
        "hostname" => quirks::set_hostname(&mut url, &value),
        "port" => quirks::set_port(&mut url, &value),
        "pathname" => {
            quirks::set_pathname(&mut url, &value);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, &value);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, &value);
            Ok(())
        }
        _ => Ok(()),
    };
    rv.set(string(scope, url.as_str()).into());
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
    Url::parse(text).ok().map(String::from)
}
