//! V8 for Atoll: an isolate is an actor that runs in turns.
//!
//! | module | owns |
//! |---|---|
//! | [`engine`] | V8's one-time set-up, its platform, tasks that V8 posts |
//! | [`extension`] | what a layer adds to the snapshot: natives, scripts, lazy globals |
//! | [`snapshot`] | making the startup blob and the code cache at build time |
//! | [`realm`] | the runtime's own objects in a context: natives, primordials, internal `require` |
//! | [`heap`] | a V8 isolate with its context and limits; the warm [`pool`] of blank ones |
//! | [`buffers`], [`memory`] | bytes outside the heap, counted; the process's account of all memory |
//! | [`actor`] | an isolate with its mailbox; messages and turns |
//! | [`scheduler`] | threads that run turns, the watchdog over them |
//! | [`meter`] | CPU budgets |
//! | [`metered`] | futures whose CPU time is charged |
//! | [`modules`] | a Worker's modules: compile, link, evaluate, `import()` |
//! | [`values`] | structured clone into messages with capabilities, and back |
//! | [`error`] | errors that become JavaScript exceptions, exceptions that become reports |
//! | [`uncaught`] | errors that no code handles |
//!
//! The crate knows nothing of Workers or HTTP.

mod abort;
pub mod actor;
mod allowance;
pub mod arguments;
pub mod buffers;
pub mod engine;
pub mod error;
pub mod extension;
pub mod guard;
pub mod heap;
pub mod layer;
mod liveness;
mod machine;
mod mailbox;
pub mod memory;
pub mod meter;
pub mod metered;
pub mod modules;
pub mod pool;
pub mod realm;
mod residence;
pub mod scheduler;
#[cfg(test)]
mod simulation;
pub mod snapshot;
mod stack;
pub mod uncaught;
pub mod values;

pub use actor::{Envelope, Isolate, Origin, WeakIsolate};
pub use allowance::TASK_CPU;
pub use error::{ErrorClass, JsError};
pub use extension::{Extension, Native, Script, Startup};
pub use heap::{Heap, HeapLimits, MemoryEnd};
pub use meter::Meter;
pub use pool::Pool;
pub use scheduler::Scheduler;
pub use scheduler::watch::RUNTIME_CPU;
pub use v8;
