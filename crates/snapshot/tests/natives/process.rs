//! A process with Workers in it, without sockets and files: for the test here and the fuzz targets in `fuzz/`, which include
//! this file.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use atoll_host::body::Body;
use atoll_host::clock::SystemClock;
use atoll_host::log::TracingSink;
use atoll_host::random::SystemRandom;
use atoll_isolate::modules::ModuleSource;
use atoll_isolate::{Meter, Scheduler, error, realm, v8};
use atoll_loader::code::CodeLimits;
use atoll_loader::worker::Admission;
use atoll_loader::{Binding, Entrypoint, EnvSource, Host, Runtime, Worker, WorkerCode, compatibility};
use atoll_web::account::Origin;
use atoll_web::exchange::{HeaderList, Method, Target};
use atoll_web::fetcher::{FetchRequest, Fetcher, NoOutbound, Responder};

const DATE: &str = "2026-07-01";

/// A guard against hanging, and no measure of speed.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Process(Arc<Runtime>);

impl Process {
    pub(crate) fn new() -> Self {
        atoll_isolate::engine::initialize("");
        let scheduler = Scheduler::start(2).expect("a scheduler");
        let clock = Arc::new(SystemClock::new(scheduler.runtime(0)));
        let host = Host { clock, random: Arc::new(SystemRandom), log: Arc::new(TracingSink) };
        Self(Runtime::new(atoll_snapshot::startup(), scheduler, host, 1, 100))
    }

    /// A Worker with these modules, the first of which is the main one, a loader as `env.LOADER`, itself as `env.SELF`, and
    /// these JSON texts.
    pub(crate) fn start(
        &self,
        modules: Vec<(&str, String)>,
        texts: &[(&str, String)],
        dynamic: bool,
    ) -> Worker {
        let runtime = &self.0;
        let worker = Worker::loading(runtime.clone(), "worker".into(), 0);
        let service = Entrypoint::new(worker.clone(), None, None);
        let mut bindings = vec![
            ("LOADER".to_owned(), Binding::Loader(runtime.loader("test"))),
            ("SELF".to_owned(), Binding::Service(service)),
        ];
        bindings.extend(texts.iter().map(|(name, text)| ((*name).to_owned(), Binding::Json(text.clone()))));
        let main = modules[0].0.to_owned();
        let modules = modules.into_iter().map(|(name, text)| (name.to_owned(), ModuleSource::Esm(text)));
        worker.start(WorkerCode {
            name: "worker".into(),
            main,
            modules: Arc::new(modules.collect()),
            aliases: Vec::new(),
            date: DATE.into(),
            given_flags: Vec::new(),
            flags: compatibility::resolve(DATE, &[], false).expect("a date that is known"),
            env: EnvSource::Bindings(bindings),
            outbound: Arc::new(NoOutbound),
            tails: Vec::new(),
            limits: CodeLimits::default(),
            dynamic,
        });
        worker
    }

    /// A Worker that calls natives: they are a global of it.
    pub(crate) fn caller(&self, dynamic: bool) -> Worker {
        let worker = self.start(vec![("caller.js", include_str!("caller.js").to_owned())], &[], dynamic);
        inside(&worker, |scope| {
            let natives = realm::natives(scope).expect("an isolate has natives");
            let key = error::string(scope, "natives");
            let global = scope.get_current_context().global(scope);
            global.create_data_property(scope, key.into(), natives.into());
        });
        worker
    }
}

/// Does something in the isolate of a Worker, outside of any invocation.
pub(crate) fn inside<R: Send + 'static>(
    worker: &Worker,
    body: impl FnOnce(&mut v8::PinScope<'_, '_>) -> R + Send + 'static,
) -> R {
    let (done, outcome) = mpsc::channel();
    worker.deliver(
        Arc::new(Meter::new(Duration::MAX)),
        Box::new(move |admission| {
            if let Admission::Inside(scope) = admission {
                let _ = done.send(body(scope));
            }
        }),
    );
    outcome.recv_timeout(LONG).expect("the Worker lives")
}

/// Runs a script there; gives what it gives, as text.
pub(crate) fn evaluate(worker: &Worker, source: String) -> String {
    inside(worker, move |scope| {
        v8::tc_scope!(let scope, scope);
        let source = error::string(scope, &source);
        match v8::Script::compile(scope, source, None).and_then(|script| script.run(scope)) {
            Some(value) => value.to_rust_string_lossy(scope),
            None => match scope.exception() {
                Some(exception) => format!("threw {}", exception.to_rust_string_lossy(scope)),
                None => "stopped".into(),
            },
        }
    })
}

/// Sends a request; gives the body of the answer, or why there is none.
pub(crate) fn post(worker: &Worker, path: &str, body: String) -> Result<String, String> {
    let (answered, answer) = mpsc::channel();
    let request = FetchRequest {
        method: Method::new("POST").expect("POST is a method"),
        url: Target::new(format!("http://worker{path}")).expect("paths of tests are canonical"),
        headers: HeaderList::default(),
        body: Body::Bytes(body.into()),
        cf: None,
        origin: Origin::default(),
        network: None,
    };
    let responder = Responder::new(move |answer| {
        let _ = answered.send(answer);
    });
    Entrypoint::new(worker.clone(), None, None).fetch(request, responder);
    match answer.recv_timeout(LONG).expect("each request is answered") {
        Ok(response) => match response.body {
            Body::Bytes(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            _ => Ok(String::new()),
        },
        Err(error) => Err(format!("{error:?}")),
    }
}
