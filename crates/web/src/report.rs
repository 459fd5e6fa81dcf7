//! Errors that no code catches: events of the global scope, and, unless a listener prevents it, lines in the log and entries
//! in tails.

use atoll_isolate::error::{ExceptionReport, string};
use atoll_isolate::uncaught::{Rejection, Rejections};
use atoll_isolate::{Native, natives, realm, v8};

use crate::basics::write_log;

/// The script that makes the events.
const EVENTS: &str = "web/global-events";

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "reportError" => report_error,
        "reportException" => report_exception,
        "logError" => log_error,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

/// Sees exceptions that no code caught, beside the log.
pub type ErrorHook = fn(&mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>);

struct OnError(ErrorHook);

/// An `error` event is being dispatched: what its listeners throw has none of its own.
struct Reporting(bool);

/// Sets what sees exceptions that no code caught, before they are logged.
pub fn set_error_hook(scope: &mut v8::PinScope<'_, '_>, hook: ErrorHook) {
    scope.set_slot(OnError(hook));
}

/// `reportError(error)`: what a callback of the guest's threw to the runtime, where the reference has no event for it.
fn report_error<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let report = ExceptionReport::read(scope, args.get(0), None);
    record(scope, args.get(0), &report);
}

/// `reportException(error)`: "report an exception" of HTML.
fn report_exception<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    report(scope, args.get(0), None);
}

/// `logError(error)`: an error that others are not told of, for the log alone.
fn log_error<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let report = ExceptionReport::read(scope, args.get(0), None);
    log(scope, "Uncaught", &report);
}

/// What a microtask or a finalisation callback threw.
pub(crate) fn thrown(
    scope: &mut v8::PinScope<'_, '_>,
    exception: v8::Local<v8::Value>,
    message: v8::Local<v8::Message>,
) {
    report(scope, exception, Some(message));
}

/// <https://html.spec.whatwg.org/#report-an-exception>
fn report(
    scope: &mut v8::PinScope<'_, '_>,
    exception: v8::Local<v8::Value>,
    message: Option<v8::Local<v8::Message>>,
) {
    let report = ExceptionReport::read(scope, exception, message);
    if !is_prevented(scope, exception, &report) && !scope.is_execution_terminating() {
        record(scope, exception, &report);
    }
}

fn record(scope: &mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>, report: &ExceptionReport) {
    if let Some(hook) = scope.get_slot::<OnError>().map(|hook| hook.0) {
        hook(scope, exception);
    }
    log(scope, "Uncaught", report);
}

/// Writes a line for an error that no code caught.
pub fn log(scope: &mut v8::PinScope<'_, '_>, what: &str, report: &ExceptionReport) {
    write_log(scope, "error", &format!("{what} {}", report.to_log()));
}

/// Dispatches the `error` event. True: a listener has seen to it.
fn is_prevented(
    scope: &mut v8::PinScope<'_, '_>,
    exception: v8::Local<v8::Value>,
    report: &ExceptionReport,
) -> bool {
    if scope.get_slot::<Reporting>().is_some_and(|reporting| reporting.0) || !may_listen(scope, "onerror") {
        return false;
    }
    let message = string(scope, &format!("Uncaught {}", report.message)).into();
    let (script, line, column) = match &report.location {
        Some((script, line, column)) => (script.as_str(), *line, column.saturating_sub(1)),
        None => ("", 0, 0),
    };
    let script = string(scope, script).into();
    let [line, column] = [line, column].map(|n| v8::Integer::new_from_unsigned(scope, n).into());
    scope.set_slot(Reporting(true));
    let prevented = dispatch(scope, "error", &[exception, message, script, line, column]);
    scope.set_slot(Reporting(false));
    prevented
}

/// Whether there can be a listener: most Workers have none, and need none of the scripts for it.
fn may_listen(scope: &mut v8::PinScope<'_, '_>, attribute: &str) -> bool {
    if realm::is_loaded(scope, "web/events") {
        return true;
    }
    let global = scope.get_current_context().global(scope);
    let attribute = string(scope, attribute);
    global.has_own_property(scope, attribute.into()) == Some(true)
}

/// Calls a function of the script that dispatches an event and says whether a listener prevented what is done otherwise.
fn dispatch(
    scope: &mut v8::PinScope<'_, '_>,
    function: &'static str,
    arguments: &[v8::Local<v8::Value>],
) -> bool {
    let (prevented, stopped) = {
        v8::tc_scope!(let scope, scope);
        let prevented = realm::call(scope, EVENTS, function, arguments);
        (prevented.is_some_and(|prevented| prevented.is_true()), scope.has_terminated())
    };
    if stopped {
        // Seen here, a stop counts as done; it is meant for the whole message.
        scope.terminate_execution();
    }
    prevented
}

/// The events of promises that nothing handles, and of those that are handled late.
/// <https://html.spec.whatwg.org/#unhandled-promise-rejections>
pub fn rejected(scope: &mut v8::PinScope<'_, '_>, rejections: Rejections) {
    for promise in rejections.handled {
        if scope.is_execution_terminating() || !realm::is_loaded(scope, EVENTS) {
            break;
        }
        let promise = v8::Local::new(scope, promise);
        dispatch(scope, "rejectionHandled", &[promise.into()]);
    }
    for Rejection { promise, reason } in rejections.unhandled {
        if scope.is_execution_terminating() {
            break;
        }
        let (promise, reason) = (v8::Local::new(scope, promise), v8::Local::new(scope, reason));
        // A listener that was told of one before may have handled it.
        if promise.has_handler() {
            continue;
        }
        let prevented = may_listen(scope, "onunhandledrejection")
            && dispatch(scope, "unhandledRejection", &[promise.into(), reason]);
        if !prevented && !scope.is_execution_terminating() {
            let report = ExceptionReport::read(scope, reason, None);
            log(scope, "Uncaught (in promise)", &report);
        }
    }
}
