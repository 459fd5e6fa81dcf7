//! A Worker puts accessors onto every prototype that it can reach: under every name that the runtime's scripts mention, and
//! under those that the language asks for. No accessor gets hold of an object that is not the Worker's own, nothing that the
//! runtime does comes out differently, and the process lives.

#![allow(clippy::print_stdout, reason = "the seed of this run")]

mod support;

#[path = "patched/orders.rs"]
mod orders;

use std::path::Path;
use std::time::{Duration, Instant};

use orders::{ANSWERS, PARENT, PROTOTYPES};
use serde_json::{Value, json};
use support::{Project, Server};

/// For how long orders are tried; the first few are, however long they take.
const TIME: Duration = Duration::from_secs(8);
const LEAST: usize = 3;

fn seed() -> u64 {
    match std::env::var("ATOLL_SEED") {
        Ok(text) => text.parse().expect("ATOLL_SEED is a number"),
        Err(_) => fastrand::u64(..),
    }
}

/// What one Worker patches: `all` there is, or some of it.
fn order(random: &mut fastrand::Rng, names: &[String], all: bool) -> Value {
    let share = if all { 1.0 } else { [0.02, 0.2, 0.8][random.usize(..3)] };
    let keys: Vec<&String> = names.iter().filter(|_| random.f64() < share).collect();
    let neutral = all || random.bool();
    let answers: Vec<usize> =
        keys.iter().map(|_| if neutral { 0 } else { random.usize(..ANSWERS) }).collect();
    // The first are those that nearly everything inherits from.
    let from = if all || random.bool() { 0..5 } else { 0..0 };
    let some: Vec<usize> = from.chain((0..4).map(|_| random.usize(..PROTOTYPES))).collect();
    let promises = all || random.bool();
    json!({ "keys": keys, "answers": answers, "early": random.bool(), "some": some, "promises": promises })
}

fn start() -> (Project, Server) {
    let configuration = json!({
        "name": "worker",
        "main": PARENT[0].0,
        "compatibility_date": "2026-07-01",
        "worker_loaders": [{ "binding": "LOADER" }],
        "vars": { "MODULES": orders::modules() },
    });
    let configuration = configuration.to_string();
    let files: Vec<_> = [("wrangler.jsonc", configuration.as_str())].into_iter().chain(PARENT).collect();
    let project = Project::new(&files);
    let server = Server::start(project.path());
    (project, server)
}

fn post(server: &Server, path: &str, order: &Value) -> Value {
    let body = order.to_string();
    let answer = server.connect().send("POST", path, &[], Some(body.as_bytes())).expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    support::json(&answer)
}

#[test]
fn nothing_of_the_runtime_is_seen_or_changed_by_patched_prototypes() {
    let seed = seed();
    println!("ATOLL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let names = orders::names(Path::new(env!("CARGO_MANIFEST_DIR")));
    let (_project, server) = start();
    let plain = server.get("/plain").text();
    assert!(!plain.contains("failed: "), "{plain}");
    let begun = Instant::now();
    for round in 0.. {
        if round >= LEAST && begun.elapsed() > TIME {
            break;
        }
        let order = order(&mut random, &names, round == 0);
        if let Some(fault) = orders::fault(&plain, &post(&server, "/run", &order)) {
            panic!("ATOLL_SEED={seed}, round {round}, as a child:\n{fault}");
        }
        let parent = post(&server, "/parent", &order);
        if let Some(fault) = orders::fault(parent["plain"].as_str().unwrap_or_default(), &parent) {
            panic!("ATOLL_SEED={seed}, round {round}, as a parent:\n{fault}");
        }
    }
    let stderr = server.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
}
