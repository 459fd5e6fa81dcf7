//! What only V8 can tell of a value, for inspection and comparison.

use atoll_isolate::{Native, error::string, natives, v8};

pub(crate) fn natives() -> Vec<Native> {
    natives!["valueKind" => value_kind, "ownNonIndexKeys" => own_non_index_keys, "proxyTarget" => proxy_target, "proxyHandler" => proxy_handler, "isPromise" => is_promise, "fulfilledObject" => fulfilled_object]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn value_kind<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let kind = kind_of(args.get(0));
    if !kind.is_empty() {
        rv.set(string(scope, kind).into());
    } else {
        rv.set_empty_string();
    }
}

fn is_promise<'s>(_scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    rv.set_bool(args.get(0).is_promise());
}

/// `proxyHandler(value)`: the handler of a proxy, or undefined.
fn proxy_handler<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    if let Ok(proxy) = v8::Local::<v8::Proxy>::try_from(args.get(0)) {
        let handler = proxy.get_handler(scope);
        if handler.is_object() {
            rv.set(handler);
        }
    }
}

/// The internal slots of a value, as V8 names them. A proxy is a proxy, whatever it wraps.
fn kind_of(value: v8::Local<v8::Value>) -> &'static str {
    if !value.is_object() {
        return if value.is_external() { "External" } else { "" };
    }
    let kinds: [(&str, bool); 26] = [
        ("Proxy", value.is_proxy()),
        ("Map", value.is_map()),
        ("Set", value.is_set()),
        ("MapIterator", value.is_map_iterator()),
        ("SetIterator", value.is_set_iterator()),
        ("WeakMap", value.is_weak_map()),
        ("WeakSet", value.is_weak_set()),
        ("Promise", value.is_promise()),
        ("Date", value.is_date()),
        ("RegExp", value.is_reg_exp()),
        ("NativeError", value.is_native_error()),
        ("ArrayBuffer", value.is_array_buffer()),
        ("SharedArrayBuffer", value.is_shared_array_buffer()),
        ("DataView", value.is_data_view()),
        ("TypedArray", value.is_typed_array()),
        ("ArgumentsObject", value.is_arguments_object()),
        ("GeneratorObject", value.is_generator_object()),
        // An async generator function is both.
        ("AsyncGeneratorFunction", value.is_async_function() && value.is_generator_function()),
        ("AsyncFunction", value.is_async_function()),
        ("GeneratorFunction", value.is_generator_function()),
        ("BooleanObject", value.is_boolean_object()),
        ("NumberObject", value.is_number_object()),
        ("StringObject", value.is_string_object()),
        ("SymbolObject", value.is_symbol_object()),
        ("BigIntObject", value.is_big_int_object()),
        ("ModuleNamespaceObject", value.is_module_namespace_object()),
    ];
    kinds.iter().find(|(_, is)| *is).map_or("", |(kind, _)| kind)
}

/// Own enumerable keys that are not array indices; throws what a proxy's traps throw.
fn own_non_index_keys<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let Ok(object) = v8::Local::<v8::Object>::try_from(args.get(0)) else { return };
    let filter = if args.get(1).is_true() {
        v8::PropertyFilter::ONLY_ENUMERABLE
    } else {
        v8::PropertyFilter::ONLY_ENUMERABLE | v8::PropertyFilter::SKIP_SYMBOLS
    };
    let names = object.get_property_names(
        scope,
        v8::GetPropertyNamesArgs {
            mode: v8::KeyCollectionMode::OwnOnly,
            property_filter: filter,
            index_filter: v8::IndexFilter::SkipIndices,
            key_conversion: v8::KeyConversionMode::KeepNumbers,
        },
    );
    if let Some(names) = names {
        rv.set(names.into());
    }
}

/// The target of a proxy, without asking its traps; null where it was revoked.
fn proxy_target<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    if let Ok(proxy) = v8::Local::<v8::Proxy>::try_from(args.get(0)) {
        if proxy.is_revoked() { rv.set_null() } else { rv.set(proxy.get_target(scope)) }
    }
}

/// The object that a promise was fulfilled with; undefined while it is pending, and for any other outcome.
fn fulfilled_object<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    if let Ok(promise) = v8::Local::<v8::Promise>::try_from(args.get(0))
        && promise.state() == v8::PromiseState::Fulfilled
    {
        let value = promise.result(scope);
        if value.is_object() {
            rv.set(value);
        }
    }
}
