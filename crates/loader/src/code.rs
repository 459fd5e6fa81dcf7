//! A Worker's code, bindings and limits, as values.

use std::sync::Arc;
use std::time::Duration;

use atoll_isolate::modules::ModuleSource;
use atoll_isolate::values::Message;
use atoll_rpc::{Service, ServiceCap};
use atoll_web::fetcher::Fetcher;

use crate::limits;
use crate::loader::Loader;

/// What a Worker is started from.
pub struct WorkerCode {
    /// Its name, in logs and errors.
    pub name: String,
    /// Name of the main module.
    pub main: String,
    /// All modules by name.
    pub modules: Arc<Vec<(String, ModuleSource)>>,
    /// Other names of modules: (alias, name).
    pub aliases: Vec<(String, String)>,
    /// Compatibility date, for children in the short form.
    pub date: String,
    /// Compatibility flags as given, likewise.
    pub given_flags: Vec<String>,
    /// Compatibility flags that are on.
    pub flags: Arc<Vec<String>>,
    /// Its `env`.
    pub env: EnvSource,
    /// Where its `fetch()` goes.
    pub outbound: Arc<dyn Fetcher>,
    /// Where traces of its invocations go.
    pub tails: Vec<Arc<dyn Service>>,
    /// Its limits.
    pub limits: CodeLimits,
    /// Loaded by another Worker: its entrypoints cannot be given away.
    pub dynamic: bool,
}

impl WorkerCode {
    /// Whether a Worker can be started from it any number of times: its `env` has values and services in it, but nothing
    /// live.
    pub(crate) fn is_repeatable(&self) -> bool {
        match &self.env {
            EnvSource::Bindings(_) => true,
            EnvSource::Value(message) => message.capabilities().iter().all(|held| held.is::<ServiceCap>()),
        }
    }
}

/// Where a Worker's `env` comes from.
pub enum EnvSource {
    /// From a project's configuration.
    Bindings(Vec<(String, Binding)>),
    /// From the `env` that the parent gave.
    Value(Message),
}

/// One binding of a project.
pub enum Binding {
    /// A JSON value, as text.
    Json(String),
    /// A service.
    Service(Arc<dyn Service>),
    /// A Worker loader.
    Loader(Arc<Loader>),
}

/// Limits that the code may lower.
#[derive(Debug, Clone, Copy)]
pub struct CodeLimits {
    /// CPU time of each invocation.
    pub cpu: Duration,
    /// Subrequests of each invocation; none: no limit of its own.
    pub sub_requests: Option<u32>,
    /// Time from the start of each invocation to its end; none: no limit of its own before the answer.
    pub wall: Option<Duration>,
    /// Bytes of the isolate's memory; of the code only, an entrypoint's counts for nothing.
    pub memory: usize,
}

impl Default for CodeLimits {
    fn default() -> Self {
        Self { cpu: limits::CPU, sub_requests: None, wall: None, memory: limits::HEAP_BYTES }
    }
}

impl CodeLimits {
    /// The lower of each pair.
    pub fn lower(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            sub_requests: lower(self.sub_requests, other.sub_requests),
            wall: lower(self.wall, other.wall),
            memory: self.memory.min(other.memory),
        }
    }
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_of_two_limits_holds() {
        let seconds = Duration::from_secs;
        let code = CodeLimits { cpu: seconds(2), sub_requests: Some(5), wall: None, memory: 64 << 20 };
        let entrypoint = CodeLimits {
            cpu: seconds(1),
            sub_requests: None,
            wall: Some(seconds(9)),
            ..CodeLimits::default()
        };
        for limits in [code.lower(entrypoint), entrypoint.lower(code)] {
            assert_eq!(limits.cpu, seconds(1));
            assert_eq!(limits.sub_requests, Some(5));
            assert_eq!(limits.wall, Some(seconds(9)));
            assert_eq!(limits.memory, 64 << 20);
        }
        assert_eq!(CodeLimits::default().lower(CodeLimits::default()).wall, None);
    }
}
