//! Endless loops in what runs when something ends: listeners of signals, `cancel()` of streams, disposers, what reads
//! errors. All of it is on some budget, so that the loop ends, also where nobody waits for it.

use crate::support::wait_until;
use crate::*;

/// Rows as in `hostile!`, after which no thread is left behind in a loop.
macro_rules! comes_to_an_end {
    ($($(#[$comment:meta])* $name:ident: $way:expr, $child:expr => $outcome:expr;)*) => {
        $(
            $(#[$comment])*
            #[test]
            fn $name() {
                let (_project, server) = start();
                attacked(&server, $way, &$child, &$outcome);
                wait_until("no turn goes on at the lowest priority", || at_lowest_priority(&server) == 0);
                assert_unharmed(&server);
            }
        )*
    };
}

/// Waits in its handler of requests, of which `entered` tells; `listen(request)` is done before.
fn waits(listen: &str) -> Child {
    class(
        "const { promise, resolve } = Promise.withResolvers();",
        &format!(
            "entered() {{ return promise; }}
             async fetch(request) {{ {listen} resolve(); await scheduler.wait(1e9); }}"
        ),
    )
}

comes_to_an_end! {
    in_a_listener_of_the_requests_signal: "cancel", waits(
        "request.signal.addEventListener('abort', () => { for (;;); });"
    ) => Value("pong");
    in_many_listeners: "cancel", waits(
        "for (let i = 0; i < 5; i++) request.signal.addEventListener('abort', () => { for (;;); });"
    ) => Value("pong");
    in_a_listener_that_catches: "cancel", waits(
        "request.signal.onabort = () => { for (;;) try { for (;;); } catch {} finally { for (;;); } };"
    ) => Value("pong");
    in_jobs_of_a_listener: "cancel", waits(
        "request.signal.onabort = () => { const f = () => Promise.resolve().then(f); f(); };"
    ) => Value("pong");
    in_timers_of_a_listener: "cancel", waits(
        "this.ctx.waitUntil(scheduler.wait(1e9));
         request.signal.onabort = () => setTimeout(() => { for (;;); }, 1);"
    ) => Value("pong");
    in_a_listener_of_a_signal_that_follows: "cancel", waits(
        "AbortSignal.any([request.signal]).onabort = () => { for (;;); };"
    ) => Value("pong");
    in_the_handler_of_what_the_signal_aborts: "cancel", waits(
        "scheduler.wait(1e8, { signal: request.signal }).catch(() => { for (;;); });"
    ) => Value("pong");
    in_the_error_of_a_listener: "cancel", waits(
        "request.signal.onabort = () => {
             throw Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } });
         };"
    ) => Value("pong");
    in_cancel_of_a_body: "cancelBody", class(
        "",
        "fetch() {
             return new Response(new ReadableStream({
                 pull(controller) { controller.enqueue(new Uint8Array(10)); },
                 cancel() { for (;;); },
             }));
         }"
    ) => Value("pong");
    in_a_listener_once_a_body_is_cancelled: "cancelBody", class(
        "",
        "fetch(request) {
             request.signal.onabort = () => { for (;;); };
             return new Response(new ReadableStream({
                 pull(controller) { controller.enqueue(new Uint8Array(10)); },
             }));
         }"
    ) => Value("pong");
    in_cancel_of_a_stream: "glance", attack(
        "return new ReadableStream({
             type: 'bytes',
             pull(controller) { controller.enqueue(new Uint8Array(10)); },
             cancel() { for (;;); },
         });"
    ) => Value("seen enough");
    in_the_disposer_of_an_argument: "stub", class(
        "class Target extends RpcTarget { [Symbol.dispose]() { for (;;); } attack() { return 'attacked'; } }",
        "make() { return new Target(); }"
    ) => Answer;
    in_a_call_that_is_given_up: "drop", attack(
        "try { await scheduler.wait(1e9); } finally { for (;;); }"
    ) => Answer;
    in_the_stack_of_a_rejection: "call", attack(
        "Promise.reject(Object.defineProperty(new Error('x'), 'stack', { get() { for (;;); } }));
         await scheduler.wait(50); return 'done';"
    ) => Answer;
    in_the_proxy_of_a_rejection: "call", attack(
        "const trap = () => { for (;;); };
         Promise.reject(new Proxy(new Error('x'), { get: trap, getPrototypeOf: trap, has: trap }));
         await scheduler.wait(50); return 'done';"
    ) => Answer;
    in_prepare_stack_trace: "call", attack(
        "Error.prepareStackTrace = () => { for (;;); }; throw new Error('x');"
    ) => Error("");
    in_a_finalizer_of_an_idle_child: "call", attack(
        "globalThis.registry = new FinalizationRegistry(() => { for (;;); });
         for (let i = 0; i < 1e4; i++) registry.register({}, 1); return 'registered';"
    ) => Value("registered");
    in_the_start_function_of_wasm: "call", module(
        "const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 8, 1, 0,
             10, 9, 1, 7, 0, 3, 64, 12, 0, 11, 11];
         const compiled = new WebAssembly.Module(new Uint8Array(bytes));
         export default { async attack() { await WebAssembly.instantiate(compiled); } };"
    ) => Error("CPU time limit");
    in_a_module_that_is_imported_late: "call", module(
        "export default { async attack() { await import('./late.js'); } };"
    ) => Error("");
    while_it_aborts: "call", attack(
        "scheduler.wait(1).finally(() => { for (;;); });
         this.ctx.abort({ get message() { for (;;); }, toString() { for (;;); } });"
    ) => Error("");
}
