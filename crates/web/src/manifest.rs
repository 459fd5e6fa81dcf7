//! The layer's manifest: natives, scripts, lazy globals.

use atoll_isolate::error::string;
use atoll_isolate::extension::LazyGlobal;
use atoll_isolate::{Extension, Native, Script, layer, modules, script, uncaught, v8};

use crate::{
    basics, body, clone, compression, context, encoding, fetch, inspection, report, resizable, signal,
    timers, url,
};

/// Web and Workers APIs.
pub static EXTENSION: Extension =
    Extension { name: "web", natives, scripts: SCRIPTS, globals: GLOBALS, bind };

fn natives() -> Vec<Native> {
    [
        basics::natives(),
        context::natives(),
        body::natives(),
        clone::natives(),
        compression::natives(),
        encoding::natives(),
        fetch::natives(),
        inspection::natives(),
        report::natives(),
        resizable::natives(),
        timers::natives(),
        signal::natives(),
        url::natives(),
    ]
    .concat()
}

fn bind(scope: &mut v8::PinScope<'_, '_>) {
    layer::set(scope, context::Contexts::default());
    modules::set_around_evaluation(scope, context::around_evaluation);
    uncaught::set_thrown_hook(scope, report::thrown);
}

const SCRIPTS: &[Script] = &[
    script!("web", "context", eager),
    script!("web", "clone", eager),
    script!("web", "date", eager),
    script!("web", "array-buffer", eager),
    script!("web", "intl", eager),
    script!("web", "global", eager),
    script!("web", "webidl"),
    script!("web", "headers"),
    script!("web", "body"),
    script!("web", "pumps"),
    script!("web", "request"),
    script!("web", "response"),
    script!("web", "fetch"),
    script!("web", "data-url"),
    script!("web", "mime-type"),
    script!("web", "abort"),
    script!("web", "blob"),
    script!("web", "console"),
    script!("web", "crypto"),
    script!("web", "dom-exception"),
    script!("web", "encoding"),
    script!("web", "errors"),
    script!("web", "events"),
    script!("web", "form-data"),
    script!("web", "global-events"),
    script!("web", "inspect"),
    script!("web", "navigator"),
    script!("web", "performance"),
    script!("web", "user-timing"),
    script!("web", "timers"),
    script!("web", "url"),
    script!("web", "streams/byte-control"),
    script!("web", "streams/codec"),
    script!("web", "streams/dictionaries"),
    script!("web", "streams/identity"),
    script!("web", "streams/native"),
    script!("web", "streams/pipe"),
    script!("web", "streams/promises"),
    script!("web", "streams/queue"),
    script!("web", "streams/readable"),
    script!("web", "streams/readable-byte"),
    script!("web", "streams/readable-default"),
    script!("web", "streams/readable-from"),
    script!("web", "streams/readable-readers"),
    script!("web", "streams/tee"),
    script!("web", "streams/transfer"),
    script!("web", "streams/transform"),
    script!("web", "streams/writable"),
    script!("web", "streams/writable-writer"),
    script!("web", "node/assert"),
    script!("web", "node/assertion-error"),
    script!("web", "node/comparisons"),
    script!("web", "node/diff"),
    script!("web", "node/util"),
    script!("web", "inspect/format-string"),
    script!("web", "inspect/shapes"),
    script!("web", "inspect/text"),
];

const fn lazy(name: &'static str, script: &'static str) -> LazyGlobal {
    LazyGlobal { name, script, flag: None }
}

const fn flagged(name: &'static str, script: &'static str, flag: &'static str) -> LazyGlobal {
    LazyGlobal { name, script, flag: Some(flag) }
}

/// Takes away the globals that the flags do not let a Worker have.
pub(crate) fn remove_globals(scope: &mut v8::PinScope<'_, '_>, flags: &[String]) {
    let global = scope.get_current_context().global(scope);
    for lazy in GLOBALS {
        let Some(needed) = lazy.flag else { continue };
        if !flags.iter().any(|flag| flag == needed) {
            let name = string(scope, lazy.name);
            global.delete(scope, name.into());
        }
    }
}

const PERFORMANCE: &str = "enable_global_performance_classes";

const GLOBALS: &[LazyGlobal] = &[
    lazy("Headers", "web/headers"),
    lazy("Request", "web/request"),
    lazy("Response", "web/response"),
    lazy("fetch", "web/fetch"),
    lazy("AbortController", "web/abort"),
    lazy("AbortSignal", "web/abort"),
    lazy("Blob", "web/blob"),
    lazy("File", "web/blob"),
    lazy("console", "web/console"),
    lazy("Crypto", "web/crypto"),
    lazy("crypto", "web/crypto"),
    lazy("DOMException", "web/dom-exception"),
    lazy("TextDecoder", "web/encoding"),
    lazy("TextEncoder", "web/encoding"),
    lazy("atob", "web/encoding"),
    lazy("btoa", "web/encoding"),
    lazy("CloseEvent", "web/events"),
    lazy("CustomEvent", "web/events"),
    lazy("ErrorEvent", "web/events"),
    lazy("Event", "web/events"),
    lazy("EventTarget", "web/events"),
    lazy("ExtendableEvent", "web/events"),
    lazy("MessageEvent", "web/events"),
    lazy("PromiseRejectionEvent", "web/events"),
    lazy("FormData", "web/form-data"),
    lazy("performance", "web/performance"),
    lazy("clearInterval", "web/timers"),
    lazy("clearTimeout", "web/timers"),
    lazy("scheduler", "web/timers"),
    lazy("setInterval", "web/timers"),
    lazy("setTimeout", "web/timers"),
    lazy("URL", "web/url"),
    lazy("URLSearchParams", "web/url"),
    lazy("ReadableStream", "web/streams/readable"),
    lazy("ReadableStreamBYOBReader", "web/streams/readable-readers"),
    lazy("ReadableStreamDefaultReader", "web/streams/readable-readers"),
    lazy("ReadableByteStreamController", "web/streams/readable-byte"),
    lazy("ReadableStreamBYOBRequest", "web/streams/readable-byte"),
    lazy("ReadableStreamDefaultController", "web/streams/readable-default"),
    lazy("WritableStream", "web/streams/writable"),
    lazy("WritableStreamDefaultController", "web/streams/writable-writer"),
    lazy("WritableStreamDefaultWriter", "web/streams/writable-writer"),
    lazy("TransformStream", "web/streams/transform"),
    lazy("TransformStreamDefaultController", "web/streams/transform"),
    lazy("ByteLengthQueuingStrategy", "web/streams/queue"),
    lazy("CountQueuingStrategy", "web/streams/queue"),
    lazy("FixedLengthStream", "web/streams/identity"),
    lazy("IdentityTransformStream", "web/streams/identity"),
    lazy("CompressionStream", "web/streams/codec"),
    lazy("DecompressionStream", "web/streams/codec"),
    lazy("TextDecoderStream", "web/streams/codec"),
    lazy("TextEncoderStream", "web/streams/codec"),
    lazy("SubtleCrypto", "web/crypto"),
    flagged("Performance", "web/performance", PERFORMANCE),
    flagged("PerformanceEntry", "web/user-timing", PERFORMANCE),
    flagged("PerformanceMark", "web/user-timing", PERFORMANCE),
    flagged("PerformanceMeasure", "web/user-timing", PERFORMANCE),
    flagged("PerformanceObserver", "web/user-timing", PERFORMANCE),
    flagged("PerformanceObserverEntryList", "web/user-timing", PERFORMANCE),
    flagged("PerformanceResourceTiming", "web/user-timing", PERFORMANCE),
    flagged("Navigator", "web/navigator", "global_navigator"),
    flagged("navigator", "web/navigator", "global_navigator"),
    flagged("setImmediate", "web/timers", "nodejs_compat_v2"),
    flagged("clearImmediate", "web/timers", "nodejs_compat_v2"),
    flagged("global", "web/global", "nodejs_compat_v2"),
    lazy("addEventListener", "web/events"),
    lazy("removeEventListener", "web/events"),
    lazy("dispatchEvent", "web/events"),
];
