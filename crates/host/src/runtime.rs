//! Work that belongs to one tokio runtime (sockets, timers) but is awaited from anywhere, tokio or not.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Stops the task when nobody waits for its result any more; a plain `JoinHandle` would let it run on.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
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
    let mut task = AbortOnDrop(runtime.spawn(work));
    (&mut task.0).await.ok()
}
