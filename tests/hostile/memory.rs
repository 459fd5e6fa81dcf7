//! Children that take memory until they are stopped. Shapes that end V8's process as a whole are not here: what
//! contains those is a border between processes.

use crate::*;

/// Hoards what the expression gives.
fn hoard(expression: &str) -> Child {
    attack(&format!("const all = []; for (let i = 0; ; i++) all.push({expression});")).cpu_ms(30_000)
}

fn greedy(body: &str) -> Child {
    attack(body).cpu_ms(30_000)
}

hostile! {
    arrays: "call", hoard("[i, i, i, i, i, i, i, i]") => MEMORY;
    closures: "call", hoard("() => i") => MEMORY;
    long_strings: "call", hoard("new Array(10000).fill('xxxxxxxxxx').join()") => MEMORY;
    responses: "call", hoard("new Response('x'.repeat(1000) + i)") => MEMORY;
    clones: "call", greedy(
        "let graph = {}; for (let i = 0; i < 16; i++) graph = { a: graph, b: structuredClone(graph) };
         const all = []; for (;;) all.push(structuredClone(graph));"
    ) => MEMORY;
    a_map: "call", greedy(
        "const all = new Map(); for (let i = 0; ; i++) all.set(i, new Array(1000).fill(i));"
    ) => MEMORY;
    a_concatenated_string: "call", greedy(
        "const all = []; let s = ''; for (let i = 0; ; i++) s += 'abcdefgh' + i;"
    ) => MEMORY;
    a_doubled_string: "call", greedy("let s = 'abcdefgh'; for (;;) { s += s; s.charCodeAt(3); }") => MEMORY;

    that_is_caught: "call", greedy(
        "for (;;) try { const all = []; for (;;) all.push({}); } catch {}"
    ) => MEMORY;
    in_a_finally_block: "call", greedy(
        "const all = []; try { for (;;) all.push([1]); } finally { for (;;) all.push([1]); }"
    ) => MEMORY;
    in_promise_jobs: "call", greedy(
        "const all = [];
         const f = () => { for (let i = 0; i < 1e4; i++) all.push([i]); return Promise.resolve().then(f); };
         await f();"
    ) => MEMORY;
    in_timers: "call", greedy(
        "const all = [], more = () => { for (let i = 0; i < 1e5; i++) all.push([i]); };
         await new Promise(() => setInterval(more, 0));"
    ) => MEMORY;
    in_wait_until: "call", greedy(
        "const later = async () => { await scheduler.wait(1); const all = []; for (;;) all.push([1]); };
         this.ctx.waitUntil(later()); return 'first';"
    ) => Value("first");
    at_top_level: "call", module("const all = []; for (;;) all.push([1, 2, 3]);") => Error("Worker");
    of_a_named_child: "again", hoard("[i, i, i, i]") => Value("memory limit of 128 MiB.\",\"error");
}
