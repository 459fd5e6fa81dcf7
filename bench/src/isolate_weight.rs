//! `--isolate`: what a blank isolate weighs and how long it takes to make, in this process, without any server.

/// How many blank isolates are made and measured.
const ISOLATES: usize = 200;

/// Measures and prints. Must run on the main thread before any other is started: V8 is initialised here, and threads
/// older than that cannot run JavaScript on processors with memory protection keys.
pub(crate) fn print() {
    atoll_isolate::engine::initialize("");
    println!("{}", atoll_snapshot::weight::measure(ISOLATES));
}
