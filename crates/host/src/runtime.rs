//! Work that belongs to one tokio runtime (sockets, timers) but is awaited from anywhere, tokio or not.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A task that is stopped when this is dropped; a plain `JoinHandle` would let it run on.
pub(crate) struct Task<T>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Task<T> {
    /// Starts `work` on `runtime`. If that is shut down, the work is dropped.
    pub(crate) fn start(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(runtime.spawn(work)))
    }

    /// Lets it run to its end.
    pub(crate) fn detach(mut self) {
        self.0 = None;
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Runs `work` on `runtime` and gives its result; dropping the returned future stops the work.
///
/// `None` means that the work did not come to its end: the runtime was shut down, or the work panicked (the
/// panic hook has then reported it).
pub(crate) async fn run_on<T, F>(runtime: &Handle, work: F) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut task = Task::start(runtime, work);
    task.0.as_mut()?.await.ok()
}
