//! Projects that are served together: each becomes a Worker; service bindings connect them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use atoll_config::{ConfigError, Loaded, Project, Warning};
use atoll_host::clock::SystemClock;
use atoll_host::log::LogSink;
use atoll_host::network::{AddressPolicy, PublicNetwork};
use atoll_host::random::SystemRandom;
use atoll_isolate::Scheduler;
use atoll_loader::code::CodeLimits;
use atoll_loader::invocation::Props;
use atoll_loader::worker;
use atoll_loader::{
    Binding, Entrypoint, EnvSource, Host, Loader, Runtime, Worker, WorkerCode, compatibility,
};
use atoll_rpc::Service;
use atoll_web::fetcher::{Fetcher, Internet};

use crate::bundle::{self, BundleError};

/// Blank isolates that are kept ready.
pub const WARM: usize = 64;

/// Why projects cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A configuration cannot be read.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Modules cannot be gathered.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// Two projects have one name.
    #[error("two projects are named \"{name}\": {} and {}", first.display(), second.display())]
    SameName {
        /// The name.
        name: String,
        /// The folder of the first.
        first: PathBuf,
        /// The folder of the second.
        second: PathBuf,
    },
    /// A service binding to a project that is not served.
    #[error(
        "the project \"{project}\" binds {binding} to the service \"{service}\", which is not served here: served are {served}; name its folder too, as in `atoll serve A B`"
    )]
    NoService {
        /// The project.
        project: String,
        /// What binds.
        binding: String,
        /// The missing service.
        service: String,
        /// The projects that are served.
        served: String,
    },
    /// A binding to an entrypoint that its service does not export.
    #[error(
        "the project \"{project}\" binds {binding} to the entrypoint \"{entrypoint}\" of the service \"{service}\", which \
         does not export it: {exported}"
    )]
    NoEntrypoint {
        /// The project.
        project: String,
        /// What binds.
        binding: String,
        /// The service.
        service: String,
        /// The missing entrypoint.
        entrypoint: String,
        /// What it exports, and what may have been meant.
        exported: String,
    },
    /// A compatibility date or flag.
    #[error("the project \"{project}\": {message}")]
    Compatibility {
        /// The project.
        project: String,
        /// What is wrong.
        message: String,
    },
    /// A Worker did not start.
    #[error("the Worker \"{name}\" did not start: {message}")]
    Start {
        /// The Worker.
        name: String,
        /// Why.
        message: String,
    },
    /// An entry of `atoll.outbound.allow`, or the certificate store.
    #[error("the project \"{project}\": {message}")]
    Outbound {
        /// The project.
        project: String,
        /// What is wrong.
        message: String,
    },
    /// The system does not give what a server needs.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl ServeError {
    /// Whether what was asked for is wrong, rather than that it failed.
    pub fn is_configuration(&self) -> bool {
        !matches!(self, Self::Start { .. } | Self::System { .. } | Self::Bundle(_))
    }
}

/// Projects that run together in this process.
pub struct Projects {
    /// What they share.
    pub runtime: Arc<Runtime>,
    workers: Vec<(Project, Worker)>,
    /// Loaders by their id; bindings without one have a loader each.
    loaders: Mutex<HashMap<String, Arc<Loader>>>,
}

impl Projects {
    /// Reads the projects at `paths` (none: the current folder) and starts their Workers; the process may have `isolates`
    /// in all. V8 must be initialised.
    ///
    /// # Errors
    /// The first problem, as [`ServeError`].
    pub fn start(
        paths: &[PathBuf],
        isolates: usize,
        log: Arc<dyn LogSink>,
        warn: impl FnMut(&Warning),
    ) -> Result<Arc<Self>, ServeError> {
        let projects = read(paths, warn)?;
        let lanes = std::thread::available_parallelism().map_or(2, usize::from);
        let system = |what: &str| {
            let what = what.to_owned();
            move |source| ServeError::System { what, source }
        };
        let scheduler = Scheduler::start(lanes).map_err(system("start threads"))?;
        let clock = Arc::new(SystemClock::new(scheduler.runtime(0)));
        let host = Host { clock, random: Arc::new(SystemRandom), log };
        let runtime = Runtime::new(atoll_snapshot::startup(), scheduler, host, WARM, isolates);
        let mut workers = Vec::new();
        for project in projects {
            let home = runtime.scheduler.next_home();
            let worker = Worker::loading(runtime.clone(), project.name.clone(), home);
            workers.push((project, worker));
        }
        let served = Arc::new(Self { runtime, workers, loaders: Mutex::default() });
        served.start_all()?;
        Ok(served)
    }

    /// The first project's Worker: the one that HTTP requests go to.
    pub fn primary(&self) -> &Worker {
        &self.workers[0].1
    }

    /// The projects, in the order in which they were named.
    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.workers.iter().map(|(project, _)| project)
    }

    fn start_all(&self) -> Result<(), ServeError> {
        for (project, worker) in &self.workers {
            worker.start(self.code(project, worker)?);
        }
        for (project, worker) in &self.workers {
            wait_for_start(project, worker)?;
        }
        for (project, _) in &self.workers {
            self.check_entrypoints(project)?;
        }
        Ok(())
    }

    /// Refuses bindings to entrypoints that are not there: each of their calls would fail.
    fn check_entrypoints(&self, project: &Project) -> Result<(), ServeError> {
        let services =
            project.services.iter().map(|s| (s.binding.as_str(), &s.service, s.entrypoint.as_deref()));
        let outbound = project.atoll.global_outbound.iter();
        let outbound = outbound.map(|t| ("atoll.global_outbound", &t.service, t.entrypoint.as_deref()));
        for (binding, service, entrypoint) in services.chain(outbound) {
            let Some(entrypoint) = entrypoint else { continue };
            let worker = self.service(project, binding, service)?;
            let (sender, receiver) = std::sync::mpsc::channel();
            worker::entrypoint_names(&worker, move |names| drop(sender.send(names)));
            let names = receiver.recv().unwrap_or_else(|_| Err("the Worker is gone".into()));
            let names = names.map_err(|message| ServeError::Start { name: service.clone(), message })?;
            if !names.iter().any(|name| name == entrypoint) {
                return Err(ServeError::NoEntrypoint {
                    project: project.name.clone(),
                    binding: binding.to_owned(),
                    service: service.clone(),
                    entrypoint: entrypoint.to_owned(),
                    exported: exported(entrypoint, &names),
                });
            }
        }
        Ok(())
    }

    fn service(&self, project: &Project, binding: &str, service: &str) -> Result<Worker, ServeError> {
        let found = self.workers.iter().find(|(p, _)| p.name == service).map(|(_, worker)| worker.clone());
        found.ok_or_else(|| ServeError::NoService {
            project: project.name.clone(),
            binding: binding.to_owned(),
            service: service.to_owned(),
            served: self.projects().map(|p| format!("\"{}\"", p.name)).collect::<Vec<_>>().join(", "),
        })
    }

    fn code(&self, project: &Project, worker: &Worker) -> Result<WorkerCode, ServeError> {
        let flags =
            compatibility::resolve(&project.compatibility_date, &project.compatibility_flags, true).map_err(
                |error| ServeError::Compatibility { project: project.name.clone(), message: error.message },
            )?;
        let gathered = bundle::gather(project)?;
        Ok(WorkerCode {
            name: project.name.clone(),
            main: gathered.main,
            modules: Arc::new(gathered.modules),
            aliases: gathered.aliases,
            date: project.compatibility_date.clone(),
            given_flags: project.compatibility_flags.clone(),
            flags,
            env: EnvSource::Bindings(self.bindings(project)?),
            outbound: self.outbound(project, worker)?,
            tails: Vec::new(),
            limits: CodeLimits::default(),
            dynamic: false,
        })
    }

    fn bindings(&self, project: &Project) -> Result<Vec<(String, Binding)>, ServeError> {
        let mut bindings = Vec::new();
        for (name, value) in &project.vars {
            bindings.push((name.clone(), Binding::Json(value.to_string())));
        }
        for binding in &project.services {
            let worker = self.service(project, &binding.binding, &binding.service)?;
            let props = binding.props.as_ref().map(|p| Props::Json(p.to_string().into()));
            let service: Arc<dyn Service> = Entrypoint::new(worker, binding.entrypoint.clone(), props);
            bindings.push((binding.binding.clone(), Binding::Service(service)));
        }
        let mut loaders = self.loaders.lock().unwrap_or_else(PoisonError::into_inner);
        for binding in &project.worker_loaders {
            let loader = match &binding.id {
                Some(id) => loaders.entry(id.clone()).or_insert_with(|| self.runtime.loader(id)).clone(),
                None => self.runtime.loader(&format!("{}.{}", project.name, binding.binding)),
            };
            bindings.push((binding.binding.clone(), Binding::Loader(loader)));
        }
        Ok(bindings)
    }

    fn outbound(&self, project: &Project, worker: &Worker) -> Result<Arc<dyn Fetcher>, ServeError> {
        if let Some(target) = &project.atoll.global_outbound {
            let worker = self.service(project, "atoll.global_outbound", &target.service)?;
            return Ok(Entrypoint::new(worker, target.entrypoint.clone(), None));
        }
        let refused = |message: String| ServeError::Outbound { project: project.name.clone(), message };
        let policy =
            AddressPolicy::parse(&project.atoll.outbound_allow).map_err(|e| refused(e.to_string()))?;
        let runtime = self.runtime.scheduler.runtime(worker.home());
        let network = PublicNetwork::new(policy, runtime).map_err(|e| refused(e.to_string()))?;
        Ok(Arc::new(Internet(Arc::new(network))))
    }
}

/// Most names that an error lists.
const MAX_LISTED: usize = 20;

/// What a Worker exports, in words, with the name that is most like the one that is missing.
fn exported(missing: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "it exports none".to_owned();
    }
    let listed =
        names.iter().take(MAX_LISTED).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let more = if names.len() > MAX_LISTED { ", and others" } else { "" };
    let guess = match atoll_config::nearest(missing, names.iter().map(String::as_str)) {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => String::new(),
    };
    format!("it exports {listed}{more}{guess}")
}

fn read(paths: &[PathBuf], mut warn: impl FnMut(&Warning)) -> Result<Vec<Project>, ServeError> {
    let paths: Vec<Option<&Path>> =
        if paths.is_empty() { vec![None] } else { paths.iter().map(|p| Some(p.as_path())).collect() };
    let mut projects: Vec<Project> = Vec::new();
    for path in paths {
        let Loaded { project, warnings, secret_files } =
            atoll_config::load(path, compatibility::NEWEST_DATE)?;
        warnings.iter().for_each(&mut warn);
        for file in secret_files {
            tracing::info!("{}: using the secrets in {}", project.name, file.display());
        }
        if let Some(same) = projects.iter().find(|p| p.name == project.name) {
            return Err(ServeError::SameName {
                name: project.name,
                first: same.dir.clone(),
                second: project.dir,
            });
        }
        projects.push(project);
    }
    Ok(projects)
}

fn wait_for_start(project: &Project, worker: &Worker) -> Result<(), ServeError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    worker.once_started(move |outcome| {
        let _ = sender.send(outcome.map_err(|error| error.message));
    });
    let outcome = receiver.recv().unwrap_or_else(|_| Err("it was dropped before it started".into()));
    outcome.map_err(|message| ServeError::Start { name: project.name.clone(), message })
}
