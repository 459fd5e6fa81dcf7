//! Tasks that end with whoever started them.

use tokio::task::AbortHandle;

/// A task of the tokio runtime; it is aborted when this is dropped.
pub struct Task(AbortHandle);

impl Task {
    /// Starts a task on the current runtime.
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
