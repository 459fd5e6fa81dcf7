//! Endless loops, wherever guest code can run.

use crate::*;

hostile! {
    plain: "call", attack("for (;;);") => CPU;
    that_catches: "call", attack("for (;;) try { for (;;); } catch {} finally { for (;;); }") => CPU;
    in_a_generator: "call", attack("function* g() { for (;;) yield 1; } for (const x of g());") => CPU;
    in_large_numbers: "call", attack("let a = 3n; for (;;) a *= a;") => CPU;
    in_a_regular_expression: "call", attack("return /^(a+)+$/.test('a'.repeat(40) + 'b');") => CPU;
    in_a_comparator: "call", attack("return [3, 2, 1].sort(() => { for (;;); });") => CPU;
    in_to_json: "call", attack("return JSON.stringify({ toJSON() { for (;;); } });") => CPU;

    in_a_reviver: "call", attack("JSON.parse('[1]', () => { for (;;); });") => CPU;
    in_a_replacement: "call", attack("'x'.replace(/x/, () => { for (;;); });") => CPU;
    in_to_primitive: "call", attack("`${{ [Symbol.toPrimitive]() { for (;;); } }}`;") => CPU;
    in_has_instance: "call", attack(
        "return 1 instanceof { [Symbol.hasInstance]() { for (;;); } };"
    ) => CPU;
    in_an_iterator_of_parameters: "call", attack(
        "function* g() { for (;;) yield ['a', 'b']; } new URLSearchParams(g());"
    ) => Error("exceeded its");
    in_an_iterator_of_headers: "call", attack(
        "function* g() { for (;;) yield ['a', 'b']; } new Headers(g());"
    ) => Error("exceeded its");
    in_an_iterator_of_parts: "call", attack(
        "function* g() { for (;;) yield 'part'; } new Blob(g());"
    ) => Error("exceeded its");
    in_an_iterator_of_promises: "call", attack(
        "function* g() { for (;;) yield 1; } await Promise.all(g());"
    ) => Error("exceeded its");
    in_an_iterator_of_signals: "call", attack(
        "function* g() { for (;;) yield new AbortController().signal; } AbortSignal.any(g());"
    ) => Error("exceeded its");
    in_an_iterator_of_transfers: "call", attack(
        "function* g() { for (;;) yield new ArrayBuffer(1); } structuredClone(1, { transfer: g() });"
    ) => Answer;

    of_awaits: "call", attack("for (;;) await null;") => CPU;
    of_promise_jobs: "call", attack(
        "const f = () => { Promise.resolve().then(f); }; f(); await new Promise(() => {});"
    ) => CPU;
    of_microtasks: "call", attack(
        "const f = () => queueMicrotask(f); f(); await new Promise(() => {});"
    ) => CPU;
    of_a_thenable: "call", attack("const t = { then(resolve) { resolve(t); } }; return t;") => CPU;
    in_a_promise_species: "call", attack(
        "class P extends Promise { static get [Symbol.species]() { for (;;); } } return P.resolve(1);"
    ) => CPU;

    in_a_getter_of_the_result: "call", attack("return { get x() { for (;;); } };") => CPU;
    in_a_then_getter_of_the_result: "call", attack("return { get then() { for (;;); } };") => CPU;
    in_a_dispose_getter_of_the_result: "call", attack(
        "return { get [Symbol.dispose]() { for (;;); } };"
    ) => CPU;
    in_a_trap_of_the_result: "call", attack(
        "return { p: new Proxy({}, { getPrototypeOf() { for (;;); } }) };"
    ) => CPU;
    in_a_getter_of_arguments: "call", attack("await host.echo({ get x() { for (;;); } });") => CPU;
    in_a_thrown_error: "call", attack(
        "throw Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } });"
    ) => CPU;
    in_to_string_of_what_is_thrown: "call", attack("throw { toString() { for (;;); } };")
        => Error("#<Object>");
    in_inspection: "call", attack(
        "console.log({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;); } });"
    ) => CPU;

    in_a_timer: "call", attack("await new Promise(() => setTimeout(() => { for (;;); }, 1));") => CPU;
    in_an_abort_listener: "call", attack(
        "const c = new AbortController(); c.signal.onabort = () => { for (;;); }; c.abort();"
    ) => CPU;
    in_an_error_listener: "call", attack(
        "addEventListener('error', () => { for (;;); }); queueMicrotask(() => { throw 1; });
         await new Promise(() => {});"
    ) => CPU;
    /// Each listener alone is stopped; the microtasks behind it go with it.
    in_an_error_listener_of_many: "call", attack(
        "addEventListener('error', () => { for (;;); });
         for (let i = 0; i < 1e4; i++) queueMicrotask(() => { throw 1; }); await new Promise(() => {});"
    ) => CPU;
    in_an_error_handler_getter: "call", attack(
        "Object.defineProperty(globalThis, 'onerror', { get() { for (;;); } });
         queueMicrotask(() => { throw 1; }); await new Promise(() => {});"
    ) => CPU;
    in_a_rejection_listener: "call", attack(
        "addEventListener('unhandledrejection', () => { for (;;); });
         for (let i = 0; i < 1e3; i++) Promise.reject(1); await new Promise(() => {});"
    ) => CPU;
    in_a_listener_of_late_handlers: "call", attack(
        "addEventListener('unhandledrejection', () => {});
         addEventListener('rejectionhandled', () => { for (;;); });
         const p = Promise.reject(1); await scheduler.wait(1); p.catch(() => {}); await new Promise(() => {});"
    ) => CPU;
    in_a_stream: "read", attack(
        "return new ReadableStream({ type: 'bytes', pull() { for (;;); } });"
    ) => Error("");
    in_a_transformation: "read", attack(
        "const s = new Blob(['x']).stream().pipeThrough(new TransformStream({ transform() { for (;;); } }));
         return s.pipeThrough(new IdentityTransformStream());"
    ) => Error("");
    in_a_wait_until_thenable: "call", attack(
        "this.ctx.waitUntil({ get then() { for (;;); } }); return 'first';"
    ) => Answer;
    in_a_response_body: "fetch", module(
        "export default { fetch() { return new Response(new ReadableStream({ pull() { for (;;); } })); } }"
    ) => CPU;
    in_a_finalizer: "call", attack(
        "globalThis.registry = new FinalizationRegistry(() => { for (;;); });
         for (let i = 0; i < 1e5; i++) registry.register({}, 1);
         for (let i = 0; i < 30; i++) { for (let j = 0; j < 1e5; j++) [j, {}]; await scheduler.wait(1); }"
    ).cpu_ms(5000) => Answer;

    in_the_fetch_handler: "fetch", module("export default { fetch() { for (;;); } }") => CPU;
    in_a_method_getter: "call", class("", "get attack() { for (;;); }") => CPU;
    in_a_property: "get", class("", "get attack() { for (;;); }") => CPU;
    in_a_constructor: "call", class("", "constructor(...all) { super(...all); for (;;); }") => CPU;
    in_an_export_that_is_a_proxy: "call", module(
        "const trap = () => { for (;;); };
         export default new Proxy({}, { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap });"
    ) => CPU;
    in_a_returned_object: "stub", class(
        "class Target extends RpcTarget { attack() { for (;;); } }",
        "make() { return new Target(); }"
    ) => Error("");
    in_a_disposer: "dispose", class(
        "class Target extends RpcTarget { [Symbol.dispose]() { for (;;); } }",
        "make() { return new Target(); }"
    ) => Value("pong");
    in_the_disposer_of_a_plain_result: "dispose", class(
        "", "make() { return { [Symbol.dispose]() { for (;;); } }; }"
    ) => Value("pong");

    after_the_answer: "call", attack(
        "Promise.resolve().then(() => {}).then(() => { for (;;); }); return 'first';"
    ) => Answer;
    in_wait_until: "call", attack(
        "this.ctx.waitUntil((async () => { await scheduler.wait(1); for (;;); })()); return 'first';"
    ) => Value("first");
    after_an_abort: "call", attack("this.ctx.abort(new Error('mine')); for (;;);") => Error("mine");

    at_top_level: "call", module("for (;;);") => Error("Worker");
    in_a_static_block_at_top_level: "call", module("class X { static { for (;;); } }") => Error("Worker");
    of_wasm_at_top_level: "call", module(
        "const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 8, 1, 0,
             10, 9, 1, 7, 0, 3, 64, 12, 0, 11, 11];
         new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)));"
    ) => Error("Worker");
    of_awaits_at_top_level: "call", module("for (;;) await null;") => Error("Worker");
    of_jobs_at_top_level: "call", module(
        "const f = () => { Promise.resolve().then(f); }; f(); export default {};"
    ) => Error("start-up");
    that_waits_at_top_level: "call", module("await new Promise(() => {});") => Error("Top-level await");
    in_wasm: "call", wasm("[3, 64, 12, 0, 11, 11]") => CPU;
}

/// A Wasm function with this body, called by `attack`.
fn wasm(body: &str) -> Child {
    module(&format!(
        "const body = {body};
         const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
             10, body.length + 3, 1, body.length + 1, 0, ...body];
         const {{ f }} = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports;
         export default {{ attack() {{ f(); }} }};"
    ))
}
