//! The runtime's own scripts on much input: what a program costs grows about as its input does. Each program runs with n
//! and with 4n; processor time is compared, which does not depend on what else the machine does. Quadratic work would take
//! sixteen times as long, and far longer than the start of the process, which is measured with it.

mod support;

use std::process::{Command, Stdio};

use support::Project;

const PROGRAMS: &str = r#"
import assert from "node:assert";

const listeners = (n) => Array.from({ length: n }, () => () => {});
const programs = {
    append(n) {
        const url = new URL("http://h.example/");
        for (let i = 0; i < n; i++) url.searchParams.append("k", "v");
        assert.strictEqual(url.search.length, n * 4);
    },
    listen(n) {
        const target = new EventTarget();
        const all = listeners(n);
        for (let i = 0; i < n; i++) target.addEventListener("x", all[i]);
        for (let i = 0; i < n; i++) target.removeEventListener("x", all[i]);
    },
    listenOnce(n) {
        const target = new EventTarget();
        for (const listener of listeners(n)) target.addEventListener("x", listener, { once: true });
        target.dispatchEvent(new Event("x"));
    },
    listenUntilAborted(n) {
        const target = new EventTarget();
        const controller = new AbortController();
        for (const listener of listeners(n)) target.addEventListener("x", listener, { signal: controller.signal });
        controller.abort();
    },
    follow(n) {
        const controller = new AbortController();
        const all = listeners(n);
        const signals = all.map(() => AbortSignal.any([controller.signal]));
        for (let i = 0; i < n; i++) signals[i].addEventListener("abort", all[i]);
        for (let i = 0; i < n; i++) signals[i].removeEventListener("abort", all[i]);
    },
    compareSets(n) {
        const set = () => new Set(Array.from({ length: n }, (_, i) => ({ i })));
        assert.deepStrictEqual(set(), set());
    },
};

export const run = {
    test(controller, env) {
        programs[env.PROGRAM](env.N);
    },
};
"#;

/// The processor time that the program takes with this much input, in microseconds, with the start of the process.
#[allow(clippy::zombie_processes, reason = "wait4() waits for it and tells what it used")]
fn cost(program: &str, n: u32) -> i64 {
    let project = Project::worker(PROGRAMS);
    let variables = format!(
        r#""compatibility_flags": ["nodejs_compat"], "vars": {{ "PROGRAM": "{program}", "N": {n} }}, "main""#
    );
    project.replace("wrangler.jsonc", r#""main""#, &variables);
    let child = Command::new(env!("CARGO_BIN_EXE_atoll"))
        .args(["test", project.argument()])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let pid = libc::pid_t::try_from(child.id()).expect("a process number");
    let mut status = 0;
    // SAFETY: plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: waits for a child of our own that nothing else waits for; both pointers are to values on this stack.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    assert_eq!((waited, status), (pid, 0), "{program} with {n} fails");
    [usage.ru_utime, usage.ru_stime].iter().map(|time| time.tv_sec * 1_000_000 + time.tv_usec).sum()
}

fn grows_with_its_input(program: &str, n: u32) {
    let (little, much) = (cost(program, n), cost(program, n * 4));
    assert!(much < little * 10, "{program}: {little} us with {n}, {much} us with four times as much");
}

#[test]
fn appending_to_the_query_of_a_url() {
    grows_with_its_input("append", 4_000);
}

#[test]
fn adding_and_removing_listeners() {
    grows_with_its_input("listen", 16_000);
}

#[test]
fn listeners_that_are_called_once() {
    grows_with_its_input("listenOnce", 16_000);
}

#[test]
fn listeners_with_a_signal() {
    grows_with_its_input("listenUntilAborted", 16_000);
}

#[test]
fn signals_that_follow_one() {
    grows_with_its_input("follow", 16_000);
}

#[test]
fn comparing_sets_of_objects() {
    grows_with_its_input("compareSets", 32_000);
}
