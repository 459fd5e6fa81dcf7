//! Loads of one named child that several requests wait for: whoever still waits has its callback called.

mod support;

use std::thread;

use support::http::Connection;
use support::{Project, Server, json, wait_until};

/// `/ID/NAME/HOW` asks for the child ID with a callback that does HOW, and answers with the name that the child's code
/// was given with. `/asked` and `/called` tell the names whose requests have come, and whose callbacks were called.
const PARENT: &str = r#"
    const asked = [], called = [];
    const worker = (name) => ({
        compatibilityDate: "2026-07-01",
        mainModule: "child.js",
        modules: { "child.js": `export default { who() { return "${name}"; } };` },
    });
    const ways = {
        gives: (name) => worker(name),
        waits: async (name) => { await scheduler.wait(1e9); return worker(name); },
        hangs: () => new Promise(() => {}),
        throws: async (name) => { await scheduler.wait(500); throw new Error(`${name} throws`); },
        late: async (name) => { await scheduler.wait(8000); return worker(name); },
    };
    export default {
        async fetch(request, env, ctx) {
            const [id, name, how] = new URL(request.url).pathname.slice(1).split("/");
            if (id === "asked") return Response.json(asked);
            if (id === "called") return Response.json(called);
            const callback = () => {
                called.push(name);
                return ways[how](name);
            };
            const child = env.LOADER.get(id, callback).getEntrypoint();
            asked.push(name);
            try {
                return new Response(await child.who(0));
            } catch (error) {
                return new Response(error.message);
            }
        },
    };
"#;

fn start() -> (Project, Server) {
    let project = Project::loading_worker(PARENT);
    let server = Server::start(project.path());
    (project, server)
}

/// Whether this name is on a list.
fn names(server: &Server, list: &str) -> Vec<String> {
    serde_json::from_value(json(&server.get(list))).expect("a list of names")
}

/// A request whose client stays until it is dropped; it has asked for its child.
fn ask(server: &Server, target: &str) -> Connection {
    let mut client = server.connect();
    client
        .write(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
        .expect("send the request");
    let name = target.split('/').nth(2).expect("the name");
    wait_until("it has asked", || names(server, "/asked").iter().any(|asked| asked == name));
    client
}

fn answer(mut client: Connection) -> String {
    let mut head = client.read_head().expect("read the head");
    let mut text = Vec::new();
    while let Some(piece) = client.read_piece(&mut head).expect("read the body") {
        text.extend(piece);
    }
    String::from_utf8(text).expect("text")
}

#[test]
fn the_load_of_a_client_that_leaves_goes_to_the_next() {
    let (_project, server) = start();
    let first = ask(&server, "/a/first/waits");
    wait_until("it is called", || names(&server, "/called") == ["first"]);
    let second = ask(&server, "/a/second/waits");
    let third = ask(&server, "/a/third/gives");
    let fourth = ask(&server, "/a/fourth/gives");
    assert_eq!(names(&server, "/called"), ["first"]);
    drop(first);
    wait_until("the next one is called", || names(&server, "/called") == ["first", "second"]);
    drop(second);
    assert_eq!([answer(third), answer(fourth)], ["third", "third"]);
    assert_eq!(names(&server, "/called"), ["first", "second", "third"]);
    assert_eq!(server.get("/a/fifth/gives").text(), "third");
}

#[test]
fn one_who_waits_leaves_quietly() {
    let (_project, server) = start();
    let first = ask(&server, "/a/first/late");
    drop(ask(&server, "/a/second/gives"));
    let third = ask(&server, "/a/third/gives");
    drop(first);
    assert_eq!(answer(third), "third");
    assert!(!names(&server, "/called").contains(&"second".to_owned()));
}

#[test]
fn a_callback_that_hangs_holds_nobody_up() {
    let (_project, server) = start();
    let _first = ask(&server, "/a/first/hangs");
    let second = ask(&server, "/a/second/gives");
    assert_eq!(answer(second), "second");
    assert_eq!(names(&server, "/called"), ["first", "second"]);
}

/// It has had its time, and the one that was called next hangs: its code is as good as another's.
#[test]
fn a_callback_that_is_late_still_counts() {
    let (_project, server) = start();
    let first = ask(&server, "/a/first/late");
    let second = ask(&server, "/a/second/hangs");
    assert_eq!([answer(first), answer(second)], ["first", "first"]);
}

#[test]
fn a_failure_is_for_all_who_waited_and_is_forgotten() {
    let (_project, server) = start();
    let first = ask(&server, "/a/first/throws");
    let second = ask(&server, "/a/second/gives");
    assert_eq!([answer(first), answer(second)], ["first throws", "first throws"]);
    assert_eq!(names(&server, "/called"), ["first"]);
    assert_eq!(server.get("/a/third/gives").text(), "third");
}

#[test]
fn many_who_wait_and_leave_in_turn() {
    let (_project, server) = start();
    let clients: Vec<_> = (0..30).map(|n| ask(&server, &format!("/a/{n}/waits"))).collect();
    let last = ask(&server, "/a/last/gives");
    thread::scope(|scope| {
        // From both ends at once.
        let (front, back): (Vec<_>, Vec<_>) = clients.into_iter().enumerate().partition(|(n, _)| *n < 15);
        scope.spawn(|| front.into_iter().for_each(drop));
        scope.spawn(|| back.into_iter().rev().for_each(drop));
    });
    assert_eq!(answer(last), "last");
}
