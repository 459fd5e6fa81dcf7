//! One event in a Worker: its I/O context, its answer, its end.

mod cancellation;
mod end;
mod natives;
mod stalled;

use std::sync::Arc;
use std::time::Duration;

use atoll_isolate::actor::Hooks;
use atoll_isolate::error::{ExceptionReport, string};
use atoll_isolate::values::{self, Message};
use atoll_isolate::{Meter, realm, v8};
use atoll_rpc::budget::Landing;
use atoll_rpc::call::{Call, Reply};
use atoll_rpc::server::Arrival;
use atoll_web::account::{Account, Origin};
use atoll_web::body;
use atoll_web::context::{self, ContextData};
use atoll_web::depth::Depth;
use atoll_web::fetch;
use atoll_web::fetcher::{FetchRequest, RemoteError, Responder};
use atoll_web::report;
use atoll_web::task::Task;
use atoll_web::usage::{self, Counts};

use serde_json::{Value, json};

pub use crate::answer::Failure;
use crate::answer::{Answer, Place, Waiting};
use crate::code::CodeLimits;
use crate::ending::{UnderWay, WallTimer, cpu_text, crowded_text, end_without_time};
use crate::tail::{self, Trace};
use crate::usage::{Outcome, Usage};
use crate::worker::{Admission, EVENTS_SCRIPT, HOOKS_SCRIPT, Work, Worker};

use end::after_message;
pub(crate) use natives::natives;
pub(crate) use stalled::Stalled;

/// Hooks of every Worker's isolate.
pub(crate) const HOOKS: Hooks = Hooks { uncaught, rejected: report::rejected, after_message };

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
    /// Its request is sent on, should its handler fail.
    pass_through: bool,
    /// When it began, by the monotonic clock.
    began: Duration,
    /// Looks after it since its answer.
    lingers: Option<Task>,
    /// Looks after it while it waits for what others do.
    stalls: Option<Task>,
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

    /// Whether its request passes through now that its handler failed; it does so once.
    fn passes_through(&mut self) -> bool {
        std::mem::take(&mut self.pass_through) && self.event == "fetch" && !self.answer.is_given()
    }

    fn time_out_after(&mut self, limit: Duration) {
        let timer = WallTimer::start(&self.worker, limit, self.answer.clone(), self.meter.clone());
        self.wall = Some(timer);
    }
}

impl ContextData for Invocation {
    fn ended(self: Box<Self>, mut counts: Counts) {
        let now = self.worker.settled(self.waiting);
        // The context ended without an answer: nobody will give one any more.
        if !self.answer.is_given() {
            self.answer.conclude(Outcome::Canceled);
            self.answer.fail(crate::worker::gone());
        }
        // Where its memory ended it, no message came to its end for a look.
        counts.peak_memory = counts.peak_memory.max(self.answer.memory());
        let outcome = self.answer.outcome().unwrap_or(Outcome::Ok);
        let usage = Usage { outcome, cpu: self.meter.used(), wall: now.saturating_sub(self.began), counts };
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
    mut respond: Responder,
) {
    respond.counts_for(request.origin.sender.as_ref().or(worker.sender()).cloned());
    let work = respond.work();
    let answer = Answer::new(Waiting::Fetch(respond));
    cancellation::watch(&work, &answer);
    let event = if worker.may_be_traced() { tail::describe_request(&request) } else { Value::Null };
    let charge = match worker.inbox().take_from(request.origin.sender.as_ref(), request.size()) {
        Ok(charge) => charge,
        Err(error) => return answer.fail(error),
    };
    let start = Start::new(worker, &request.origin, (target, limits), answer, ("fetch", event));
    begin(worker, start, move |scope, entrypoint, props| {
        let FetchRequest { method, url, headers, body, cf, origin: _, network: _ } = request;
        let headers: Vec<v8::Local<v8::Value>> =
            headers.flat().iter().map(|h| string(scope, h).into()).collect();
        let headers = v8::Array::new_with_elements(scope, &headers);
        let method = string(scope, method.as_str());
        let url = string(scope, url.as_str());
        let body = body::to_value(scope, body);
        let cf = match cf {
            Some(cf) => string(scope, cf.as_str()).into(),
            None => v8::undefined(scope).into(),
        };
        drop(charge);
        let arguments = [entrypoint, props, method.into(), url.into(), headers.into(), body, cf];
        realm::call(scope, EVENTS_SCRIPT, "fetch", &arguments);
    });
}

/// Starts an invocation for a call.
pub(crate) fn call_event(worker: &Worker, target: Target, limits: CodeLimits, call: Call) {
    let inbox = worker.inbox();
    let charge = match inbox.take_from(call.origin.sender.as_ref(), call.size()) {
        Ok(charge) => Some(charge),
        Err(error) => return call.reply.settle(Err(error)),
    };
    let answer = Answer::new(Waiting::Call(call.reply));
    let settled = answer.clone();
    let reply = Reply::new(move |outcome| settled.settle(outcome));
    let event =
        if worker.may_be_traced() { json!({ "rpcMethod": call.path.join(".") }) } else { Value::Null };
    let start = Start::new(worker, &call.origin, (target, limits), answer, ("rpc", event));
    // Before it can be answered: the answer counts for whom the invocation does.
    call.question.land(Arc::new(Landing { account: start.account.clone(), inbox }));
    let call = Call { reply, charge, ..call };
    begin(worker, start, move |scope, entrypoint, props| {
        let target = v8::Array::new_with_elements(scope, &[entrypoint, props]).into();
        let arrival = Arrival { script: HOOKS_SCRIPT, entry: "call", target, behalf: None };
        atoll_rpc::server::run(scope, arrival, call);
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
    let origin = Origin::default();
    let start = Start::new(worker, &origin, (target, worker.limits()), answer, ("test", Value::Null));
    begin(worker, start, |scope, entrypoint, props| {
        realm::call(scope, EVENTS_SCRIPT, "test", &[entrypoint, props]);
    });
}

/// Delivers traces, a JSON list, to the `tail` handler of an entrypoint.
pub(crate) fn tail_event(worker: &Worker, target: Target, events: Arc<str>, origin: &Origin) {
    let charge = match worker.inbox().take_from(origin.sender.as_ref(), events.len()) {
        Ok(charge) => charge,
        // Nobody waits for it who could be told.
        Err(error) => return tracing::debug!(error = error.message, "a tail event is left out"),
    };
    let answer = Answer::new(Waiting::Test(Box::new(|_| {})));
    let start = Start::new(worker, origin, (target, worker.limits()), answer, ("tail", Value::Null));
    begin(worker, start, move |scope, entrypoint, props| {
        let events = string(scope, &events);
        drop(charge);
        realm::call(scope, EVENTS_SCRIPT, "tail", &[entrypoint, props, events.into()]);
    });
}

/// What an invocation starts with.
struct Start {
    target: Target,
    limits: CodeLimits,
    account: Arc<Account>,
    answer: Arc<Answer>,
    /// Its kind, and what tails see of it.
    event: (&'static str, Value),
    depth: Depth,
    under_way: Result<UnderWay, RemoteError>,
}

impl Start {
    fn new(
        worker: &Worker,
        origin: &Origin,
        (target, limits): (Target, CodeLimits),
        answer: Arc<Answer>,
        event: (&'static str, Value),
    ) -> Self {
        let account = Account::open(origin, worker.id(), worker.sender(), limits.cpu);
        let under_way = UnderWay::take(worker, origin);
        Self { target, limits, account, answer, event, depth: origin.depth, under_way }
    }
}

/// Ends an invocation that is past a budget of CPU time: its caller is told, its context closed.
fn end_with_meter(worker: &Worker, meter: &Arc<Meter>, answer: Arc<Answer>) {
    let worker = worker.downgrade();
    meter.on_over(move |meter| {
        let worker = worker.upgrade();
        let name = worker.as_ref().map_or("", Worker::name);
        let (outcome, text) = match meter.is_shed() {
            true => (Outcome::LoadShed, crowded_text(name)),
            false => (Outcome::ExceededCpu, cpu_text(name, meter.passed())),
        };
        meter.set_reason(&text);
        answer.exceeded(outcome, RemoteError::error(text));
        answer.close_context();
    });
    meter.follow_source();
}

/// Opens a context for an event and runs `body` in it.
fn begin(
    worker: &Worker,
    start: Start,
    body: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, v8::Local<'s, v8::Value>, v8::Local<'s, v8::Value>)
    + Send
    + 'static,
) {
    let Start { target, limits, account, answer, event, depth, under_way } = start;
    let under_way = match under_way {
        Ok(under_way) => under_way,
        Err(error) => return answer.fail(error),
    };
    let meter = account.meter().clone();
    end_with_meter(worker, &meter, answer.clone());
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
        if let Some(limit) = limits.sub_requests {
            account.limit_sub_requests(limit);
        }
        let tails = holder.tails();
        let trace = (!tails.is_empty()).then(|| {
            let now = holder.runtime().host.clock.now_ms();
            Trace::new(tails, now, event.1, depth, account.clone())
        });
        let waiting = holder.expect(&answer);
        let entrypoint = match &target.entrypoint {
            Some(name) => string(scope, name).into(),
            None => v8::undefined(scope).into(),
        };
        let traced = trace.is_some();
        let place = Place {
            isolate: context::environment(scope).isolate.clone(),
            context: 0,
            meter: Arc::downgrade(&meter),
        };
        end_without_time(&holder, limits, &answer, &meter);
        let invocation = Invocation {
            worker: holder,
            answer: answer.clone(),
            waiting,
            trace,
            limits,
            meter,
            entrypoint: target.entrypoint,
            event: event.0,
            pass_through: false,
            began,
            lingers: None,
            stalls: None,
            under_way,
            wall: None,
        };
        let id = context::open(scope, account, depth, Box::new(invocation));
        if let (Some(limit), Some(invocation)) = (limits.wall, context::data::<Invocation>(scope, id)) {
            invocation.time_out_after(limit);
        }
        if traced {
            usage::look_always(scope, id);
        }
        context::enter(scope, id);
        answer.work_is_in(Place { context: id, ..place });
        if answer.is_given() {
            // Out of time already, or given up a moment ago, by somebody who did not know the place yet.
            answer.conclude(Outcome::Canceled);
            return context::finish(scope, id);
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
    worker.deliver(charged, work);
}

fn uncaught(scope: &mut v8::PinScope<'_, '_>, report: ExceptionReport) {
    report::log(scope, "Uncaught", &report);
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

/// Does work in a Worker behind a call that it got, on the account of the invocation where that call landed.
pub(crate) fn follow(worker: &Worker, landing: Option<&Landing>, work: atoll_rpc::call::Followup) {
    let meter = match landing {
        Some(landing) => landing.account.meter().clone(),
        None => Arc::new(Meter::new(worker.limits().cpu)),
    };
    worker.follow(
        meter,
        Box::new(move |admission| match admission {
            Admission::Inside(scope) => work(Some(scope)),
            Admission::Refused(_) => work(None),
        }),
    );
}
