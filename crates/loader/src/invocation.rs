//! One event in a Worker: its I/O context, its answer, its end.

mod cancellation;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use atoll_isolate::actor::Hooks;
use atoll_isolate::error::{ExceptionReport, string};
use atoll_isolate::values::{self, Message};
use atoll_isolate::{Envelope, JsError, Meter, Native, arguments, natives, realm, v8};
use atoll_rpc::budget::Landing;
use atoll_rpc::call::{Call, Reply};
use atoll_web::body;
use atoll_web::context::{self, ContextId};
use atoll_web::depth::Depth;
use atoll_web::fetch;
use atoll_web::fetcher::{FetchRequest, FetchResponse, RemoteError, Responder};
use atoll_web::task::Task;

use serde_json::{Map, Value, json};

use crate::code::CodeLimits;
use crate::ending::{UnderWay, WallTimer, cpu_text};
use crate::limits;
use crate::tail::Trace;
use crate::worker::{Admission, HOOKS_SCRIPT, Own, WeakWorker, Work, Worker};

/// Hooks of every Worker's isolate.
pub(crate) const HOOKS: Hooks = Hooks { uncaught, rejected, after_message };

/// The error of an invocation that can never settle.
const HUNG: &str = "The Workers runtime canceled this request because it detected that your Worker's code had hung and \
would never generate a response. Refer to: https://developers.cloudflare.com/workers/observability/errors/";

/// Which entrypoint, with which props.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) entrypoint: Option<String>,
    pub(crate) props: Option<Props>,
}

/// Props of an entrypoint.
#[derive(Clone)]
pub enum Props {
    /// A value that a Worker gave.
    Value(Message),
    /// A value from a project's configuration, as JSON text.
    Json(Arc<str>),
}

/// What a caller waits for; given once, from inside the isolate or, at a limit, from outside.
pub(crate) struct Answer {
    waiting: Mutex<Option<Waiting>>,
    given: AtomicBool,
    trace: OnceLock<Weak<Trace>>,
    /// Where it is worked on, once that has begun.
    place: OnceLock<(WeakWorker, ContextId)>,
}

enum Waiting {
    Fetch(Responder),
    Call(Reply),
    Test(Box<dyn FnOnce(Result<(), Failure>) + Send>),
}

/// Why a test failed.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// Class and message.
    pub message: String,
    /// The stack, with source positions.
    pub stack: Option<String>,
    /// The line of source where it was thrown.
    pub source_line: Option<String>,
}

impl Answer {
    fn new(waiting: Waiting) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(Some(waiting)),
            given: AtomicBool::new(false),
            trace: OnceLock::new(),
            place: OnceLock::new(),
        })
    }

    fn take(&self) -> Option<Waiting> {
        self.given.store(true, Ordering::Release);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// How its invocation ended, for the trace.
    pub(crate) fn outcome(&self, outcome: &'static str) {
        if let Some(trace) = self.trace.get().and_then(Weak::upgrade) {
            trace.outcome(outcome);
        }
    }

    pub(crate) fn fail(&self, error: RemoteError) {
        match self.take() {
            Some(Waiting::Fetch(responder)) => responder.respond(Err(error)),
            Some(Waiting::Call(reply)) => reply.settle(Err(error)),
            Some(Waiting::Test(report)) => {
                report(Err(Failure { message: error.message, ..Failure::default() }))
            }
            None => {}
        }
    }

    /// A limit ended the invocation: its tails are told which, its caller gets the error.
    pub(crate) fn exceeded(&self, outcome: &'static str, error: RemoteError) {
        self.outcome(outcome);
        self.fail(error);
    }

    fn respond(&self, response: FetchResponse) {
        if let Some(Waiting::Fetch(responder)) = self.take() {
            responder.respond(Ok(response));
        }
    }

    fn settle(&self, outcome: Result<Message, RemoteError>) {
        if let Some(Waiting::Call(reply)) = self.take() {
            reply.settle(outcome);
        }
    }

    fn report(&self, outcome: Result<(), Failure>) {
        if let Some(Waiting::Test(report)) = self.take() {
            report(outcome);
        }
    }
}

/// What a context knows of its invocation. Holds the Worker: an invocation under way keeps it.
struct Invocation {
    worker: Worker,
    answer: Arc<Answer>,
    waiting: u64,
    trace: Option<Arc<Trace>>,
    limits: CodeLimits,
    /// Looks after it since its answer.
    lingers: Option<Task>,
    #[expect(dead_code, reason = "gives its place back when the invocation ends")]
    under_way: UnderWay,
    wall: Option<WallTimer>,
}

impl Invocation {
    fn traced(&self, record: impl FnOnce(&Trace)) {
        if let Some(trace) = &self.trace {
            record(trace);
        }
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        self.worker.settled(self.waiting);
        // The context ended without an answer: nobody will give one any more.
        if !self.answer.is_given() {
            self.traced(|trace| trace.outcome("canceled"));
            self.answer.fail(crate::worker::gone());
        }
    }
}

/// Starts a `fetch` event.
pub(crate) fn fetch_event(
    worker: &Worker,
    target: Target,
    limits: CodeLimits,
    request: FetchRequest,
    respond: Responder,
) {
    let work = respond.work();
    let answer = Answer::new(Waiting::Fetch(respond));
    cancellation::watch(&work, &answer);
    let event = if worker.may_be_traced() { describe(&request) } else { Value::Null };
    let charge = match worker.inbox().take(request.size()) {
        Ok(charge) => charge,
        Err(error) => return answer.fail(error),
    };
    begin(worker, target, limits, request.depth, answer, event, move |scope, entrypoint, props| {
        let FetchRequest { method, url, headers, body, cf, redirect: _, depth: _ } = request;
        let headers: Vec<v8::Local<v8::Value>> = headers.iter().map(|h| string(scope, h).into()).collect();
        let headers = v8::Array::new_with_elements(scope, &headers);
        let method = string(scope, &method);
        let url = string(scope, &url);
        let body = body::to_value(scope, body);
        let cf = match cf {
            Some(cf) => string(scope, &cf).into(),
            None => v8::undefined(scope).into(),
        };
        drop(charge);
        let arguments = [entrypoint, props, method.into(), url.into(), headers.into(), body, cf];
        realm::call(scope, HOOKS_SCRIPT, "fetch", &arguments);
    });
}

fn describe(request: &FetchRequest) -> Value {
    let headers: Map<_, _> =
        request.headers.chunks_exact(2).map(|h| (h[0].clone(), Value::from(h[1].clone()))).collect();
    json!({ "request": { "method": request.method, "url": request.url, "headers": headers, "cf": null } })
}

/// Starts an invocation for a call.
pub(crate) fn call_event(worker: &Worker, target: Target, limits: CodeLimits, call: Call) {
    let inbox = worker.inbox();
    let charge = match inbox.take(call.size()) {
        Ok(charge) => Some(charge),
        Err(error) => return call.reply.settle(Err(error)),
    };
    let answer = Answer::new(Waiting::Call(call.reply));
    let settled = answer.clone();
    let reply = Reply::new(move |outcome| settled.settle(outcome));
    let event =
        if worker.may_be_traced() { json!({ "rpcMethod": call.path.join(".") }) } else { Value::Null };
    let (question, depth) = (call.question.clone(), call.depth);
    let call = Call { reply, charge, ..call };
    let meter = begin(worker, target, limits, depth, answer, event, move |scope, entrypoint, props| {
        let target = v8::Array::new_with_elements(scope, &[entrypoint, props]);
        atoll_rpc::server::run_in(scope, HOOKS_SCRIPT, "call", target.into(), call);
    });
    question.land(Landing { meter, inbox });
}

/// Runs the `test` handler of an entrypoint.
pub fn test_event(
    worker: &Worker,
    entrypoint: Option<String>,
    report: impl FnOnce(Result<(), Failure>) + Send + 'static,
) {
    let answer = Answer::new(Waiting::Test(Box::new(report)));
    let target = Target { entrypoint, props: None };
    begin(
        worker,
        target,
        worker.limits(),
        Depth::default(),
        answer,
        Value::Null,
        |scope, entrypoint, props| {
            realm::call(scope, HOOKS_SCRIPT, "test", &[entrypoint, props]);
        },
    );
}

/// Delivers traces, a JSON list, to the `tail` handler of an entrypoint.
pub(crate) fn tail_event(worker: &Worker, target: Target, events: Arc<str>, depth: Depth) {
    let charge = match worker.inbox().take(events.len()) {
        Ok(charge) => charge,
        // Nobody waits for it who could be told.
        Err(error) => return tracing::debug!(error = error.message, "a tail event is left out"),
    };
    let answer = Answer::new(Waiting::Test(Box::new(|_| {})));
    begin(worker, target, worker.limits(), depth, answer, Value::Null, move |scope, entrypoint, props| {
        let events = string(scope, &events);
        drop(charge);
        realm::call(scope, HOOKS_SCRIPT, "tail", &[entrypoint, props, events.into()]);
    });
}

/// Opens a context for an event and runs `body` in it. Gives the invocation's meter.
fn begin(
    worker: &Worker,
    target: Target,
    limits: CodeLimits,
    depth: Depth,
    answer: Arc<Answer>,
    event: Value,
    body: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, v8::Local<'s, v8::Value>, v8::Local<'s, v8::Value>)
    + Send
    + 'static,
) -> Arc<Meter> {
    let meter = Arc::new(Meter::new(limits.cpu));
    let under_way = match UnderWay::take(worker, depth) {
        Ok(under_way) => under_way,
        Err(error) => {
            answer.fail(error);
            return meter;
        }
    };
    let over = answer.clone();
    let name = worker.name().to_owned();
    meter.on_over(move |meter| {
        let text = cpu_text(&name, meter.limit());
        meter.set_reason(&text);
        over.exceeded("exceededCpu", RemoteError::error(text));
    });
    let holder = worker.clone();
    let charged = meter.clone();
    let work: Work = Box::new(move |admission| {
        let scope = match admission {
            Admission::Refused(error) => return answer.fail(error),
            Admission::Inside(scope) => scope,
        };
        if answer.is_given() {
            return;
        }
        holder.touch();
        // Known only now: a Worker that is still loading has no limits of its own yet.
        let limits = limits.lower(holder.limits());
        meter.lower(limits.cpu);
        let tails = holder.tails();
        let trace = (!tails.is_empty()).then(|| {
            let now = holder.runtime().host.clock.now_ms();
            Trace::new(tails, meter.clone(), now, target.entrypoint.clone(), event, depth)
        });
        if let Some(trace) = &trace {
            let _ = answer.trace.set(Arc::downgrade(trace));
        }
        let waiting = holder.expect(&answer);
        let (worker, timed) = (holder.clone(), meter.clone());
        let place = holder.downgrade();
        let invocation = Invocation {
            worker: holder,
            answer: answer.clone(),
            waiting,
            trace,
            limits,
            lingers: None,
            under_way,
            wall: None,
        };
        let id = context::open(scope, meter, limits.sub_requests, depth, Box::new(invocation));
        if let (Some(limit), Some(invocation)) = (limits.wall, context::data::<Invocation>(scope, id)) {
            invocation.wall = Some(WallTimer::start(&worker, limit, answer.clone(), timed, id));
        }
        context::enter(scope, id);
        let _ = answer.place.set((place, id));
        if answer.is_given() {
            // Given up a moment ago, by somebody who did not know the place yet.
            return context::finish(scope, id);
        }
        let entrypoint = match &target.entrypoint {
            Some(name) => string(scope, name).into(),
            None => v8::undefined(scope).into(),
        };
        v8::tc_scope!(let scope, scope);
        let props = match target.props {
            Some(Props::Value(message)) => values::read(scope, message),
            Some(Props::Json(text)) => {
                let text = string(scope, &text);
                v8::json::parse(scope, text)
            }
            None => Some(v8::Object::new(scope).into()),
        };
        if let Some(props) = props {
            body(scope, entrypoint, props);
        }
        if scope.has_terminated() {
            // Whoever stopped it has told the caller.
            return context::finish(scope, id);
        }
        if let Some(exception) = scope.exception() {
            scope.reset();
            let error = fetch::error_of(scope, exception);
            answer.fail(error);
            context::finish(scope, id);
        }
    });
    worker.deliver(Some(charged.clone()), work);
    charged
}

fn rejected(scope: &mut v8::PinScope<'_, '_>, reasons: Vec<v8::Global<v8::Value>>) {
    for reason in reasons {
        let value = v8::Local::new(scope, reason);
        unhandled(scope, value);
    }
}

/// The end of each message: contexts that are done are closed, invocations that are over end.
fn after_message(scope: &mut v8::PinScope<'_, '_>, stopped: bool) {
    if stopped {
        // Runtime scripts may have been stopped half-way, `finally` blocks and all.
        realm::call(scope, "rpc/values", "resetAfterStop", &[]);
    }
    let current = context::leave(scope);
    for id in context::take_done(scope) {
        context::close(scope, id);
    }
    if current != 0 && context::is_open(scope, current) {
        end_if_over(scope, current);
    }
}

/// An invocation past its budget ends; so does one that waits for nothing and has not answered.
fn end_if_over(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    if context::meter(scope, id).is_some_and(|m| m.is_over()) {
        return context::close(scope, id);
    }
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    let answer = invocation.answer.clone();
    if context::is_waiting(scope, id) {
        if answer.is_given() {
            linger(scope, id);
        }
        return;
    }
    let number = v8::Integer::new_from_unsigned(scope, id);
    let hosts =
        realm::call(scope, HOOKS_SCRIPT, "isReachable", &[number.into()]).is_some_and(|v| v.is_true());
    if !hosts {
        // After an answer: what `waitUntil` waits for will never come, nor will the rest of a body.
        let owes_body = body::fail_pipes(scope, id, HUNG);
        if owes_body || !answer.is_given() {
            let now = context::environment(scope).clock.now_ms();
            if let Some(invocation) = context::data::<Invocation>(scope, id) {
                invocation.traced(|trace| trace.exception(now, "Error", HUNG, &ExceptionReport::default()));
            }
        }
        answer.fail(RemoteError::error(HUNG));
        context::close(scope, id);
    }
}

/// After its answer an invocation may go on for a while (`waitUntil`), longer only while others hold its objects or read
/// its streams.
fn linger(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    if invocation.lingers.is_some() {
        return;
    }
    // Not by way of the Worker: should it have started again, the number means another context there.
    let isolate = context::environment(scope).isolate.clone();
    let lingers = Task::spawn(async move {
        loop {
            tokio::time::sleep(limits::AFTER_ANSWER).await;
            let Some(isolate) = isolate.upgrade() else { return };
            let (done, ended) = tokio::sync::oneshot::channel();
            isolate.send(Envelope::unmetered(move |scope| {
                let number = v8::Integer::new_from_unsigned(scope, id);
                let hosts = realm::call(scope, HOOKS_SCRIPT, "isReachable", &[number.into()]);
                let needed = hosts.is_some_and(|v| v.is_true()) || body::has_open_pipe(scope, id);
                if context::is_open(scope, id) && !needed {
                    context::close(scope, id);
                }
                let _ = done.send(context::is_open(scope, id));
            }));
            drop(isolate);
            if !ended.await.unwrap_or(false) {
                return;
            }
        }
    });
    if let Some(invocation) = context::data::<Invocation>(scope, id) {
        invocation.lingers = Some(lingers);
    }
}

fn unhandled(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) {
    let report = ExceptionReport::read(scope, value, None);
    let text = report.stack.clone().unwrap_or_else(|| report.to_text());
    atoll_web::basics::write_log(scope, "error", &format!("Uncaught (in promise) {text}"));
}

fn uncaught(scope: &mut v8::PinScope<'_, '_>, report: ExceptionReport) {
    let text = report.stack.clone().unwrap_or_else(|| report.to_text());
    atoll_web::basics::write_log(scope, "error", &format!("Uncaught {text}"));
}

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "respond" => respond,
        "respondError" => respond_error,
        "testDone" => test_done,
        "abortContext" => abort_context,
        "callerGone" => cancellation::caller_gone,
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
    trace_exception(scope, args.get(0));
    let own = scope.get_slot::<Own>().is_some_and(|own| !own.dynamic);
    if own {
        // Nobody but the log tells the developer where a project's own code failed.
        let report = ExceptionReport::read(scope, args.get(0), None);
        let text = report.stack.clone().unwrap_or_else(|| report.to_text());
        atoll_web::basics::write_log(scope, "error", &format!("Uncaught {text}"));
    }
    let error = fetch::error_of(scope, args.get(0));
    answer.fail(error);
}

/// The limits of the current invocation; those of a Worker's own calls to itself can be no larger.
pub(crate) fn current_limits(scope: &mut v8::PinScope<'_, '_>) -> CodeLimits {
    let id = context::current(scope);
    context::data::<Invocation>(scope, id).map(|invocation| invocation.limits).unwrap_or_default()
}

fn trace_of(scope: &mut v8::PinScope<'_, '_>) -> Option<Arc<Trace>> {
    let id = context::current(scope);
    context::data::<Invocation>(scope, id).and_then(|invocation| invocation.trace.clone())
}

fn trace_exception(scope: &mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>) {
    let Some(trace) = trace_of(scope) else { return };
    let now = context::environment(scope).clock.now_ms();
    let report = ExceptionReport::read(scope, exception, None);
    let error = fetch::error_of(scope, exception);
    trace.exception(now, &error.name, &error.message, &report);
}

/// Console lines of a Worker with tails go into the trace, and nowhere else.
pub(crate) fn log_hook(
    scope: &mut v8::PinScope<'_, '_>,
    level: &str,
    _text: &str,
    arguments: v8::Local<v8::Value>,
) -> bool {
    let Some(trace) = trace_of(scope) else { return true };
    let now = context::environment(scope).clock.now_ms();
    let message = realm::call(scope, HOOKS_SCRIPT, "traceArguments", &[arguments]);
    if let Some(message) = message {
        trace.log(now, level, &message.to_rust_string_lossy(scope));
    }
    true
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
        answer.fail(RemoteError { remote: false, ..error.clone() });
    }
    atoll_rpc::server::fail_calls(scope, id, &error);
    context::finish(scope, id);
}

/// Does work in a Worker behind a call that it got, on the account of the invocation where that call landed.
pub(crate) fn follow(worker: &Worker, landing: Option<&Landing>, work: atoll_rpc::call::Followup) {
    let meter = match landing {
        Some(landing) => landing.meter.clone(),
        None => Arc::new(Meter::new(worker.limits().cpu)),
    };
    worker.follow(
        Some(meter),
        Box::new(move |admission| match admission {
            Admission::Inside(scope) => work(Some(scope)),
            Admission::Refused(_) => work(None),
        }),
    );
}
