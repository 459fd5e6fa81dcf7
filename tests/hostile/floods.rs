//! Too much of everything: jobs, timers, log lines, stubs, calls, streams.

use crate::*;

/// Calls that a child makes to its parent. Code that is not optimised gets fewer.
const CALLS: u32 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

fn patient(body: &str) -> Child {
    attack(body).cpu_ms(30_000)
}

hostile! {
    promises: "call", patient(
        "let n = 0; for (let i = 0; i < 3e5; i++) Promise.resolve(i).then(() => n++); await null; return n;"
    ) => Value("300000");
    microtasks: "call", patient(
        "for (let i = 0; i < 3e5; i++) queueMicrotask(() => {}); return 'done';"
    ) => Value("done");
    rejections: "call", patient(
        "for (let i = 0; i < 2e4; i++) Promise.reject(new Error('x' + i)); return 'done';"
    ) => Value("done");
    rejections_without_end: "call", attack(
        "addEventListener('unhandledrejection', () => { Promise.reject(1); });
         Promise.reject(1); await new Promise(() => {});"
    ) => Error("");
    errors_of_microtasks: "call", patient(
        "for (let i = 0; i < 2e4; i++) queueMicrotask(() => { throw new Error('x'.repeat(1e3)); }); return 'done';"
    ) => Value("done");
    errors_of_error_listeners: "call", attack(
        "addEventListener('error', () => { queueMicrotask(() => { throw 2; }); throw 1; });
         reportError(0); await new Promise(() => {});"
    ) => CPU;
    waits_without_end: "call", attack("for (;;) scheduler.wait(1e6);").cpu_ms(5000) => Error("");
    imports_without_end: "call", attack(
        "for (;;) import('cloudflare:workers');"
    ).cpu_ms(2000) => Error("");
    events_without_end: "call", attack(
        "const t = new EventTarget(); t.addEventListener('x', () => t.dispatchEvent(new Event('x')));
         t.dispatchEvent(new Event('x'));"
    ).cpu_ms(2000) => Answer;
    timers: "call", patient("for (;;) setTimeout(() => {}, 1e6);") => Error("QuotaExceededError");
    intervals: "call", attack(
        "for (let i = 0; i < 5000; i++) setInterval(() => {}, 0); await new Promise(() => {});"
    ) => CPU;
    log_lines: "call", attack("for (let i = 0; ; i++) console.log(`line ${i}`);") => CPU;
    large_things_logged: "call", patient(
        "for (let i = 0; i < 20; i++) console.log(new Array(1e6).fill('x'.repeat(1000))); return 'logged';"
    ) => Value("logged");
    a_long_log_line: "call", patient("console.log('x'.repeat(2 ** 26)); return 'logged';") => Value("logged");

    calls_of_the_live_host: "call", patient(&format!(
        "for (let i = 0; i < {CALLS}; i++) await host.echo(i); return 'done';"
    )) => Value("done");
    calls_of_the_service: "call", patient(
        "for (let i = 0; i < 5000; i++) await this.env.HOST.echo(i); return 'done';"
    ) => Value("done");
    /// More than its share, unless they are answered as fast as they come.
    calls_at_once: "call", patient(
        "const calls = []; for (let i = 0; i < 10000; i++) calls.push(host.echo(i), this.env.HOST.echo(i));
         await Promise.all(calls); return 'done';"
    ) => Answer;
    calls_at_once_within_its_share: "call", patient(
        "const calls = []; for (let i = 0; i < 2000; i++) calls.push(host.echo(i), this.env.HOST.echo(i));
         await Promise.all(calls); return 'done';"
    ) => Value("done");
    calls_without_end: "call", attack("for (;;) { host.echo(1); this.env.HOST.echo(1); }") => CPU;
    large_calls: "call", patient(
        "const s = 'x'.repeat(3e7);
         for (let i = 0; i < 5; i++) if ((await host.echo(s)).length !== 3e7) throw new Error('cut');
         return 'done';"
    ) => Value("done");
    large_calls_at_once: "call", attack(
        "const s = 'x'.repeat(1e6); for (let i = 0; i < 100; i++) host.echo(s); return 'sent';"
    ) => Value("sent");
    a_call_that_is_too_large: "call", patient(
        "await host.echo('x'.repeat(4e7));"
    ) => Error("limited to 32MiB");
    a_result_that_is_too_large: "call", patient("return 'x'.repeat(4e7);") => Error("limited to 32MiB");
    fetches_without_end: "call", attack(
        "for (;;) fetch('http://nowhere/').catch(() => {});"
    ) => Error("exceeded its");

    calls_of_the_child: "flood", attack("return 'done';") => Value("[\"done\"]");
    calls_of_a_child_that_hangs: "flood", attack("return new Promise(() => {});") => Value("had hung");
    calls_of_a_child_that_loops: "twenty", attack("for (;;);").cpu_ms(20) => Value("exceeded its CPU");

    stubs_as_arguments: "call", patient(
        "await host.echo(Array.from({ length: 5000 }, () => () => 1)); return 'done';"
    ) => Value("done");
    stubs_as_a_result: "call", patient("return Array.from({ length: 5000 }, () => () => 1);") => Value("[");
    stubs_that_are_duplicates: "call", patient(
        "const stub = new RpcStub(() => 1); for (let i = 0; i < 20000; i++) stub.dup(); return 'done';"
    ) => Value("done");
    stubs_without_end: "call", attack("for (const all = [];;) all.push(host.dup());").cpu_ms(5000) => Error("");
    stubs_of_functions_without_end: "call", attack(
        "for (const all = [];;) all.push(new RpcStub(() => 1));"
    ).cpu_ms(5000) => Error("");
    callbacks_without_end: "call", attack("for (;;) await host.echo(() => 1);").cpu_ms(3000) => Error("");
    calls_on_promises_without_end: "call", attack(
        "let p = host.echo(1); for (;;) p = host.echo(p);"
    ).cpu_ms(2000) => Error("");
    calls_back_and_forth_without_end: "call", attack(
        "const f = () => host.call(f); return f();"
    ).cpu_ms(3000) => Error("");
    a_long_path: "call", attack("let p = host; for (;;) p = p.x;") => Error("too deep");
    streams_as_arguments: "call", patient(
        "await host.echo(Array.from({ length: 2000 }, () => new ReadableStream({ type: 'bytes' })));
         return 'done';"
    ) => Value("done");
    streams_as_a_result: "call", patient(
        "return Array.from({ length: 2000 }, () => new ReadableStream({ type: 'bytes' }));"
    ) => Value("[");

    a_stream_that_does_not_end: "read", patient(
        "return new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array(65536)); } });"
    ) => Value("enough");
    a_stream_that_fails: "read", attack(
        "return new ReadableStream({ type: 'bytes', pull() { throw new Error('broken'); } });"
    ) => Error("disconnected prematurely");
    a_response_that_does_not_end: "fetch", module(
        "export default { fetch() {
             return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(1e6)); } })); } }"
    ).cpu_ms(30_000) => Error("larger than");
    a_response_that_does_not_begin: "head", module(
        "const body = () => new ReadableStream({ pull() { return new Promise(() => {}); } });
         export default { fetch() { return new Response(body()); } };"
    ) => Value("200");
    a_stream_that_is_never_read: "write", attack(
        "await new Promise((resolve) => setTimeout(resolve, 1e6));"
    ) => Value("no answer, held back");
    a_stream_that_is_read_once: "write", attack(
        "await host.getReader().read(); await new Promise((resolve) => setTimeout(resolve, 1e6));"
    ) => Value("no answer, held back");
    a_stream_that_is_locked_and_left: "write", attack(
        "host.getReader(); return 'left';"
    ) => Value("left, held back");
    response_headers: "head", module(
        "export default { fetch() {
             const h = new Headers(); for (let i = 0; i < 20000; i++) h.append('x-' + i, 'y');
             return new Response('', { headers: h }); } }"
    ).cpu_ms(30_000) => Answer;
}
