//! Many hostile children at the same time, and one that takes much for many calls.

use std::fs;

use crate::*;

#[test]
fn a_crowd_of_hostile_children_is_survived() {
    let crowd = [
        (attack("for (;;);"), CPU),
        (attack("const all = []; for (;;) all.push([1, 2, 3]);").cpu_ms(20_000), MEMORY),
        (attack("const f = () => f() + 1; return f();"), STACK),
        (attack("for (;;) host.echo(1);"), CPU),
        (attack("return /^(a+)+$/.test('a'.repeat(40) + 'b');"), CPU),
        (attack("return new Promise(() => {});"), Error("had hung")),
        (module("for (;;);"), Error("Worker")),
        (module("not a program"), Error("SyntaxError")),
    ];
    let (_project, server) = start();
    all_at_once(&server, &crowd);
}

/// More than V8 can hold for all isolates of a process (4 GB), and each within its own limit. Some may be refused or
/// ended to make room, and are told so.
#[test]
fn sixty_children_that_fill_120_megabytes_each_are_survived() {
    let filling = "const all = [];
        for (let i = 0; i < 28; i++) { all.push(new Array(2 ** 20).fill(i)); await null; }
        await scheduler.wait(3000);
        return all.length;";
    let crowd: Vec<_> = (0..60).map(|_| (attack(filling).cpu_ms(30_000), Answer)).collect();
    let (_project, server) = start();
    let answers = all_at_once(&server, &crowd);
    let (full, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["value"] == "28");
    assert!(!full.is_empty(), "none was let finish: {refused:?}");
    for answer in refused {
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains("memory"), "an error that names what ran out, got {answer}");
    }
}

/// Buffers lie outside of the heaps, and count all the same.
#[test]
fn sixty_children_that_fill_buffers_are_survived() {
    let filling = "const all = [];
        for (let i = 0; i < 12; i++) { all.push(new Uint8Array(1e7).fill(i)); await null; }
        await scheduler.wait(2000);
        return all.length;";
    let crowd: Vec<_> = (0..60).map(|_| (attack(filling).cpu_ms(30_000), Answer)).collect();
    let (_project, server) = start();
    all_at_once(&server, &crowd);
}

#[test]
fn two_hundred_calls_with_30_megabytes_each_are_survived() {
    let calling = attack(
        "const s = 'x'.repeat(3e7), calls = [];
         const length = (value) => value.length;
         for (let i = 0; i < 200; i++) calls.push(host.echo(s).then(length, (error) => error.message));
         return [...new Set(await Promise.all(calls))];",
    );
    let (_project, server) = start();
    attacked(&server, "call", &calling.cpu_ms(60_000), &Answer);
    assert_peak_below(&server, 2048);
}

#[test]
fn two_hundred_calls_with_30_megabytes_each_that_nobody_waits_for_are_survived() {
    let calling = attack(
        "const s = 'x'.repeat(3e7);
         for (let i = 0; i < 200; i++) host.echo(s).catch(() => {});
         return 'sent';",
    );
    let (_project, server) = start();
    attacked(&server, "call", &calling.cpu_ms(60_000), &Answer);
    assert_peak_below(&server, 2048);
}

#[test]
fn a_million_functions_as_a_result_are_survived() {
    let (_project, server) = start();
    let different = attack("return Array.from({ length: 1e6 }, () => () => 1);").cpu_ms(60_000);
    attacked(&server, "call", &different, &Error(""));
}

/// The same function a million times, which is no more than a few bytes for each until it is a stub.
#[test]
fn a_function_a_million_times_as_a_result_is_survived() {
    let (_project, server) = start();
    let same = attack("return new Array(1e6).fill(() => 1);").cpu_ms(60_000);
    attacked(&server, "print", &same, &Value("printed"));
}

/// A literal that V8 needs a gigabyte to parse, perhaps; what counts is that the parent may load it.
#[test]
fn a_literal_of_20_megabytes_is_survived() {
    let (_project, server) = start();
    let literal = "1,".repeat(10_000_000);
    let child = module(&format!("export default {{ attack() {{ return [{literal}].length; }} }}"));
    attacked(&server, "call", &child.cpu_ms(30_000), &Answer);
}

/// What of its own the process took at most, in MiB, since it started.
fn assert_peak_below(server: &Server, mebibytes: u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process())).expect("read /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is told");
    let peak: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of KiB");
    assert!(peak / 1024 < mebibytes, "the process took {} MiB", peak / 1024);
}

/// Calls all children at once and the healthy one meanwhile; gives the answers.
#[track_caller]
fn all_at_once(server: &Server, crowd: &[(Child, Outcome)]) -> Vec<serde_json::Value> {
    let answers = thread::scope(|scope| {
        let hostile: Vec<_> =
            crowd.iter().map(|(child, _)| scope.spawn(|| run(server, "call", child))).collect();
        while !hostile.iter().all(|request| request.is_finished()) {
            assert_eq!(server.get("/healthy").text(), "42", "meanwhile");
            thread::sleep(Duration::from_millis(10));
        }
        hostile.into_iter().map(|request| request.join().expect("an answer")).collect::<Vec<_>>()
    });
    for (answer, (_, outcome)) in answers.iter().zip(crowd) {
        outcome.check(answer);
    }
    assert_unharmed(server);
    answers
}
