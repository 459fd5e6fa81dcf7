//! How much of everything a child may have: each limit ends in an error that names the limit, its value and the Worker.

mod support;

use support::{Project, Server, assert_contains};

const PARENT: &str = include_str!("quotas/parent.js");
const CHILD: &str = include_str!("quotas/child.js");

fn start() -> (Project, Server) {
    let project = Project::loading_worker(PARENT);
    project.write("child.txt", CHILD);
    let server = Server::start(project.path());
    (project, server)
}

/// One of the ways in `quotas/parent.js`: `{ value }` or `{ error }`, and the tail's outcomes under `/outcomes`.
fn run(server: &Server, way: &str) -> String {
    let answer = server.get(&format!("/{way}"));
    assert_eq!(answer.status(), 200, "{way}: {}", answer.text());
    answer.text()
}

#[track_caller]
fn assert_answer(way: &str, parts: &[&str]) {
    let (_project, server) = start();
    assert_contains(&run(&server, way), parts);
    assert_contains(&run(&server, "ping"), &["pong"]);
}

/// As [`assert_answer`]; the tail of the child is told the outcome of its first invocation, too.
#[track_caller]
fn assert_outcome(way: &str, parts: &[&str], outcome: &str) {
    let (_project, server) = start();
    assert_contains(&run(&server, way), parts);
    support::wait_until("the tail has its event", || server.get("/outcomes").text().contains(outcome));
}

const WALL: &[&str] = &["error", "Worker \\\"dynamic\\\" exceeded its wall time limit of 100 ms."];
const CPU: &[&str] = &["error", "Worker \\\"dynamic\\\" exceeded its CPU time limit of 100 ms."];

#[test]
fn an_invocation_that_waits_ends_at_its_wall_time() {
    assert_outcome("wallTime", WALL, "exceededWallTime");
}

#[test]
fn an_invocation_that_loops_ends_at_its_wall_time() {
    assert_outcome("wallTimeOfALoop", WALL, "exceededWallTime");
}

#[test]
fn an_invocation_that_has_answered_ends_at_its_wall_time() {
    assert_outcome("wallTimeAfterTheAnswer", &["answered"], "exceededWallTime");
}

#[test]
fn calls_on_an_invocations_objects_end_with_its_wall_time() {
    assert_outcome("wallTimeOfAStub", WALL, "exceededWallTime");
}

#[test]
fn the_lower_wall_time_wins() {
    assert_answer("lowerWallTime", WALL);
}

#[test]
fn an_invocation_within_its_wall_time_is_left_alone() {
    assert_answer("enoughWallTime", &["slept"]);
}

#[test]
fn a_loop_in_a_pipelined_call_is_told_to_its_caller() {
    assert_outcome("loopInAPipelinedCall", CPU, "exceededCpu");
}

#[test]
fn a_loop_in_a_method_of_a_stub_is_told_to_its_caller() {
    assert_outcome("loopInAStub", CPU, "exceededCpu");
}

/// V8 cannot stop this one: the caller has its error in time all the same.
#[test]
fn a_builtin_without_end_in_a_method_of_a_stub_is_told_to_its_caller() {
    assert_answer("builtinInAStub", CPU);
}

#[test]
fn memory_that_a_stubs_method_takes_is_told_to_its_caller() {
    let memory = &["error", "Worker \\\"dynamic\\\" exceeded its memory limit of 128 MiB."];
    assert_outcome("memoryInAStub", memory, "exceededMemory");
}

#[test]
fn a_lower_memory_limit_is_named() {
    let memory = &["error", "Worker \\\"dynamic\\\" exceeded its memory limit of 32 MiB."];
    assert_outcome("lowerMemory", memory, "exceededMemory");
}

#[test]
fn a_memory_limit_that_is_too_low_is_refused() {
    assert_answer("tooLittleMemory", &["limits.memoryMb is 4, but a Worker needs at least 8 MiB."]);
    assert_answer(
        "memoryThatIsNoNumber",
        &["TypeError: The value cannot be converted because it is not an integer."],
    );
    assert_answer("moreMemoryThanThereIs", &["pong"]);
}

#[test]
fn a_message_that_does_not_fit_fails_and_not_its_reader() {
    let text = "takes more memory to read than this Worker has left of its 16 MiB. 2";
    assert_answer("messageThatDoesNotFit", &["A message of ", text]);
}

#[test]
fn memory_of_a_start_is_named() {
    assert_answer("memoryOfAStart", &["Worker \\\"dynamic\\\" exceeded its memory limit of 128 MiB."]);
}

#[test]
fn processor_time_of_a_start_is_named() {
    assert_answer(
        "loopOfAStart",
        &["Worker \\\"dynamic\\\" exceeded its start-up CPU time limit of 1000 ms."],
    );
}

const DEEP: &[&str] =
    &["32: ", "Worker \\\"dynamic\\\" was not called: invocations may start each other 32 deep"];

#[test]
fn calls_of_a_worker_to_itself_end() {
    assert_answer("callsItself", DEEP);
}

#[test]
fn pipelined_calls_of_a_worker_to_itself_end() {
    assert_answer("callsItselfPipelined", DEEP);
}

#[test]
fn calls_of_a_worker_to_itself_from_timers_end() {
    assert_answer("callsItselfFromTimers", DEEP);
}

#[test]
fn requests_of_a_worker_to_itself_end() {
    assert_answer("fetchesItself", DEEP);
}

#[test]
fn workers_that_call_each_other_end() {
    assert_answer(
        "callsThroughTheParent",
        &["31: ", "was not called: invocations may start each other 32 deep"],
    );
}

#[test]
fn requests_that_come_back_through_the_outbound_end() {
    assert_answer("outboundThroughTheParent", &["was not called: invocations may start each other 32 deep"]);
}

#[test]
fn objects_that_call_each_other_end() {
    assert_answer(
        "objectsCallEachOther",
        &["calls on stubs that lead to each other without end: at most 10000 may"],
    );
}

const SHARED_CPU: &str = "exceeded its CPU time limit of 200 ms.";

#[test]
fn a_worker_has_no_more_cpu_time_by_calling_itself() {
    assert_answer("burnSelf", &["error", SHARED_CPU]);
    assert_answer("burnSelfAtOnce", &["error", SHARED_CPU]);
    assert_answer("burnSelfByFetch", &["error", SHARED_CPU]);
}

#[test]
fn a_worker_has_no_more_cpu_time_by_calling_itself_through_others() {
    assert_answer("burnThroughTheParent", &["error", SHARED_CPU]);
    assert_answer("burnThroughAnObject", &["error", SHARED_CPU]);
    assert_answer("burnByTheParent", &["all burnt"]);
}

#[test]
fn a_worker_has_no_more_cpu_time_after_its_answer() {
    let (_project, server) = start();
    assert_contains(&run(&server, "burnSelfAfterwards"), &["answered"]);
    let outcomes = || server.get("/outcomes").text();
    support::wait_until("all have ended", || outcomes().contains("exceededCpu"));
    assert_contains(&run(&server, "notes"), &["0"]);
    assert_contains(&run(&server, "ping"), &["pong"]);
}

#[test]
fn a_worker_has_no_more_sub_requests_by_calling_itself() {
    let (_project, server) = start();
    assert_contains(&run(&server, "tree"), &["error", "may make 2 (limits.subRequests)."]);
    assert_contains(&run(&server, "notes"), &["0"]);
}

#[test]
fn one_child_has_a_share_of_its_parents_places() {
    let refused = "Worker \\\"dynamic\\\" has 2000 requests in flight to others, which is the most that one may have \
                   with all that they lead to.";
    assert_answer("floodOfTheParent", &["\"other\":\"served\"", "\"kept\":2000", refused]);
}

#[test]
fn one_child_has_no_larger_share_through_others() {
    // Of the 2,000, it calls the parent three times, which calls another child each time.
    assert_answer("floodThroughOthers", &["{\"value\":1994}"]);
}

#[test]
fn one_childs_results_leave_room_for_anothers() {
    let refused = "has too many messages to others under way: at most 64 MiB of one Worker may be.\":7";
    assert_answer("floodOfResults", &["\"taken\":{\"taken\":13,", refused, "\"others\":{\"taken\":3}"]);
}

#[test]
fn requests_in_flight_are_counted() {
    let refused = "Worker \\\"dynamic\\\" has 20000 requests in flight, which is the most that it may have.";
    assert_answer("tooManyRequests", &["\"slept\":20000", &format!("\"{refused}\":100")]);
}

#[test]
fn bytes_on_their_way_are_counted() {
    let refused = "Worker \\\"dynamic\\\" has too many messages to it under way: at most 256 MiB may be.";
    assert_answer("tooManyBytes", &["\"taken\":", refused]);
}

#[test]
fn bodies_that_nobody_reads_are_counted() {
    assert_answer("tooManyBodies", &["\"kept\"", "under way: at most 256 MiB may be."]);
}

#[test]
fn capabilities_of_a_message_are_counted() {
    assert_answer("capabilities", &["sent"]);
    let refused = "DataCloneError: A message can carry at most 10000 functions, stubs and streams";
    assert_answer("tooManyCapabilities", &[refused]);
    assert_answer("muchTooManyCapabilities", &[refused]);
    assert_answer("tooManyTargets", &["DataCloneError: A message can"]);
}

#[test]
fn open_stubs_are_counted() {
    let refused = "Worker \\\"dynamic\\\" has too many stubs open: one invocation may have 50000 handles";
    assert_answer("tooManyStubs", &[refused]);
    assert_answer("tooManyCalls", &[refused]);
    assert_answer("stubsThatAreDisposed", &["done"]);
}

#[test]
fn open_streams_are_counted() {
    assert_answer(
        "tooManyStreams",
        &["Worker \\\"dynamic\\\" has too many streams open: one invocation may write 5000"],
    );
}

#[test]
fn long_paths_are_refused() {
    let refused = "TypeError: RPC property path is too long: its names have 65540 characters (max 65536).";
    assert_answer("aLongName", &[refused]);
    assert_answer("longNames", &[refused]);
}

#[test]
fn log_volume_is_bounded() {
    let (_project, server) = start();
    run(&server, "manyLines");
    let note = "An invocation may log 1 MiB; what this one logs from here on is left out.";
    support::wait_until("the rest is left out", || server.stderr().contains(note));
    assert_eq!(server.stderr().matches(note).count(), 1);
    assert!(server.stderr().len() < 2 << 20);
    run(&server, "aLongLine");
    support::wait_until("the long line is printed", || server.stderr().contains("... (3616 more bytes)"));
}

#[test]
fn log_lines_cannot_be_forged() {
    let (_project, server) = start();
    run(&server, "forgedLine");
    support::wait_until("the line is printed", || server.stderr().contains("forged"));
    let stderr = server.stderr();
    let forged = stderr.lines().find(|line| line.contains("forged")).expect("the forged line");
    assert!(forged.starts_with("    | 2026"), "{forged}");
    assert!(!stderr.contains(['\r', '\u{1b}']), "{stderr}");
}
