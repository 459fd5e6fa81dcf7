//! What an event's scripts tell the runtime: its answer, its failure.

use std::sync::Arc;

use atoll_host::body::Body;
use atoll_isolate::error::ExceptionReport;
use atoll_isolate::{JsError, Native, arguments, natives, v8};
use atoll_web::body;
use atoll_web::coding::{Coding, Format, Payer, decoded, format_of};
use atoll_web::context;
use atoll_web::exchange::{HeaderList, Reason, Status};
use atoll_web::fetch;
use atoll_web::fetcher::FetchResponse;

use super::{Failure, Invocation, cancellation, uncaught};
use crate::answer::Answer;
use crate::tail::{self, Trace};
use crate::usage::Outcome;
use crate::worker::Own;

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "respond" => respond,
        "respondError" => respond_error,
        "bodyFailed" => body_failed,
        "callFailed" => call_failed,
        "passThroughOnException" => pass_through_on_exception,
        "misdirected" => misdirected,
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

/// `respond(status, statusText, headers, body, manual, headOnly)` answers the current invocation's request.
/// `manual`: the body is in the coding that the headers say.
fn respond<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let response = match response_argument(scope, &args) {
        Ok(response) => response,
        Err(error) => return error.throw(scope),
    };
    let id = context::current(scope);
    if let Some(invocation) = context::data::<Invocation>(scope, id)
        && invocation.answer.outcome().is_none()
    {
        // Not that of a request that passed through: the Worker did not give it.
        invocation.traced(|trace| trace.responded(response.status.as_u16()));
    }
    if let Some(answer) = answer(scope) {
        answer.respond(response);
    }
}

fn response_argument<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: &Args<'s>,
) -> Result<FetchResponse, JsError> {
    let status = Status::of(args.get(0))?;
    let status_text = Reason::of(scope, args.get(1))?;
    let headers = HeaderList::of(scope, args.get(2))?;
    let (body, came_in) = body::response_argument(scope, args.get(3))?;
    let says = format_of(scope, &headers);
    let (mut body, coding) = coded_as(scope, body, came_in, says, args.get(4).is_true());
    let mut head_length = None;
    if args.get(5).is_true() {
        let known = if matches!(coding, Coding::Applied) { body.length() } else { None };
        head_length = known.filter(|&length| length > 0);
        body = Body::Empty;
    }
    Ok(FetchResponse { status, status_text, headers, body, coding, head_length })
}

/// What came in the coding that the headers say goes on as it is. Where they were changed it is plain, and `manual`
/// says whether it stays so.
fn coded_as(
    scope: &mut v8::PinScope<'_, '_>,
    body: Body,
    came_in: Option<Format>,
    says: Option<Format>,
    manual: bool,
) -> (Body, Coding) {
    if came_in.is_some() && came_in == says {
        return (body, Coding::Applied);
    }
    let body = match came_in {
        Some(format) => decoded(body, format, Payer::current(scope)),
        None => body,
    };
    match says {
        Some(format) if !manual => (body, Coding::Pending(format, Payer::current(scope))),
        _ => (body, Coding::Applied),
    }
}

/// `respondError(exception)` fails the current invocation. True: its request passes through, and answers its caller.
fn respond_error<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let id = context::current(scope);
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    let answer = invocation.answer.clone();
    let passes_through = invocation.passes_through();
    failed(scope, &answer, args.get(0));
    if passes_through {
        return rv.set_bool(true);
    }
    let error = fetch::error_of(scope, args.get(0));
    answer.fail(error);
}

/// `bodyFailed(exception)`: the body of the current invocation's answer failed; its reader is told by the pipe.
fn body_failed<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let id = context::current(scope);
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    invocation.traced(Trace::response_failed);
    let answer = invocation.answer.clone();
    failed(scope, &answer, args.get(0));
}

/// `callFailed(exception)`: the method that the current invocation is for threw. Its caller is told by the reply, and the
/// log of no Worker: the caller's code may expect it.
fn call_failed<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let Some(answer) = answer(scope) else { return };
    answer.conclude(Outcome::Exception);
    tail::on_exception(scope, args.get(0));
}

/// The current invocation ends with an exception that its handler, or the body of its answer, threw.
fn failed(scope: &mut v8::PinScope<'_, '_>, answer: &Answer, exception: v8::Local<v8::Value>) {
    answer.conclude(Outcome::Exception);
    tail::on_exception(scope, exception);
    let own = scope.get_slot::<Own>().is_some_and(|own| !own.dynamic);
    if own {
        // Nobody but the log tells the developer where a project's own code failed.
        let report = ExceptionReport::read(scope, exception, None);
        uncaught(scope, report);
    }
}

/// `passThroughOnException()`: should the handler of the current request fail, the request passes through.
fn pass_through_on_exception<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, _rv: Return<'_>) {
    let id = context::current(scope);
    if let Some(invocation) = context::data::<Invocation>(scope, id) {
        invocation.pass_through = true;
    }
}

/// `misdirected()`: the current invocation names an entrypoint that is not there. Nothing of it runs, so there is nothing
/// to trace.
fn misdirected<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, _rv: Return<'_>) {
    let id = context::current(scope);
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    invocation.answer.misdirected();
    invocation.trace = None;
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
        answer.end(error.clone());
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
