//! Every native of every layer, called with whatever a script could give it, in a Worker: within an invocation and outside of
//! any. None panics (a panic would be caught, and be a defect), and the process lives.

mod process;

use atoll_isolate::{error, guard, v8};
use atoll_loader::Worker;
use process::{Process, evaluate, inside, post};

/// The natives that end what calls them: they come last, each in an invocation of its own.
const ENDING: [&str; 2] = ["abortContext", "abortIsolate"];

fn seed() -> u32 {
    match std::env::var("ATOLL_SEED") {
        Ok(text) => text.parse().expect("ATOLL_SEED is a number"),
        Err(_) => fastrand::u32(..),
    }
}

fn names(worker: &Worker) -> Vec<String> {
    let names = evaluate(worker, "Object.getOwnPropertyNames(natives).join()".into());
    names.split(',').map(str::to_owned).collect()
}

fn assert_sound(what: &str) {
    assert_eq!(guard::caught_panics(), 0, "{what}: a native panicked, see above");
}

/// In an invocation, which may end without an answer, and outside of any.
fn attack(worker: &Worker, call: &str) {
    let _ = post(worker, "/", call.to_owned());
    assert_sound(&format!("{call}, within an invocation"));
    let outside = evaluate(worker, call.to_owned());
    assert!(outside.parse::<u32>().is_ok_and(|calls| calls > 100), "{call}, outside: {outside}");
    assert_sound(&format!("{call}, outside of an invocation"));
}

#[test]
fn natives_take_any_arguments() {
    let process = Process::new();
    let worker = process.caller(false);
    let seed = seed();
    #[allow(clippy::print_stdout, reason = "a failure is run again with the seed")]
    {
        println!("ATOLL_SEED={seed}");
    }
    let natives = names(&worker);
    assert!(natives.len() > 80, "{natives:?}");
    for (number, name) in natives.iter().enumerate().filter(|(_, name)| !ENDING.contains(&name.as_str())) {
        attack(&worker, &format!("attack(\"{name}\", {})", seed.wrapping_add(number as u32)));
    }
    // What one has left behind meets the others.
    for round in 0..20 {
        attack(&worker, &format!("attackAll({})", seed.wrapping_add(round)));
    }
    for name in ENDING {
        let worker = process.caller(name == "abortIsolate");
        let _ = post(&worker, "/", format!("attack(\"{name}\", {seed})"));
        assert_sound(name);
    }
}

#[test]
fn a_panic_in_a_native_is_an_error_of_the_guests() {
    fn panics(
        _scope: &mut v8::PinScope<'_, '_>,
        _args: v8::FunctionCallbackArguments<'_>,
        _rv: v8::ReturnValue<'_, v8::Value>,
    ) {
        panic!("as intended by this test");
    }
    // In a process of its own, so that the other test counts no panic of this one.
    if std::env::var_os("ATOLL_PANICS").is_none() {
        let program = std::env::current_exe().expect("a test knows its own path");
        let status = std::process::Command::new(program)
            .args(["--exact", "a_panic_in_a_native_is_an_error_of_the_guests"])
            .env("ATOLL_PANICS", "1")
            .status();
        return assert!(status.expect("a test can run itself").success());
    }
    let worker = Process::new().caller(false);
    inside(&worker, |scope| {
        let function = v8::Function::builder_raw(guard::callback(panics)).build(scope).expect("a function");
        let key = error::string(scope, "panics");
        let global = scope.get_current_context().global(scope);
        global.create_data_property(scope, key.into(), function.into());
    });
    let caught = evaluate(&worker, "try { panics(); } catch (error) { String(error); }".into());
    assert_eq!(caught, "Error: internal error");
    assert_eq!(guard::caught_panics(), 1);
    assert_eq!(evaluate(&worker, "1 + 1".into()), "2");
}
