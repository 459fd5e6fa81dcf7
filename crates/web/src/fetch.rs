//! `fetch()` under its JavaScript: one hop to where the context's requests go. Redirects are the caller's, in JavaScript.

use std::sync::{Arc, Mutex, PoisonError};

use atoll_host::body::Body;
use atoll_isolate::error::{MAX_MESSAGE, start_of, string};
use atoll_isolate::{JsError, Native, arguments, natives, realm, v8};

use crate::account::Origin;
use crate::body;
use crate::coding::{Coding, format_of};
use crate::context::{self, Completion};
use crate::exchange::{Cf, HeaderList, Method, Target};
use crate::fetcher::{FetchRequest, FetchResponse, Fetcher, RemoteError, Responder};
use crate::interest::Interest;

pub(crate) fn natives() -> Vec<Native> {
    natives!["fetch" => fetch, "newCanceller" => new_canceller, "outboundRefusal" => outbound_refusal]
}

/// `outboundRefusal()`: what a Worker says that has no outbound, or undefined.
fn outbound_refusal<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    if let Some(text) = context::environment(scope).outbound.refusal() {
        rv.set(string(scope, text).into());
    }
}

/// Natives' arguments from `first` on: method, url, flat headers, body, cf (JSON text).
///
/// # Errors
/// Where one of them is not what a request can have, and when too many bytes of bodies are under way from this Worker.
pub fn request_argument(
    scope: &mut v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
    first: i32,
) -> Result<FetchRequest, JsError> {
    let method = Method::of(scope, args.get(first))?;
    let url = Target::of(scope, args.get(first + 1))?;
    let mut headers = HeaderList::of(scope, args.get(first + 2))?;
    let cf = Cf::of(scope, args.get(first + 4))?;
    let body = body::argument(scope, args.get(first + 3))?;
    announce_body(&mut headers, &body);
    let network = Some(context::environment(scope).network.clone());
    let origin = Origin::of_invocation(scope);
    Ok(FetchRequest { method, url, headers, body, cf, origin, network })
}

/// Whoever gets a request sees how long its body is, or that nobody knows, as on a wire.
fn announce_body(headers: &mut HeaderList, body: &Body) {
    if matches!(body, Body::Empty) || headers.has("content-length") || headers.has("transfer-encoding") {
        return;
    }
    match body.length() {
        Some(length) => headers.push("content-length", length.to_string()),
        None => headers.push("transfer-encoding", "chunked".to_owned()),
    }
}

/// In a resource table: releasing it cancels the request that it was given with.
struct Canceller(Mutex<Option<Interest>>);

/// `newCanceller()` gives a handle for `fetch` and `serviceFetch`; `release` cancels what is under way then.
fn new_canceller<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let owner = context::current(scope);
    rv.set_uint32(context::add_resource(scope, owner, Arc::new(Canceller(Mutex::default()))));
}

/// Sends a request; `canceller` is a handle or undefined. It is cancelled with its context. The promise gives `[status, statusText, headers, body]`, with a body handle or `null`.
///
/// # Errors
/// At module top level.
pub fn start<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    fetcher: &dyn Fetcher,
    request: FetchRequest,
    canceller: v8::Local<v8::Value>,
) -> Result<v8::Local<'s, v8::Promise>, JsError> {
    context::count_sub_request(scope)?;
    let id = context::current(scope);
    context::check_handles(scope, id)?;
    let inbox = context::environment(scope).inbox.clone();
    let (promise, completion) = Completion::new(scope)?;
    let operation = completion.operation();
    let respond = Responder::told_by(move |answer, sender| {
        let answer = answer.and_then(|response| Ok((inbox.take_from(sender, response.size())?, response)));
        completion.settle(move |scope| match answer {
            Ok((_read_now, response)) => Ok(response_value(scope, response)),
            Err(error) => Err(error_value(scope, error)),
        });
    });
    let interest = respond.interest();
    fetcher.fetch(request, respond);
    let handle = arguments::integer_of(scope, canceller);
    match context::resource_as::<Canceller>(scope, handle) {
        Some(canceller) => {
            *canceller.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(interest);
        }
        None => context::keep(scope, operation, interest),
    }
    Ok(promise)
}

fn response_value<'s>(scope: &mut v8::PinScope<'s, '_>, response: FetchResponse) -> v8::Local<'s, v8::Value> {
    let headers: Vec<v8::Local<v8::Value>> =
        response.headers.flat().iter().map(|h| string(scope, h).into()).collect();
    let headers = v8::Array::new_with_elements(scope, &headers);
    let status = v8::Integer::new_from_unsigned(scope, u32::from(response.status.as_u16()));
    let status_text = string(scope, response.status_text.as_str());
    let format = match response.coding {
        Coding::Applied => format_of(scope, &response.headers),
        Coding::Pending(..) => None,
    };
    let body = match format {
        Some(format) => body::coded_to_value(scope, response.body, format),
        None => body::to_value(scope, response.body),
    };
    arguments::tuple(scope, &[status.into(), status_text.into(), headers.into(), body])
}

/// The exception that an error from elsewhere becomes here.
pub fn error_value<'s>(scope: &mut v8::PinScope<'s, '_>, error: RemoteError) -> v8::Local<'s, v8::Value> {
    let fallback = string(scope, &error.message);
    v8::tc_scope!(let scope, scope);
    let name = string(scope, &error.name);
    let message = string(scope, &error.message);
    let dom = v8::Boolean::new(scope, error.dom);
    let remote = v8::Boolean::new(scope, error.remote);
    let properties = match error.properties {
        Some(message) => atoll_isolate::values::read(scope, message),
        None => None,
    };
    let properties = properties.unwrap_or_else(|| v8::undefined(scope).into());
    let arguments = [name.into(), message.into(), dom.into(), properties, remote.into()];
    match realm::call(scope, "web/errors", "decodeError", &arguments) {
        Some(value) => value,
        None => v8::Exception::error(scope, fallback),
    }
}

/// Own properties of an error that cross with it, in serialised bytes.
const MAX_PROPERTIES: usize = 1 << 20;

/// What crosses of an exception.
pub fn error_of(scope: &mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>) -> RemoteError {
    v8::tc_scope!(let scope, scope);
    let described = realm::call(scope, "web/errors", "encodeError", &[exception]);
    let Some(parts) = described.and_then(|d| v8::Local::<v8::Array>::try_from(d).ok()) else {
        return RemoteError::error("An exception that cannot be described.");
    };
    // The script has cut them; but it runs where the error was thrown.
    let part = |scope: &mut v8::PinScope<'_, '_>, index| {
        let text =
            parts.get_index(scope, index).and_then(|part| v8::Local::<v8::String>::try_from(part).ok());
        text.map(|text| start_of(scope, text, MAX_MESSAGE)).unwrap_or_default()
    };
    let (name, message) = (part(scope, 0), part(scope, 1));
    let dom = parts.get_index(scope, 2).is_some_and(|v| v.is_true());
    let properties = parts.get_index(scope, 3).filter(|p| p.is_object());
    let properties = properties.and_then(|p| atoll_isolate::values::write(scope, p));
    // An error is no place for data: without what is too much it still says what went wrong.
    let properties = properties.filter(|properties| properties.size() <= MAX_PROPERTIES);
    RemoteError { name, message, dom, properties, remote: true }
}

fn fetch<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    if let Err(error) = context::require(scope) {
        return error.throw(scope);
    }
    let outbound: Arc<dyn Fetcher> = context::environment(scope).outbound.clone();
    let request = match request_argument(scope, &args, 0) {
        Ok(request) => request,
        Err(error) => return error.throw(scope),
    };
    match start(scope, outbound.as_ref(), request, args.get(5)) {
        Ok(promise) => rv.set(promise.into()),
        Err(error) => error.throw(scope),
    }
}
