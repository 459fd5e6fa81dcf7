//! Children that take memory until they are stopped. Shapes on which V8 gives up as a whole are in `written_off.rs`,
//! memory outside of its heap is in `natives.rs`.

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

    a_set_of_numbers: "call", greedy("const all = new Set(); for (let i = 0.5; ; i++) all.add(i);") => MEMORY;
    a_map_of_objects: "call", greedy("const all = new Map(); for (;;) all.set({}, 1);") => MEMORY;
    a_weak_map: "call", greedy(
        "const all = [], map = new WeakMap(); for (;;) { const key = {}; all.push(key); map.set(key, 1); }"
    ) => MEMORY;
    symbols: "call", hoard("Symbol('x')") => MEMORY;
    classes: "call", hoard("class { a() {} b() {} }") => MEMORY;
    generators: "call", greedy(
        "function* g() { yield 1; } for (const all = [];;) { const x = g(); x.next(); all.push(x); }"
    ) => MEMORY;
    promises: "call", hoard("new Promise(() => {})") => MEMORY;
    errors: "call", hoard("new Error('x')") => MEMORY;
    proxies: "call", hoard("new Proxy({}, {})") => MEMORY;
    bound_functions: "call", hoard("(() => 1).bind(null, 1, 2, 3)") => MEMORY;
    weak_references: "call", hoard("new WeakRef({})") => MEMORY;
    small_buffers: "call", hoard("new Float64Array(100)") => MEMORY;
    large_numbers: "call", greedy("let a = 1n; for (;;) a = (a << 100000000n) + 1n;") => MEMORY;
    json: "call", greedy(
        "const a = new Array(1e6).fill('x'), all = []; for (;;) all.push(JSON.stringify(a));"
    ) => MEMORY;
    one_array: "call", greedy("const all = []; for (;;) all.push(1);") => MEMORY;
    one_array_that_doubles: "call", greedy("let all = [1]; for (;;) all = [...all, ...all];") => MEMORY;
    one_array_that_is_joined_with_itself: "call", greedy(
        "let all = new Array(1e6).fill(1); for (;;) all = all.concat(all);"
    ) => MEMORY;
    one_large_array: "call", greedy("return Array.from({ length: 1e8 }, () => 1).length;") => MEMORY;
    one_large_split: "call", greedy("return 'x'.repeat(1e8).split('').length;") => Answer;
    one_large_match: "call", greedy("return 'ab'.repeat(1e8).match(/a/g).length;") => MEMORY;
    one_large_clone: "call", greedy("return structuredClone(new Array(2e7).fill(1)).length;") => Answer;
    listeners: "call", greedy(
        "const s = new AbortController().signal, all = []; for (;;) all.push(AbortSignal.any([s]));"
    ) => MEMORY;
    blobs: "call", greedy("const s = 'x'.repeat(1e6), all = []; for (;;) all.push(new Blob([s]));") => MEMORY;
    a_stream_that_nobody_reads: "call", greedy(
        "const all = new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); } });
         const reader = all.tee()[0].getReader(); for (;;) await reader.read();"
    ) => FULL;
    a_transformation_that_nobody_reads: "call", greedy(
        "const t = new TransformStream({}, { highWaterMark: 1e9 }, { highWaterMark: 1e9 });
         const w = t.writable.getWriter(); for (;;) { w.write(new Uint8Array(65536)); await null; }"
    ) => FULL;
    resizable_buffers: "call", greedy(
        "const all = []; for (;;) all.push(new ArrayBuffer(8, { maxByteLength: 1e6 }));"
    ) => NO_BUFFER;
    growable_buffers: "call", greedy(
        "const all = []; for (;;) all.push(new SharedArrayBuffer(8, { maxByteLength: 1e6 }));"
    ) => NO_BUFFER;
    // Those over the child's share reject at once, and take nothing but its time.
    requests: "call", attack("for (;;) { fetch('http://nowhere/').catch(() => {}); await null; }") => CPU;
}
