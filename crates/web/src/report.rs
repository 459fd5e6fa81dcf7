//! Errors that no code catches: events of the global scope, and, unless a listener prevents it, lines in the log and entries
//! in tails.

use atoll_isolate::error::{ExceptionReport, string};
use atoll_isolate::uncaught::{Rejection, Rejections};
use atoll_isolate::{Native, natives, realm, v8};

use crate::basics::write_log;
use crate::context;

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
    let carried = scope.get_continuation_preserved_embedder_data();
    // V8 has dropped what the microtask carried, and with it its context: that of the message, nearly always.
    context::enter_again(scope);
    report(scope, exception, Some(message));
    scope.set_continuation_preserved_embedder_data(carried);
}

/// <https://html.spec.whatwg.org/#report-an-exception>
fn report(
    scope: &mut v8::PinScope<'_, '_>,
    exception: v8::Local<v8::Value>,
    message: Option<v8::Local<v8::Message>>,
) {
    let report = ExceptionReport::read(scope, exception, message);
    if dispatch_error(scope, exception, &report) == Dispatched::Ignored {
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

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dispatched {
    /// No listener prevented what is done otherwise.
    Ignored,
    /// A listener has seen to it.
    Prevented,
    /// A listener was stopped at a limit, and the message with it.
    Stopped,
}

/// Dispatches the `error` event.
fn dispatch_error(
    scope: &mut v8::PinScope<'_, '_>,
    exception: v8::Local<v8::Value>,
    report: &ExceptionReport,
) -> Dispatched {
    if scope.get_slot::<Reporting>().is_some_and(|reporting| reporting.0) || !may_listen(scope, "onerror") {
        return Dispatched::Ignored;
    }
    let message = string(scope, &format!("Uncaught {}", report.message)).into();
    let (script, line, column) = match &report.location {
        Some((script, line, column)) => (script.as_str(), *line, column.saturating_sub(1)),
        None => ("", 0, 0),
    };
    let script = string(scope, script).into();
    let [line, column] = [line, column].map(|n| v8::Integer::new_from_unsigned(scope, n).into());
    scope.set_slot(Reporting(true));
    let dispatched = dispatch(scope, "error", &[exception, message, script, line, column]);
    scope.set_slot(Reporting(false));
    dispatched
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

/// Calls a function of the script that dispatches an event.
fn dispatch(
    scope: &mut v8::PinScope<'_, '_>,
    function: &'static str,
    arguments: &[v8::Local<v8::Value>],
) -> Dispatched {
    let dispatched = {
        v8::tc_scope!(let scope, scope);
        match realm::call(scope, EVENTS, function, arguments) {
            Some(prevented) if prevented.is_true() => Dispatched::Prevented,
            None if scope.has_terminated() => Dispatched::Stopped,
            _ => Dispatched::Ignored,
        }
    };
    if dispatched == Dispatched::Stopped {
        // Seen here, a stop counts as done; it is meant for the whole message.
        scope.terminate_execution();
    }
    dispatched
}

/// The events of promises that nothing handles, and of those that are handled late.
/// <https://html.spec.whatwg.org/#unhandled-promise-rejections>
pub fn rejected(scope: &mut v8::PinScope<'_, '_>, rejections: Rejections) {
    for promise in rejections.handled {
        let promise = v8::Local::new(scope, promise);
        // Without the script, no listener was told of it.
        if realm::is_loaded(scope, EVENTS)
            && dispatch(scope, "rejectionHandled", &[promise.into()]) == Dispatched::Stopped
        {
            return;
        }
    }
    for Rejection { promise, reason } in rejections.unhandled {
        let (promise, reason) = (v8::Local::new(scope, promise), v8::Local::new(scope, reason));
        // A listener that was told of one before may have handled it.
        if promise.has_handler() {
            continue;
        }
        let dispatched = match may_listen(scope, "onunhandledrejection") {
            true => dispatch(scope, "unhandledRejection", &[promise.into(), reason]),
            false => Dispatched::Ignored,
        };
        match dispatched {
            Dispatched::Ignored => {
                let report = ExceptionReport::read(scope, reason, None);
                log(scope, "Uncaught (in promise)", &report);
            }
            Dispatched::Prevented => {}
            Dispatched::Stopped => return,
        }
    }
}
