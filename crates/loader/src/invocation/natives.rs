//! What an event's scripts tell the runtime: its answer, its failure.

use std::sync::Arc;

use atoll_isolate::error::ExceptionReport;
use atoll_isolate::{JsError, Native, arguments, natives, v8};
use atoll_web::body;
use atoll_web::context;
use atoll_web::fetch;
use atoll_web::fetcher::{FetchResponse, RemoteError};

use super::{Failure, Invocation, cancellation, uncaught};
use crate::answer::Answer;
use crate::tail;
use crate::usage::Outcome;
use crate::worker::Own;

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "respond" => respond,
        "respondError" => respond_error,
        "testDone" => test_done,
        "abortContext" => abort_context,
        "callerGone" => caller_gone,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn answer(scope: &mut v8::PinScope<'_, '_>) -> Option<Arc<Answer>> {
    let id = context::current(scope);
    context::data::<Invocation>(scope, id).map(|invocation| invocation.answer.clone())
}

/// `respond(status, statusText, headers, body)` answers the current invocation's request.
fn respond<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let status = arguments::integer(scope, &args, 0) as u16;
    let status_text = arguments::text(scope, &args, 1);
    let headers = arguments::texts(scope, args.get(2));
    let body = match body::argument(scope, args.get(3)) {
        Ok(body) => body,
        Err(error) => return error.throw(scope),
    };
    let id = context::current(scope);
    if let Some(invocation) = context::data::<Invocation>(scope, id) {
        invocation.traced(|trace| trace.responded(status));
    }
    if let Some(answer) = answer(scope) {
        answer.respond(FetchResponse { status, status_text, headers, body });
    }
}

/// `respondError(exception)` fails the current invocation.
fn respond_error<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let Some(answer) = answer(scope) else { return };
    answer.conclude(Outcome::Exception);
    tail::on_exception(scope, args.get(0));
    let own = scope.get_slot::<Own>().is_some_and(|own| !own.dynamic);
    if own {
        // Nobody but the log tells the developer where a project's own code failed.
        let report = ExceptionReport::read(scope, args.get(0), None);
        uncaught(scope, report);
    }
    let error = fetch::error_of(scope, args.get(0));
    answer.fail(error);
}

/// `testDone(failed, exception)` reports the current test.
fn test_done<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let Some(answer) = answer(scope) else { return };
    if !args.get(0).is_true() {
        return answer.report(Ok(()));
    }
    let report = ExceptionReport::read(scope, args.get(1), None);
    answer.report(Err(Failure {
        message: report.message,
        stack: report.stack,
        source_line: report.source_line,
    }));
}

/// `abortContext(exception)` ends the current context; its answer and those of calls on its objects are the exception.
fn abort_context<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let id = context::current(scope);
    if id == 0 {
        return JsError::error(context::GLOBAL_SCOPE).throw(scope);
    }
    let error = fetch::error_of(scope, args.get(0));
    if let Some(answer) = answer(scope) {
        if !answer.is_given() {
            answer.conclude(Outcome::Exception);
            tail::on_exception(scope, args.get(0));
        }
        answer.fail(RemoteError { remote: false, ..error.clone() });
    }
    atoll_rpc::server::fail_calls(scope, id, &error);
    body::fail_pipes(scope, id, &error);
    context::finish(scope, id);
}

/// `callerGone(context)`: whoever called over RPC waits no more.
fn caller_gone<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let id = arguments::integer(scope, &args, 0);
    cancellation::caller_gone(scope, id);
}
