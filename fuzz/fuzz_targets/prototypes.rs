//! Accessors on prototypes, as in `tests/patched.rs`: the input says under which names, with which answers, on which
//! prototypes, and whether before the first touch of each API.
#![no_main]

#[path = "../../tests/patched/orders.rs"]
mod orders;
#[path = "../../crates/snapshot/tests/natives/process.rs"]
mod process;

use std::path::Path;
use std::sync::OnceLock;

use atoll_isolate::guard;
use atoll_loader::Worker;
use orders::{ANSWERS, PARENT, PROTOTYPES};
use process::{Process, evaluate, inside, post};
use serde_json::{Value, json};

struct Fuzzed {
    _process: Process,
    worker: Worker,
    names: Vec<String>,
    plain: String,
}

static FUZZED: OnceLock<Fuzzed> = OnceLock::new();

fn start() -> Fuzzed {
    let process = Process::new();
    let parent = PARENT.map(|(name, text)| (name, text.to_owned())).to_vec();
    let worker = process.start(parent, &[("MODULES", orders::modules().to_string())], false);
    assert_eq!(evaluate(&worker, "1 + 1".into()), "2");
    let names = orders::names(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let plain = post(&worker, "/plain", String::new()).expect("the program without any patch");
    Fuzzed { _process: process, worker, names, plain }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [flags, first, second, choices @ ..] = data else { return };
    let fuzzed = FUZZED.get_or_init(start);
    let chosen: Vec<(&String, usize)> = choices
        .chunks_exact(3)
        .map(|choice| {
            let index = usize::from(u16::from_le_bytes([choice[0], choice[1]]));
            (&fuzzed.names[index % fuzzed.names.len()], usize::from(choice[2]) % ANSWERS)
        })
        .collect();
    let (keys, answers): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
    let some: Vec<usize> = match flags & 1 {
        0 => (0..PROTOTYPES).collect(),
        _ => vec![usize::from(*first), usize::from(*second)],
    };
    let (early, promises) = (flags & 2 != 0, flags & 4 != 0);
    let order = json!({ "keys": keys, "answers": answers, "early": early, "some": some, "promises": promises });
    let run = |path| -> Value {
        let answer = post(&fuzzed.worker, path, order.to_string()).expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    };
    let child = orders::fault(&fuzzed.plain, &run("/run"));
    assert!(child.is_none(), "as a child: {child:?}");
    let parent = run("/parent");
    let parent = orders::fault(parent["plain"].as_str().unwrap_or_default(), &parent);
    assert!(parent.is_none(), "as a parent: {parent:?}");
    inside(&fuzzed.worker, |_| {});
    assert_eq!(guard::caught_panics(), 0, "a native panicked");
});
