//! One event in a Worker: its I/O context, its answer, its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_isolate::actor::Hooks;
use atoll_isolate::error::{ExceptionReport, string};
use atoll_isolate::values::{self, Message};
use atoll_isolate::{JsError, Meter, Native, arguments, natives, realm, v8};
use atoll_rpc::call::{Call, Reply};
use atoll_web::body;
use atoll_web::context::{self, ContextData, ContextId};
use atoll_web::fetch;
use atoll_web::fetcher::{FetchRequest, FetchResponse, RemoteError, Responder};
use atoll_web::usage::{self, Counts};

use serde_json::{Value, json};

use crate::code::CodeLimits;
use crate::limits;
use crate::tail::{self, Trace};
use crate::usage::{Outcome, Usage, Verdict};
use crate::worker::{Admission, HOOKS_SCRIPT, Own, Work, Worker};

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
pub(crate) struct Answer(Mutex<Option<Waiting>>, AtomicBool, Verdict);

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
        Arc::new(Self(Mutex::new(Some(waiting)), AtomicBool::new(false), Verdict::default()))
    }

    /// Says how the invocation ends, unless that is known.
    pub(crate) fn conclude(&self, outcome: Outcome) {
        self.2.set(outcome);
    }

    fn take(&self) -> Option<Waiting> {
        self.1.store(true, Ordering::Release);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_given(&self) -> bool {
        self.1.load(Ordering::Acquire)
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
    meter: Arc<Meter>,
    entrypoint: Option<String>,
    event: &'static str,
    /// When it began, by the monotonic clock.
    began: Duration,
    /// Whether its first message is still the only one.
    first_message: bool,
    /// Whether somebody looks after it since its answer.
    lingers: bool,
}

impl Invocation {
    fn traced(&self, record: impl FnOnce(&Trace)) {
        if let Some(trace) = &self.trace {
            record(trace);
        }
    }
}

/// Messages shorter than this are charged their wall time, see the scheduler's watchdog.
const SHORT: Duration = Duration::from_micros(250);

impl Invocation {
    /// The time from its first message to now.
    fn wall(&self) -> Duration {
        let cpu = self.meter.used();
        // One short message: what it was charged is its wall time, no look at the clock needed.
        if self.first_message && !cpu.is_zero() && cpu < SHORT {
            return cpu;
        }
        self.worker.runtime().host.clock.monotonic().saturating_sub(self.began)
    }
}

impl ContextData for Invocation {
    fn ended(self: Box<Self>, counts: Counts) {
        self.worker.settled(self.waiting);
        // The context ended without an answer: nobody will give one any more.
        if !self.answer.is_given() {
            self.answer.conclude(Outcome::Canceled);
            self.answer.fail(crate::worker::gone());
        }
        let outcome = self.answer.2.get().unwrap_or(Outcome::Ok);
        let mut usage = Usage { outcome, cpu: self.meter.used(), wall: self.wall(), counts };
        if outcome == Outcome::ExceededMemory {
            // No message came to its end for a look: but it is known where the isolate was ended.
            usage.counts.peak_memory = usage.counts.peak_memory.max(limits::HEAP_BYTES as u64);
        }
        self.worker.account().add(&usage);
        usage.trace(self.worker.name(), self.entrypoint.as_deref(), self.event);
        if let Some(trace) = &self.trace {
            trace.deliver(self.entrypoint.as_deref(), &usage);
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
    let answer = Answer::new(Waiting::Fetch(respond));
    let event = if worker.may_be_traced() { tail::describe_request(&request) } else { Value::Null };
    begin(worker, target, limits, answer, ("fetch", event), move |scope, entrypoint, props| {
        let FetchRequest { method, url, headers, body, cf, redirect: _ } = request;
        let headers: Vec<v8::Local<v8::Value>> = headers.iter().map(|h| string(scope, h).into()).collect();
        let headers = v8::Array::new_with_elements(scope, &headers);
        let method = string(scope, &method);
        let url = string(scope, &url);
        let body = body::to_value(scope, body);
        let cf = match cf {
            Some(cf) => string(scope, &cf).into(),
            None => v8::undefined(scope).into(),
        };
        let arguments = [entrypoint, props, method.into(), url.into(), headers.into(), body, cf];
        realm::call(scope, HOOKS_SCRIPT, "fetch", &arguments);
    });
}

/// Starts an invocation for a call.
pub(crate) fn call_event(worker: &Worker, target: Target, limits: CodeLimits, call: Call) {
    let Call { path, arguments, reply, question } = call;
    let answer = Answer::new(Waiting::Call(reply));
    let settled = answer.clone();
    let reply = Reply::new(move |outcome| settled.settle(outcome));
    let event = if worker.may_be_traced() { json!({ "rpcMethod": path.join(".") }) } else { Value::Null };
    let call = Call { path, arguments, reply, question };
    begin(worker, target, limits, answer, ("rpc", event), move |scope, entrypoint, props| {
        let target = v8::Array::new_with_elements(scope, &[entrypoint, props]);
        atoll_rpc::server::run_in(scope, HOOKS_SCRIPT, "call", target.into(), call);
    });
}

/// Runs the `test` handler of an entrypoint.
pub fn test_event(
    worker: &Worker,
    entrypoint: Option<String>,
    report: impl FnOnce(Result<(), Failure>) + Send + 'static,
) {
    let answer = Answer::new(Waiting::Test(Box::new(report)));
    let target = Target { entrypoint, props: None };
    begin(worker, target, worker.limits(), answer, ("test", Value::Null), |scope, entrypoint, props| {
        realm::call(scope, HOOKS_SCRIPT, "test", &[entrypoint, props]);
    });
}

/// Delivers traces, a JSON list, to the `tail` handler of an entrypoint.
pub(crate) fn tail_event(worker: &Worker, target: Target, events: Arc<str>) {
    let answer = Answer::new(Waiting::Test(Box::new(|_| {})));
    begin(worker, target, worker.limits(), answer, ("tail", Value::Null), move |scope, entrypoint, props| {
        let events = string(scope, &events);
        realm::call(scope, HOOKS_SCRIPT, "tail", &[entrypoint, props, events.into()]);
    });
}

/// Opens a context for an event (its kind, and what tails see of it) and runs `body` in it.
fn begin(
    worker: &Worker,
    target: Target,
    limits: CodeLimits,
    answer: Arc<Answer>,
    event: (&'static str, Value),
    body: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, v8::Local<'s, v8::Value>, v8::Local<'s, v8::Value>)
    + Send
    + 'static,
) {
    let meter = Arc::new(Meter::new(limits.cpu));
    let over = answer.clone();
    let name = worker.name().to_owned();
    meter.on_over(move |meter| {
        over.conclude(Outcome::ExceededCpu);
        over.fail(RemoteError::error(format!(
            "Worker \"{name}\" exceeded its CPU time limit of {} ms.",
            meter.limit().as_millis()
        )));
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
        let began = holder.touch();
        // Known only now: a Worker that is still loading has no limits of its own yet.
        let limits = limits.lower(holder.limits());
        meter.lower(limits.cpu);
        let tails = holder.tails();
        let trace = (!tails.is_empty()).then(|| {
            let now = holder.runtime().host.clock.now_ms();
            Trace::new(tails, now, event.1)
        });
        let waiting = holder.expect(&answer);
        let entrypoint = match &target.entrypoint {
            Some(name) => string(scope, name).into(),
            None => v8::undefined(scope).into(),
        };
        let traced = trace.is_some();
        let invocation = Invocation {
            worker: holder,
            answer: answer.clone(),
            waiting,
            trace,
            limits,
            meter: meter.clone(),
            entrypoint: target.entrypoint,
            event: event.0,
            began,
            first_message: true,
            lingers: false,
        };
        let id = context::open(scope, meter, limits.sub_requests, Box::new(invocation));
        context::enter(scope, id);
        if traced {
            usage::look_always(scope, id);
        }
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
            answer.conclude(Outcome::Exception);
            answer.fail(error);
            context::finish(scope, id);
        }
    });
    worker.deliver(Some(charged), work);
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
    if current != 0 {
        usage::message_ended(scope, current);
    }
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
    invocation.first_message = false;
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
        // After an answer: what `waitUntil` waits for will never come.
        if !answer.is_given() {
            hung(scope, id);
        }
        answer.fail(RemoteError::error(HUNG));
        context::close(scope, id);
    }
}

fn hung(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let now = context::environment(scope).clock.now_ms();
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    invocation.answer.conclude(Outcome::Exception);
    invocation.traced(|trace| trace.exception(now, "Error", HUNG, &ExceptionReport::default()));
}

/// After its answer an invocation may go on for a while (`waitUntil`), longer only while others hold its objects or read
/// its streams.
fn linger(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    if std::mem::replace(&mut invocation.lingers, true) {
        return;
    }
    let worker = invocation.worker.downgrade();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(limits::AFTER_ANSWER).await;
            let Some(worker) = worker.upgrade() else { return };
            let (done, ended) = tokio::sync::oneshot::channel();
            worker.deliver(
                None,
                Box::new(move |admission| {
                    let Admission::Inside(scope) = admission else { return };
                    let number = v8::Integer::new_from_unsigned(scope, id);
                    let hosts = realm::call(scope, HOOKS_SCRIPT, "isReachable", &[number.into()]);
                    let needed = hosts.is_some_and(|v| v.is_true()) || body::has_open_pipe(scope, id);
                    if context::is_open(scope, id) && !needed {
                        context::close(scope, id);
                    }
                    let _ = done.send(context::is_open(scope, id));
                }),
            );
            drop(worker);
            if !ended.await.unwrap_or(false) {
                return;
            }
        }
    });
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
    let body = body::argument(scope, args.get(3));
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

/// The trace of the current invocation, where it has one.
pub(crate) fn trace_of(scope: &mut v8::PinScope<'_, '_>) -> Option<Arc<Trace>> {
    let id = context::current(scope);
    context::data::<Invocation>(scope, id).and_then(|invocation| invocation.trace.clone())
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

/// `abortContext(exception)` ends the current context; its answers are the exception.
fn abort_context<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let id = context::current(scope);
    if id == 0 {
        return JsError::error(context::GLOBAL_SCOPE).throw(scope);
    }
    if let Some(answer) = answer(scope) {
        if !answer.is_given() {
            answer.conclude(Outcome::Exception);
            tail::on_exception(scope, args.get(0));
        }
        let error = fetch::error_of(scope, args.get(0));
        answer.fail(error);
    }
    context::finish(scope, id);
}

/// Does work in a Worker outside of any invocation.
pub(crate) fn follow(worker: &Worker, work: atoll_rpc::call::Followup) {
    // Guest code may run in it: a call on an answer. Bounded like an invocation; at the limit the call gets no answer.
    let meter = Arc::new(Meter::new(worker.limits().cpu));
    let charged = meter.clone();
    worker.deliver(
        Some(meter),
        Box::new(move |admission| match admission {
            Admission::Inside(scope) => {
                work(Some(scope));
                // The invocation whose answer it was pays.
                if let Some(meter) = context::entered_meter(scope) {
                    charged.pass_on_to(meter);
                }
            }
            Admission::Refused(_) => work(None),
        }),
    );
}
