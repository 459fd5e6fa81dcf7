//! `env.LOADER`: the natives under `load`, `get` and `getEntrypoint`. Validation and its error texts are in
//! `js/code.js`; what arrives here has the right types.

use std::sync::Arc;
use std::time::Duration;

use atoll_isolate::error::{MAX_MESSAGE, start_of, string};
use atoll_isolate::modules::ModuleSource;
use atoll_isolate::values;
use atoll_isolate::{JsError, Native, arguments, natives, v8};
use atoll_rpc::{Service, ServiceCap};
use atoll_web::context;
use atoll_web::fetch;
use atoll_web::fetcher::{Fetcher, NoOutbound, RemoteError};

use crate::code::{CodeLimits, EnvSource, WorkerCode};
use crate::entrypoint::Entrypoint;
use crate::invocation::{self, Props};
use crate::loader::Loader;
use crate::metrics::{Eviction, Label};
use crate::worker::{Given, LoadGuard, Own, Turn, Worker, own};
use crate::{compatibility, limits};

/// What a small child keeps resident, as its parent's collector is told.
const CHILD_BYTES: i64 = 1 << 20;

/// A Worker in a resource table, for a `WorkerStub`.
struct WorkerCap(Worker);

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "loaderLoad" => loader_load,
        "loaderGet" => loader_get,
        "loaderEvict" => loader_evict,
        "loaderProvide" => loader_provide,
        "loaderFail" => loader_fail,
        "workerEntrypoint" => worker_entrypoint,
        "loopback" => loopback,
        "checkCompatibility" => check_compatibility,
        "givenCompatibility" => given_compatibility,
        "abortIsolate" => abort_isolate,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn new_child(scope: &mut v8::PinScope<'_, '_>, name: String) -> Option<Worker> {
    let parent = own(scope)?;
    Some(Worker::loading_dynamic(parent.runtime().clone(), name, parent.home()))
}

fn new_unnamed_child(scope: &mut v8::PinScope<'_, '_>) -> Option<Worker> {
    let worker = new_child(scope, "dynamic".into())?;
    worker.set_label(Label::unnamed(own(scope)?.name()));
    Some(worker)
}

fn keep(scope: &mut v8::PinScope<'_, '_>, worker: Worker) -> u32 {
    let owner = context::current(scope);
    context::add_heavy_resource(scope, owner, Arc::new(WorkerCap(worker)), CHILD_BYTES)
}

/// `loaderLoad(spec)` gives a Worker handle.
fn loader_load<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let Some(worker) = new_unnamed_child(scope) else { return };
    let Some(code) = read_code(scope, args.get(0), worker.name().to_owned()) else { return };
    worker.start(code);
    let handle = keep(scope, worker);
    rv.set_uint32(handle);
}

/// `loaderGet(loader, id or undefined)` gives `[worker, guard, turn]`; the guard is 0 where the Worker has its code.
/// Otherwise `turn` is a promise of whether the caller is to provide that: it may have to wait for others first.
fn loader_get<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let id = arguments::optional_text(scope, &args, 1);
    let Some(loader) = context::resource_as::<Loader>(scope, handle) else { return };
    if let Some(worker) = id.as_ref().and_then(|id| loader.started(id)) {
        worker.touch();
        let worker = keep(scope, worker);
        let handles = [worker, 0].map(|h| v8::Integer::new_from_unsigned(scope, h).into());
        return rv.set(v8::Array::new_with_elements(scope, &handles).into());
    }
    let (promise, completion) = match context::Completion::new(scope) {
        Ok(made) => made,
        Err(error) => return error.throw(scope),
    };
    let turn: Turn = Box::new(move |mine| {
        completion.settle(move |scope| Ok(v8::Boolean::new(scope, mine).into()));
    });
    let found = match id {
        Some(id) => find_or_load(scope, &loader, id, turn),
        None => new_unnamed_child(scope).and_then(|worker| Some((worker.stand_in_line(turn).ok()?, worker))),
    };
    let Some((guard, worker)) = found else { return };
    worker.touch();
    let owner = context::current(scope);
    let guard = guard.map_or(0, |guard| context::add_resource(scope, owner, Arc::new(guard)));
    let worker = keep(scope, worker);
    let [worker, guard] = [worker, guard].map(|h| v8::Integer::new_from_unsigned(scope, h).into());
    rv.set(v8::Array::new_with_elements(scope, &[worker, guard, promise.into()]).into());
}

/// The child of this id, and a place in the line of those who would give it its code.
fn find_or_load(
    scope: &mut v8::PinScope<'_, '_>,
    loader: &Arc<Loader>,
    id: String,
    turn: Turn,
) -> Option<(Option<LoadGuard>, Worker)> {
    // One look under one lock: another lane may ask for the same id at the same time.
    let mut children = loader.children();
    let mut turn = turn;
    if let Some(worker) = children.get(&id).cloned() {
        match worker.stand_in_line(turn) {
            Ok(guard) => return Some((guard, worker)),
            // It failed a moment ago, and is about to be forgotten.
            Err(back) => turn = back,
        }
    }
    let worker = new_child(scope, id.clone())?;
    worker.set_label(Label::named(&id, loader.name()));
    let before = children.insert(id.clone(), worker.clone());
    let weak_loader = Arc::downgrade(loader);
    let weak = worker.downgrade();
    worker.on_failure(move || {
        if let Some(loader) = weak_loader.upgrade() {
            loader.forget(&id, &weak);
        }
    });
    let guard = worker.stand_in_line(turn).ok()?;
    drop(children);
    drop(before);
    Some((guard, worker))
}

/// `loaderEvict(loader, id)`: whether there was such a child.
fn loader_evict<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let id = arguments::text(scope, &args, 1);
    if let Some(loader) = context::resource_as::<Loader>(scope, handle) {
        let evicted = loader.evict(&id);
        if evicted && let Some(worker) = own(scope) {
            worker.runtime().metrics.evicted(Eviction::Explicit, 1);
        }
        rv.set_bool(evicted);
    }
}

/// `loaderProvide(guard, spec)`: the callback gave its code.
fn loader_provide<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some(guard) = context::resource_as::<LoadGuard>(scope, handle) else { return };
    let Some(worker) = guard.worker() else { return };
    let Some(code) = read_code(scope, args.get(1), worker.name().to_owned()) else { return };
    guard.give(code);
    drop(context::release(scope, handle));
}

/// `loaderFail(guard, exception)`: the callback threw, or gave what is no code.
fn loader_fail<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let error = RemoteError { remote: false, ..fetch::error_of(scope, args.get(1)) };
    if let Some(guard) = context::resource_as::<LoadGuard>(scope, handle) {
        guard.fail(error);
        drop(context::release(scope, handle));
    }
}

/// `workerEntrypoint(worker, name or undefined, props, limits or undefined)` gives a service handle.
fn worker_entrypoint<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some(worker) = context::resource_as::<WorkerCap>(scope, handle) else { return };
    let name = arguments::optional_text(scope, &args, 1);
    let Some(props) = read_props(scope, args.get(2)) else { return };
    let limits = read_limits(scope, args.get(3));
    let service = Entrypoint::of_dynamic(worker.0.clone(), name, props, limits);
    let owner = context::current(scope);
    rv.set_uint32(context::add_resource(scope, owner, Arc::new(ServiceCap(service))));
}

/// `loopback(name or undefined, props)` gives a service handle for this Worker's own entrypoint.
fn loopback<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let name = arguments::optional_text(scope, &args, 0);
    let Some(props) = read_props(scope, args.get(1)) else { return };
    let Some((worker, dynamic)) = scope.get_slot::<Own>().map(|own| (own.worker.clone(), own.dynamic)) else {
        return;
    };
    let limits = invocation::current_limits(scope);
    let service = Entrypoint::loopback(worker, name, props, limits, dynamic);
    rv.set_uint32(context::add_resource(scope, 0, Arc::new(ServiceCap(service))));
}

fn read_props<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<Option<Props>> {
    if value.is_undefined() { Some(None) } else { values::write(scope, value).map(|m| Some(Props::Value(m))) }
}

fn get<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    key: &str,
) -> v8::Local<'s, v8::Value> {
    let key = string(scope, key);
    object.get(scope, key.into()).unwrap_or_else(|| v8::undefined(scope).into())
}

fn read_limits<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> CodeLimits {
    let mut result = CodeLimits::default();
    let Ok(object) = v8::Local::<v8::Object>::try_from(value) else { return result };
    let cpu = get(scope, object, "cpuMs");
    if cpu.is_number() {
        let milliseconds = cpu.number_value(scope).unwrap_or(0.0).max(0.0) as u64;
        result.cpu = Duration::from_millis(milliseconds).min(limits::CPU);
    }
    let sub_requests = get(scope, object, "subRequests");
    if sub_requests.is_number() {
        result.sub_requests = sub_requests.uint32_value(scope);
    }
    let wall = get(scope, object, "wallMs");
    if let Some(milliseconds) = wall.is_number().then(|| wall.uint32_value(scope)).flatten() {
        result.wall = Some(Duration::from_millis(u64::from(milliseconds)));
    }
    let memory = get(scope, object, "memoryMb");
    if let Some(mebibytes) = memory.is_number().then(|| memory.uint32_value(scope)).flatten() {
        result.memory = ((mebibytes as usize) << 20).min(limits::HEAP_BYTES);
    }
    result
}

/// Reads the specification that `js/code.js` made: `{ main, modules: [name, kind, content, …], date, flags, on, env,
/// outbound, limits }`. None: an exception is pending.
fn read_code<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    name: String,
) -> Option<WorkerCode> {
    let spec = v8::Local::<v8::Object>::try_from(value).ok()?;
    let main = get(scope, spec, "main").to_rust_string_lossy(scope);
    let date = get(scope, spec, "date").to_rust_string_lossy(scope);
    let given_flags = get(scope, spec, "flags");
    let given_flags = arguments::texts(scope, given_flags);
    let experimental = get(scope, spec, "allowExperimental").is_true();
    let flags = match compatibility::resolve(&date, &given_flags, experimental) {
        Ok(flags) => flags,
        Err(error) => {
            error.throw(scope);
            return None;
        }
    };
    let list = get(scope, spec, "modules");
    let modules = read_modules(scope, v8::Local::<v8::Array>::try_from(list).ok()?)?;
    let env = get(scope, spec, "env");
    let env = values::write(scope, env)?;
    if env.size() > limits::ENV_BYTES {
        JsError::error(format!(
            "Dynamic Worker env size ({} bytes) exceeds the maximum allowed size of {} bytes.",
            env.size(),
            limits::ENV_BYTES
        ))
        .throw(scope);
        return None;
    }
    let outbound = get(scope, spec, "outbound");
    let outbound = read_outbound(scope, outbound)?;
    let tails = get(scope, spec, "tails");
    let tails = read_tails(scope, tails)?;
    let code_limits = get(scope, spec, "limits");
    let code_limits = read_limits(scope, code_limits);
    Some(WorkerCode {
        name,
        main,
        modules: Arc::new(modules),
        aliases: Vec::new(),
        date,
        given_flags,
        flags,
        env: EnvSource::Value(env),
        outbound,
        tails,
        limits: code_limits,
        dynamic: true,
    })
}

fn read_modules<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    flat: v8::Local<'s, v8::Array>,
) -> Option<Vec<(String, ModuleSource)>> {
    let mut modules = Vec::new();
    let mut size = 0;
    for index in (0..flat.length()).step_by(3) {
        let name = v8::Local::<v8::String>::try_from(flat.get_index(scope, index)?).ok()?;
        let name = name.to_rust_string_lossy(scope);
        let kind = flat.get_index(scope, index + 1)?.to_rust_string_lossy(scope);
        let content = flat.get_index(scope, index + 2)?;
        let text = || content.to_rust_string_lossy(scope);
        let source = match kind.as_str() {
            "js" => ModuleSource::Esm(text()),
            "ts" => ModuleSource::Translated(text(), strip_types),
            "js or ts" => ModuleSource::Either(text(), strip_types),
            "cjs" => ModuleSource::CommonJs(text()),
            "text" => ModuleSource::Text(text()),
            "json" => ModuleSource::Json(text()),
            "data" => ModuleSource::Data(arguments::bytes_of(content).unwrap_or_default()),
            _ => match v8::Local::<v8::WasmModuleObject>::try_from(content) {
                Ok(module) => ModuleSource::CompiledWasm(module.get_compiled_module()),
                Err(_) => ModuleSource::Wasm(arguments::bytes_of(content).unwrap_or_default()),
            },
        };
        size += match &source {
            ModuleSource::Translated(t, _) | ModuleSource::Either(t, _) => t.len(),
            ModuleSource::Esm(t)
            | ModuleSource::CommonJs(t)
            | ModuleSource::Text(t)
            | ModuleSource::Json(t) => t.len(),
            ModuleSource::Data(bytes) | ModuleSource::Wasm(bytes) => bytes.len(),
            ModuleSource::CompiledWasm(module) => module.get_wire_bytes_ref().len(),
        };
        modules.push((name, source));
    }
    if size > limits::CODE_BYTES {
        JsError::error(format!(
            "Dynamic Worker code size ({size} bytes) exceeds the maximum allowed size of {} bytes.",
            limits::CODE_BYTES
        ))
        .throw(scope);
        return None;
    }
    Some(modules)
}

/// `undefined`: the parent's own; `null`: none; a handle: that service.
fn read_outbound<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<Arc<dyn Fetcher>> {
    if value.is_null() {
        return Some(Arc::new(NoOutbound));
    }
    if value.is_undefined() {
        return scope.get_slot::<Given>().map(|given| given.outbound.clone());
    }
    let handle = value.uint32_value(scope)?;
    let service: Arc<dyn Service> = context::resource_as::<ServiceCap>(scope, handle)?.0.clone();
    if let Err(error) = service.check_transfer() {
        error.throw(scope);
        return None;
    }
    Some(service.as_fetcher())
}

/// A list of service handles, each of which must be transferable.
fn read_tails<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<Vec<Arc<dyn Service>>> {
    let Ok(list) = v8::Local::<v8::Array>::try_from(value) else { return Some(Vec::new()) };
    let mut tails = Vec::new();
    for index in 0..list.length() {
        let handle = list.get_index(scope, index)?.uint32_value(scope)?;
        let service = context::resource_as::<ServiceCap>(scope, handle)?.0.clone();
        if let Err(error) = service.check_transfer() {
            error.throw(scope);
            return None;
        }
        tails.push(service);
    }
    Some(tails)
}

/// `checkCompatibility(date, flags, allowExperimental)` throws the first problem.
fn check_compatibility<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let date = arguments::text(scope, &args, 0);
    let flags = arguments::texts(scope, args.get(1));
    let now = context::environment(scope).clock.now_ms();
    let checked = compatibility::check_date(&date)
        .and_then(|()| compatibility::refuse_future(&date, now))
        .and_then(|()| compatibility::check_flags(&flags, args.get(2).is_true()));
    if let Err(error) = checked {
        error.throw(scope);
    }
}

fn strip_types(name: &str, source: &str) -> Result<String, String> {
    atoll_typescript::strip(name, source).map_err(|error| error.to_string())
}

/// `givenCompatibility()` gives `[date, flags]` of this Worker, as they were given.
fn given_compatibility<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let Some((date, flags)) = scope.get_slot::<Given>().map(|g| (g.date.clone(), g.flags.clone())) else {
        return;
    };
    let flags: Vec<v8::Local<v8::Value>> = flags.iter().map(|f| string(scope, f).into()).collect();
    let flags = v8::Array::new_with_elements(scope, &flags);
    let date = string(scope, &date);
    rv.set(v8::Array::new_with_elements(scope, &[date.into(), flags.into()]).into());
}

/// `abortIsolate(reason)` ends this Worker. What its callers get is masked: the reason is for the log.
fn abort_isolate<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let reason = v8::Local::<v8::String>::try_from(args.get(0));
    let reason = reason.map(|reason| start_of(scope, reason, MAX_MESSAGE)).unwrap_or_default();
    let dynamic = scope.get_slot::<Own>().is_some_and(|own| own.dynamic);
    if !dynamic {
        return JsError::error("abortIsolate() can only be called in a Worker that another Worker loaded.")
            .throw(scope);
    }
    let Some(worker) = own(scope) else { return };
    let mut reference = [0; 8];
    context::environment(scope).random.fill(&mut reference);
    let reference: String = reference.iter().map(|byte| format!("{byte:02x}")).collect();
    tracing::info!(worker = worker.name(), reason, reference, "the Worker ended itself");
    let message = format!("internal error; reference = {reference}");
    // For calls on its objects and results, too.
    context::environment(scope).inbox.end(&message);
    worker.fail(RemoteError::error(message));
}
