//! Who takes turns: long turns with each other, and those who send mail to one isolate.

mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use support::{Project, Server, json};

/// `/loops?n=` loads so many children that loop within a small budget, and tells how each ended. `/flood` has one child
/// send calls that each take its parent some time, and another one five calls, one after the other: it tells how many
/// of the flood had been worked off at each of those.
const PARENT: &str = r#"
    import { RpcTarget } from "cloudflare:workers";

    const load = (env, code) => env.LOADER.load({
        compatibilityDate: "2026-07-01", mainModule: "child.js", modules: { "child.js": code }, limits: { cpuMs: 300 },
    }).getEntrypoint();

    class Host extends RpcTarget {
        heavy = 0;
        begun = Promise.withResolvers();
        take() {
            const until = Date.now() + 5;
            for (let i = 0; Date.now() < until && i < 1e8; i++);
            this.heavy++;
            this.begun.resolve();
        }
        seen() { return this.heavy; }
    }

    let begun = 0;
    const routes = {
        async "/loops"(env, n) {
            const code = "export default { async go(begun) { await begun(); for (;;); } };";
            const loop = () => load(env, code).go(() => { begun++; }).catch((error) => error.message);
            return [...new Set(await Promise.all(Array.from({ length: n }, loop)))];
        },
        "/begun": () => begun,
        async "/flood"(env) {
            const host = new Host();
            const flooding = load(env, `export default { async go(host) {
                const calls = Array.from({ length: 200 }, () => host.take());
                await Promise.all(calls);
            } };`).go(host);
            await host.begun.promise;
            const seen = await load(env, `export default { async go(host) {
                const seen = [];
                for (let i = 0; i < 5; i++) seen.push(await host.seen());
                return seen;
            } };`).go(host);
            await flooding;
            return { seen, all: host.heavy };
        },
    };

    export default {
        async fetch(request, env) {
            const { pathname, searchParams } = new URL(request.url);
            return Response.json((await routes[pathname]?.(env, +searchParams.get("n"))) ?? null);
        },
    };
"#;

fn start() -> (Project, Server) {
    let project = Project::new(&[("index.js", PARENT)]);
    project.write(
        "wrangler.jsonc",
        r#"{ "name": "parent", "main": "index.js", "compatibility_date": "2026-07-01",
             "worker_loaders": [{ "binding": "LOADER" }] }"#,
    );
    let server = Server::start(project.path());
    (project, server)
}

/// Threads of the process at the lowest priority: all, and those that want to run.
fn long_turns(server: &Server) -> (usize, usize) {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.process())).expect("read /proc");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    // After the name: the state, and as the 17th field the nice value.
    let fields = stats.filter_map(|stat| {
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split(' ').collect();
        (fields.get(16) == Some(&"19")).then(|| fields[0] == "R")
    });
    let states: Vec<bool> = fields.collect();
    (states.len(), states.iter().filter(|runs| **runs).count())
}

#[test]
fn few_of_a_crowd_of_loops_run_at_a_time_and_all_end_at_their_budgets() {
    const LOOPS: usize = 60;
    let (_project, server) = start();
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let loops = scope.spawn(|| json(&server.get(&format!("/loops?n={LOOPS}"))));
        support::wait_until("all have begun", || json(&server.get("/begun")) == LOOPS);
        let mut most = 0;
        while !loops.is_finished() {
            let (_, running) = long_turns(&server);
            most = most.max(running);
            assert_eq!(json(&server.get("/begun")), LOOPS, "others are answered");
            thread::sleep(Duration::from_millis(10));
        }
        // Where one makes room for the next, both are seen for a moment.
        assert!(most <= 2 * lanes + 2, "{most} run at a time on {lanes} lanes");
        let outcomes = loops.join().expect("answered").to_string();
        assert!(outcomes.contains("CPU time limit of 300 ms"), "{outcomes}");
    });
    support::wait_until("their threads are gone", || long_turns(&server).0 == 0);
}

#[test]
fn senders_do_not_wait_for_all_that_another_one_sent() {
    let (_project, server) = start();
    let told = json(&server.get("/flood"));
    assert_eq!(told["all"], 200, "the flood is worked off, too");
    let last = told["seen"][4].as_u64().expect("a number");
    assert!(last < 100, "the fifth call came after {told}");
}
