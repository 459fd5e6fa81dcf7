//! Services: stateless addresses. Every call and every request starts a new invocation there.

use std::sync::Arc;

use atoll_isolate::JsError;
use atoll_web::account::Origin;
use atoll_web::fetcher::Fetcher;

use crate::budget::Landing;
use crate::call::{Call, Followup};

/// Something that can be called and fetched from: a Worker's entrypoint with its props.
pub trait Service: Fetcher {
    /// Starts an invocation for a call.
    fn call(&self, call: Call);

    /// Does work in the isolate behind the address, after the calls that were sent before. It is charged to the
    /// invocation that `landing` names.
    fn follow(&self, landing: Option<&Landing>, work: Followup);

    /// Delivers a tail event: a JSON list of traces of an invocation, from `origin`. Nobody waits for its outcome.
    fn tail(&self, events: Arc<str>, origin: Origin);

    /// Whether the address may be given to another Worker.
    ///
    /// # Errors
    /// The `DataCloneError` that the sender gets.
    fn check_transfer(&self) -> Result<(), JsError>;

    /// The same service as a fetcher.
    fn as_fetcher(self: Arc<Self>) -> Arc<dyn Fetcher>;
}

/// A service in a resource table or a message.
pub struct ServiceCap(pub Arc<dyn Service>);
