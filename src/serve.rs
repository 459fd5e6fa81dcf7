//! `atoll serve`.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use atoll_config::{Project, Warning};
use atoll_host::log::TracingSink;
use atoll_server::admin::Admin;
use atoll_server::ingress::Ingress;
use atoll_server::{CONNECTIONS, ISOLATES, Projects, ServeError};
use clap::ArgMatches;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::logging;

/// The projects that arguments name.
pub(crate) fn paths(arguments: &ArgMatches) -> Vec<PathBuf> {
    arguments.get_many("projects").map(|paths| paths.cloned().collect()).unwrap_or_default()
}

/// How many isolates the process may have.
pub(crate) fn isolates(arguments: &ArgMatches) -> usize {
    arguments.get_one::<u32>("max-isolates").map_or(ISOLATES, |isolates| *isolates as usize)
}

/// V8 comes first, before any thread exists; then logging.
pub(crate) fn prepare(arguments: &ArgMatches) {
    let flags = arguments.get_one::<String>("v8-flags").map_or("", String::as_str);
    atoll_isolate::engine::initialize(flags);
    logging::start();
}

pub(crate) fn warn(warning: &Warning) {
    tracing::warn!("{warning}");
}

/// Says why on stderr; exit code 1.
pub(crate) fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "atoll: {error}");
    ExitCode::FAILURE
}

/// Says why projects cannot be served; exit code 2 if their configuration is wrong.
pub(crate) fn refuse(error: &ServeError) -> ExitCode {
    let code = fail(error);
    if error.is_configuration() { ExitCode::from(2) } else { code }
}

/// Each connection is a file descriptor, and systems give a process 1,024 unless it asks for more.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
}

pub(crate) fn run(arguments: &ArgMatches) -> ExitCode {
    prepare(arguments);
    raise_open_files();
    let host = arguments.get_one::<IpAddr>("host").copied().unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let port = arguments.get_one::<u16>("port").copied().unwrap_or(8787);
    let projects = match Projects::start(&paths(arguments), isolates(arguments), Arc::new(TracingSink), warn)
    {
        Ok(projects) => projects,
        Err(error) => return refuse(&error),
    };
    let connections = arguments.get_one::<u32>("max-connections").map_or(CONNECTIONS, |most| *most as usize);
    let ingress = match Ingress::open(projects.primary(), host, port, connections) {
        Ok(ingress) => ingress,
        Err(error) => return fail(&error),
    };
    let admin = arguments.get_one::<SocketAddr>("admin");
    let admin = match admin.map(|address| Admin::open(projects.runtime.clone(), *address)).transpose() {
        Ok(admin) => admin,
        Err(error) => return fail(&error),
    };
    announce(&projects, &ingress, admin.as_ref());
    let (exhausted, is_exhausted) = tokio::sync::oneshot::channel();
    projects.runtime.scheduler.on_exhausted(move || {
        let _ = exhausted.send(());
    });
    let code = wait(ingress, is_exhausted);
    projects.runtime.scheduler.stop();
    projects.runtime.pool.close();
    // Threads may be in turns that never end: the process goes without them.
    std::process::exit(code);
}

fn announce(projects: &Projects, ingress: &Ingress, admin: Option<&Admin>) {
    let mut out = std::io::stdout().lock();
    for (index, project) in projects.projects().enumerate() {
        let _ = writeln!(out, "{}{}", if index == 0 { "Serving " } else { "   with " }, describe(project));
    }
    let _ = writeln!(out, "Ready on http://{}", ingress.address());
    if let Some(admin) = admin {
        let _ = writeln!(out, "Metrics on http://{}/metrics", admin.address());
    }
    let _ = out.flush();
}

fn describe(project: &Project) -> String {
    let mut bindings: Vec<String> = Vec::new();
    bindings.extend(project.vars.iter().map(|(name, _)| format!("{name} (var)")));
    bindings.extend(project.services.iter().map(|s| format!("{} (service {})", s.binding, s.service)));
    bindings.extend(project.worker_loaders.iter().map(|l| format!("{} (worker loader)", l.binding)));
    let bindings = if bindings.is_empty() { "no bindings".to_owned() } else { bindings.join(", ") };
    format!("{} from {}: {bindings}", project.name, project.main.display())
}

/// Exit status of a process that gave up because guests hold too many of its threads for good: start another one. (The
/// number of `EX_TEMPFAIL` in sysexits.h.)
const EXHAUSTED: i32 = 75;

/// A process that gives up does not wait longer for requests under way.
const LAST_REQUESTS: std::time::Duration = std::time::Duration::from_secs(30);

/// Waits for SIGINT, SIGTERM, or too many lost threads, then for requests under way. A second signal ends the process at
/// once.
fn wait(ingress: Ingress, exhausted: tokio::sync::oneshot::Receiver<()>) -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            fail(&format!("cannot wait for signals: {error}"));
            return 1;
        }
    };
    let _entered = runtime.enter();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        fail(&"cannot listen for signals");
        return 1;
    };
    let code = runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => 0,
            _ = terminate.recv() => 0,
            Ok(()) = exhausted => EXHAUSTED,
        }
    });
    if code == EXHAUSTED {
        tracing::error!(
            "too many threads are lost to code that V8 cannot stop: ending, with status {EXHAUSTED}"
        );
    } else {
        tracing::info!("stopping: requests under way may finish; a second signal ends at once");
    }
    let until = (code == EXHAUSTED).then(|| std::time::Instant::now() + LAST_REQUESTS);
    let drained = std::thread::spawn(move || ingress.close());
    runtime.block_on(async {
        loop {
            tokio::select! {
                _ = interrupt.recv() => return 130,
                _ = terminate.recv() => return 143,
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
            if drained.is_finished() || until.is_some_and(|until| until < std::time::Instant::now()) {
                return code;
            }
        }
    })
}
