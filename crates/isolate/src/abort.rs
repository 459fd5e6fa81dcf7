//! Where V8 or a library of its would abort the process because it cannot have the memory or the size that a guest
//! asked for: the thread gives up its turn for ever in place of that (see [`give_up`]). A failed check of V8 that may
//! mean damaged memory still aborts.

use std::ffi::{CStr, c_char};

use crate::scheduler::give_up;

/// V8 calls this when it cannot have memory that it cannot do without, and aborts the process if it returns, as on
/// threads that run no Worker.
pub(crate) unsafe extern "C" fn out_of_memory(location: *const c_char, _: &v8::OomDetails) {
    // SAFETY: V8 gives a text that ends with a zero byte.
    give_up(&unsafe { CStr::from_ptr(location) }.to_string_lossy());
}

/// Sets the process's hooks. Called once, after V8's platform is there: that sets one of them.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
pub(crate) fn prevent() {
    v8::V8::set_fatal_error_handler(library::check_failed);
    library::start_prober();
    // SAFETY: the library in third_party/v8 has these functions; they store an address that stays valid.
    unsafe {
        library::set_print_stack_trace(library::about_to_abort);
        library::set_malloc_failed(library::malloc_failed);
    }
}

/// The names below are those of our own build of V8.
#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
pub(crate) fn prevent() {}

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod library {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread::{Builder, Thread};
    use std::time::Duration;

    use super::give_up;

    thread_local! {
        /// Whether a check of V8 failed on this thread.
        static UNSOUND: Cell<bool> = const { Cell::new(false) };
    }

    unsafe extern "C" {
        /// `v8::base::SetPrintStackTrace(void (*)())`: what V8 calls last before it aborts, whatever the reason.
        #[link_name = "_ZN2v84base18SetPrintStackTraceEPFvvE"]
        pub(super) fn set_print_stack_trace(callback: extern "C" fn());

        /// `partition_alloc::SetPartitionAllocOomCallback(void (*)())`: what PartitionAlloc, which is `malloc` for
        /// V8's libraries, calls before it aborts: above all for one allocation that is larger than it ever gives.
        #[link_name = "_ZN15partition_alloc28SetPartitionAllocOomCallbackEPFvvE"]
        pub(super) fn set_malloc_failed(callback: extern "C" fn());
    }

    /// V8 calls this first where the state that it found itself in must not be, and not where it aborts for want of
    /// memory, or because nothing can have the size that is asked for ("with no security impact").
    pub(super) fn check_failed(_file: &str, _line: i32, _message: &str) {
        UNSOUND.set(true);
    }

    pub(super) extern "C" fn about_to_abort() {
        if !UNSOUND.get() {
            give_up("a size or an allocation");
        }
        let mut frames = [std::ptr::null_mut(); 64];
        // SAFETY: writes as many frames as there are, and prints them.
        unsafe {
            let count = libc::backtrace(frames.as_mut_ptr(), frames.len() as i32);
            libc::backtrace_symbols_fd(frames.as_ptr(), count, libc::STDERR_FILENO);
        }
    }

    pub(super) extern "C" fn malloc_failed() {
        if others_can_allocate() {
            give_up("malloc");
        }
    }

    /// A thread that allocates when it is asked to.
    static PROBER: OnceLock<Thread> = OnceLock::new();
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static ANSWERED: AtomicU32 = AtomicU32::new(0);

    /// Too large for what PartitionAlloc keeps for a thread, and small enough not to be mapped for itself.
    const PROBE_BYTES: usize = 300_000;
    const PATIENCE_MS: u32 = 200;

    pub(super) fn start_prober() {
        let prober = Builder::new().name("atoll-prober".into()).spawn(|| {
            loop {
                std::thread::park();
                let asked = ASKED.load(Ordering::Acquire);
                // SAFETY: what was given is given back. In a black box, or the compiler leaves both out.
                unsafe { libc::free(std::hint::black_box(libc::malloc(PROBE_BYTES))) };
                ANSWERED.store(asked, Ordering::Release);
            }
        });
        if let Ok(prober) = prober {
            let _ = PROBER.set(prober.thread().clone());
        }
    }

    /// PartitionAlloc holds its lock where the system gives it no more memory mappings: a thread that waited for ever
    /// there would have everybody else wait, too. For a size that it never gives it does not.
    fn others_can_allocate() -> bool {
        let Some(prober) = PROBER.get() else { return false };
        let question = ASKED.fetch_add(1, Ordering::AcqRel) + 1;
        for _ in 0..PATIENCE_MS {
            prober.unpark();
            if ANSWERED.load(Ordering::Acquire) >= question {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }
}
