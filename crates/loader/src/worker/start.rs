//! How a Worker starts: an isolate from the pool, its environment, its modules, its `env`.

use std::sync::{Arc, PoisonError};

use atoll_host::network;
use atoll_isolate::actor::End;
use atoll_isolate::error::ExceptionReport;
use atoll_isolate::modules::{self, Bundle, Registry};
use atoll_isolate::{Envelope, Heap, Isolate, MemoryEnd, Meter, memory, realm, v8, values};
use atoll_rpc::ServiceCap;
use atoll_web::context::{self, Environment};
use atoll_web::fetcher::RemoteError;

use crate::code::{Binding, EnvSource, WorkerCode};
use crate::ending::{
    crowded_text, machine_code_text, memory_text, process_memory_text, runtime_text, startup_text, tasks_text,
};
use crate::manifest::{BUILTINS, NODE_BUILTINS};
use crate::usage::Outcome;
use crate::{invocation, limits, tail};

use super::{Given, HOOKS_SCRIPT, Own, Settings, State, Worker, new_bodies, new_inbox};

impl Worker {
    /// Gives it its code: takes a blank isolate and starts in it.
    pub fn start(&self, code: WorkerCode) {
        let _ = self.0.settings.set(Settings { limits: code.limits, tails: code.tails.clone() });
        let code = Arc::new(code);
        if code.is_repeatable() {
            let _ = self.0.code.set(code.clone());
            if code.dynamic {
                self.0.runtime.may_sleep(self);
            }
        }
        self.request_heap(code);
    }

    pub(super) fn request_heap(&self, code: Arc<WorkerCode>) {
        let runtime = &self.0.runtime;
        if code.dynamic {
            runtime.metrics.loading(self.account(), &code, runtime.host.clock.now_ms());
        }
        // What ended an isolate before this one is none of its callers' business.
        *self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner) =
            new_inbox(&self.0.name, self.0.sender.clone());
        let weak = self.downgrade();
        runtime.pool.request(move |heap| {
            // Nobody holds the Worker any more: the heap goes back unused, to be dropped.
            match (weak.upgrade(), heap) {
                (Some(worker), Some(heap)) => worker.start_in(heap, code),
                (Some(worker), None) => worker.found_no_room(),
                (None, heap) => drop(heap),
            }
        });
    }

    fn found_no_room(&self) {
        let limit = match memory::is_full_of_code() {
            true => format!("{} MiB of machine code", memory::marks().code >> 20),
            false => format!("{} isolates", self.0.runtime.isolates),
        };
        let message = format!(
            "Worker \"{}\" found no room: this process may have {limit}, and none became free within {} s.",
            self.0.name,
            limits::ROOM_WAIT.as_secs()
        );
        self.interrupt(RemoteError::error(message), Outcome::LoadShed);
    }

    fn start_in(&self, heap: Heap, code: Arc<WorkerCode>) {
        let runtime = &self.0.runtime;
        let isolate = Isolate::new(
            heap,
            invocation::HOOKS,
            runtime.scheduler.clone(),
            runtime.pool.clone(),
            self.0.home,
        );
        match &mut *self.state() {
            State::Loading { isolate: slot, .. } => *slot = Some(isolate.clone()),
            // It ended while it waited for the heap.
            _ => return isolate.close(),
        }
        isolate.set_memory_limit(code.limits.memory);
        if !code.dynamic {
            isolate.spare();
        }
        let weak = self.downgrade();
        let actor = isolate.downgrade();
        isolate.on_end(move |end| {
            if let (Some(worker), Some(isolate)) = (weak.upgrade(), actor.upgrade()) {
                worker.isolate_ended(&isolate, end);
            }
        });
        let meter = Arc::new(Meter::new(limits::STARTUP_CPU));
        let weak = self.downgrade();
        meter.on_over(move |meter| {
            let Some(worker) = weak.upgrade() else { return };
            match meter.is_shed() {
                true => worker.interrupt(RemoteError::error(crowded_text(&worker.0.name)), Outcome::LoadShed),
                false => worker.fail(RemoteError::error(startup_text(&worker.0.name))),
            }
        });
        let weak = self.downgrade();
        let (actor, own) = (isolate.downgrade(), isolate.downgrade());
        isolate.send(Envelope::new(meter, move |scope| {
            let Some(worker) = weak.upgrade() else { return };
            let bodies = new_bodies(&worker.0.name, code.dynamic);
            let environment = Environment {
                isolate: actor,
                name: worker.0.name.clone(),
                outbound: code.outbound.clone(),
                clock: worker.0.runtime.host.clock.clone(),
                random: worker.0.runtime.host.random.clone(),
                log: worker.0.runtime.host.log.clone(),
                flags: code.flags.clone(),
                max_timers: limits::TIMERS,
                max_handles: limits::HANDLES,
                max_streams: limits::STREAMS,
                inbox: worker.inbox(),
                network: network::Sender::new(bodies.clone()),
                bodies,
            };
            context::set_environment(scope, environment);
            if !code.tails.is_empty() {
                atoll_web::basics::set_log_hook(scope, tail::on_log);
                atoll_web::report::set_error_hook(scope, tail::on_exception);
            }
            scope.set_slot(Own { worker: weak.clone(), dynamic: code.dynamic });
            scope.set_slot(invocation::Stalled::default());
            scope.set_slot(Given {
                date: code.date.clone(),
                flags: code.given_flags.clone(),
                outbound: code.outbound.clone(),
            });
            let isolate = own.upgrade();
            match begin(scope, &code) {
                Ok(()) => worker.started(),
                Err(Some(error)) => return worker.fail(error),
                // Whoever stopped it says why: the meter's owner, or the isolate at its end.
                Err(None) => return,
            }
            // In a message of its own, behind the events that waited: nobody waits for it, and what they ran is kept too.
            if let Some(isolate) = isolate.filter(|_| modules::has_code_to_keep(scope)) {
                isolate.send(Envelope::without_guest_code(modules::keep_code));
            }
        }));
    }

    /// Its isolate ended, though nobody closed it.
    fn isolate_ended(&self, isolate: &Isolate, end: End) {
        let live = match &*self.state() {
            State::Live(own) if own.same(isolate) => true,
            State::Loading { isolate: Some(own), .. } if own.same(isolate) => false,
            _ => return,
        };
        let (message, outcome) = match end {
            End::Memory(end) => (self.out_of_memory(isolate, end), Outcome::ExceededMemory),
            End::Tasks => (tasks_text(&self.0.name), Outcome::ExceededCpu),
            End::Runtime => (runtime_text(&self.0.name), Outcome::ExceededCpu),
            End::Crashed => ("internal error".to_owned(), Outcome::InternalError),
            End::Closed => return,
        };
        self.inbox().end(&message);
        if self.0.code.get().is_some_and(|code| !code.dynamic) {
            tracing::warn!(
                worker = self.0.name,
                reason = message,
                "the Worker ended and starts again when it is needed"
            );
        }
        let error = RemoteError::error(message);
        if live { self.interrupt(error, outcome) } else { self.fail(error) }
    }
}

impl Worker {
    /// Tells what is under way how much memory there was; gives the text for its callers.
    fn out_of_memory(&self, isolate: &Isolate, end: MemoryEnd) -> String {
        let limit = isolate.memory_limit();
        let (bytes, text) = match end {
            MemoryEnd::Isolate => (limit, memory_text(&self.0.name, limit)),
            MemoryEnd::Process => (isolate.memory(), process_memory_text(&self.0.name)),
            MemoryEnd::Code => (isolate.memory(), machine_code_text(&self.0.name)),
        };
        self.waiting().values().for_each(|answer| answer.ran_out_of_memory(bytes));
        text
    }
}

/// Evaluates the code and hands namespace and `env` to the dispatch script. The error is missing when a limit stopped it.
fn begin(scope: &mut v8::PinScope<'_, '_>, code: &WorkerCode) -> Result<(), Option<RemoteError>> {
    let has = |flag: &str| code.flags.iter().any(|f| f == flag);
    let mut builtins = BUILTINS.to_vec();
    if has("nodejs_compat") || has("nodejs_compat_v2") {
        builtins.extend_from_slice(NODE_BUILTINS);
    }
    let bundle = Bundle {
        main: code.main.clone(),
        modules: code.modules.clone(),
        aliases: code.aliases.clone(),
        builtins,
        bare_node_names: has("nodejs_compat_v2"),
        registry: if has("new_module_registry") {
            Registry::Urls
        } else {
            Registry::Paths { refuse_attributes: has("throw_on_unrecognized_import_assertion") }
        },
    };
    modules::allow_code_generation(scope, has("allow_eval_during_startup"));
    v8::tc_scope!(let scope, scope);
    // `env` is importable, so it has to be there before the first module is evaluated.
    let env = match &code.env {
        EnvSource::Value(message) => values::read(scope, message.clone()).map(|value| (value, false)),
        EnvSource::Bindings(bindings) => Some((bindings_value(scope, bindings), true)),
    };
    let prepared = env.and_then(|(env, bindings)| {
        let bindings = v8::Boolean::new(scope, bindings);
        realm::call(scope, HOOKS_SCRIPT, "prepare", &[env, bindings.into()])
    });
    if prepared.is_none() {
        let message = message_of(scope);
        return Err((!message.is_empty()).then(|| failed(&message)));
    }
    let namespace = modules::start(scope, bundle).map_err(start_error)?;
    modules::allow_code_generation(scope, false);
    if realm::call(scope, HOOKS_SCRIPT, "start", &[namespace.into()]).is_none() {
        let message = message_of(scope);
        return Err((!message.is_empty()).then(|| failed(&format!("Uncaught {message}"))));
    }
    Ok(())
}

/// What was thrown, without asking it: its own words could be as long as a guest likes, or run for ever.
fn message_of(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>) -> String {
    let Some(exception) = scope.exception().filter(|_| !scope.has_terminated()) else { return String::new() };
    scope.reset();
    ExceptionReport::read(scope, exception, None).message
}

fn start_error(error: modules::StartError) -> Option<RemoteError> {
    use modules::StartError;
    match error {
        StartError::Refused(_) | StartError::Exception(_) => Some(failed(&format!("Uncaught {error}"))),
        StartError::Terminated => None,
    }
}

fn failed(why: &str) -> RemoteError {
    RemoteError::error(format!("Failed to start Worker:\n{why}"))
}

fn bindings_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bindings: &[(String, Binding)],
) -> v8::Local<'s, v8::Value> {
    let mut flat: Vec<v8::Local<v8::Value>> = Vec::with_capacity(bindings.len() * 3);
    for (name, binding) in bindings {
        let (kind, value): (&str, v8::Local<v8::Value>) = match binding {
            Binding::Json(text) => ("json", atoll_isolate::error::string(scope, text).into()),
            Binding::Service(service) => {
                let handle = context::add_resource(scope, 0, Arc::new(ServiceCap(service.clone())));
                ("service", v8::Integer::new_from_unsigned(scope, handle).into())
            }
            Binding::Loader(loader) => {
                let handle = context::add_resource(scope, 0, loader.clone());
                ("loader", v8::Integer::new_from_unsigned(scope, handle).into())
            }
        };
        flat.push(atoll_isolate::error::string(scope, name).into());
        flat.push(atoll_isolate::error::string(scope, kind).into());
        flat.push(value);
    }
    v8::Array::new_with_elements(scope, &flat).into()
}
