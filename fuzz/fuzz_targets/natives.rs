//! Natives called with anything, one after the other in one Worker: none panics, and the process lives. The input is a list of
//! seeds.
#![no_main]

#[path = "../../crates/snapshot/tests/natives/process.rs"]
mod process;

use std::sync::OnceLock;

use atoll_isolate::guard;
use atoll_loader::Worker;
use process::{Process, evaluate, inside, post};

static WORKER: OnceLock<(Process, Worker)> = OnceLock::new();

fn worker() -> &'static Worker {
    let (_, worker) = WORKER.get_or_init(|| {
        let process = Process::new();
        let worker = process.caller(false);
        (process, worker)
    });
    worker
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for seed in data.chunks_exact(4).take(16) {
        let seed = u32::from_le_bytes([seed[0], seed[1], seed[2], seed[3]]);
        let call = format!("attackAll({seed})");
        let _ = post(worker(), "/", call.clone());
        evaluate(worker(), call);
    }
    inside(worker(), |_| {});
    assert_eq!(guard::caught_panics(), 0, "a native panicked");
});
