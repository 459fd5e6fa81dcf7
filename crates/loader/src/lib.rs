//! Workers and the Worker Loader: what a Worker is made of, how it starts, what happens to it, and how its
//! invocations begin and end.
//!
//! | module | owns |
//! |---|---|
//! | [`runtime`] | what all Workers of a process share: scheduler, pool, host |
//! | [`limits`] | the table of limits |
//! | [`compatibility`] | compatibility dates and flags |
//! | [`code`] | a Worker's code, bindings and limits as values |
//! | [`worker`] | a Worker: loading, live, asleep, failed; how it starts |
//! | [`loader`] | a loader's named children |
//! | [`invocation`] | one event in a Worker: its context, its end |
//! | `answer`, `ending` | what its caller waits for, given once; limits of single invocations |
//! | [`entrypoint`] | an entrypoint with props as a service |
//! | [`usage`] | the record of an invocation: its outcome, what it used |
//! | [`metrics`] | sums of those for each Worker, as a page for Prometheus |
//! | `line` | whose callback gives a named child its code |
//! | `tail`, `redaction` | traces for tail Workers |
//! | [`binding`] | `env.LOADER`: the natives under `load`, `get` and `getEntrypoint` |

mod answer;
pub mod binding;
pub mod code;
pub mod compatibility;
mod ending;
pub mod entrypoint;
pub mod invocation;
pub mod limits;
mod line;
pub mod loader;
pub mod metrics;
mod redaction;
pub mod runtime;
#[cfg(test)]
mod simulation;
mod tail;
pub mod usage;
pub mod worker;

mod manifest;

pub use code::{Binding, EnvSource, WorkerCode};
pub use entrypoint::Entrypoint;
pub use loader::Loader;
pub use manifest::EXTENSION;
pub use runtime::{Host, Runtime};
pub use worker::Worker;

/// The manifests of all layers that are in an isolate, lowest first.
pub static EXTENSIONS: &[&atoll_isolate::Extension] =
    &[&atoll_web::EXTENSION, &atoll_rpc::EXTENSION, &EXTENSION];
