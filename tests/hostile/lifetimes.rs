//! Calls, children and parents that go away at the wrong moment.

use crate::*;

hostile! {
    disposal_during_a_call: "drop", attack("await scheduler.wait(50); return 'done';") => Answer;
    disposal_during_a_loop: "drop", attack("for (;;);") => Answer;
    a_call_that_is_forgotten: "forget", attack(
        "await scheduler.wait(50); return () => 1;"
    ) => Value("forgotten");
    a_loop_that_is_forgotten: "forget", attack("for (;;);") => Value("forgotten");
    a_parent_that_is_gone: "forget", attack(
        "await scheduler.wait(20); try { await host.echo(1); } finally { await host.call(() => 1); }"
    ) => Value("forgotten");
    a_parent_that_is_gone_in_wait_until: "call", attack(
        "const later = async () => { for (;;) { await scheduler.wait(5); await host.echo(1); } };
         this.ctx.waitUntil(later()); return 'first';"
    ) => Value("first");
    a_stub_that_is_kept: "call", attack(
        "const later = async (kept) => { await scheduler.wait(20); await kept.echo(1); };
         this.ctx.waitUntil(later(host.dup())); return 'first';"
    ) => Value("first");
    a_callback_that_never_settles: "race", attack("return host.never();") => Value("no answer");
    a_callback_that_is_never_called: "call", attack("return new Promise(() => {});") => Error("had hung");
    a_callback_that_throws: "call", attack("await host.fail();") => Error("the host refuses");
    an_abort_during_calls: "call", attack(
        "for (let i = 0; i < 100; i++) host.echo(i).catch(() => {}); this.ctx.abort(new Error('mine'));"
    ) => Error("mine");
    an_isolate_that_ends_itself: "call", attack(
        "const { abortIsolate } = await import('cloudflare:workers'); host.echo(1).catch(() => {});
         abortIsolate('mine');"
    ) => Error("internal error");
    an_isolate_that_ends_with_its_stubs_held: "stub", class("", "make() {
        setTimeout(async () => (await import('cloudflare:workers')).abortIsolate('mine'), 1);
        return { async attack() { await scheduler.wait(1000); } }; }"
    ) => Error("");

    children_abandoned: "abandon", attack("await scheduler.wait(20); return 1;") => Value("abandoned");
    children_abandoned_in_loops: "abandon", attack("for (;;);").cpu_ms(10) => Value("abandoned");
    children_abandoned_while_they_start: "abandon", module(
        "for (let i = 0; i < 3e7; i++); export default { attack() {} };"
    ) => Value("abandoned");
    children_abandoned_that_fail_to_start: "abandon", module("not a program") => Value("abandoned");
    a_named_child_that_loops: "again", attack("for (;;);") => Value("CPU time limit of 150 ms.\",\"error");
    a_named_child_that_fails_to_start: "again", module("throw new Error('mine');") => Value("mine");
    an_import_of_nothing: "call", attack("return import('./absent.js');") => Error("No such module");
    its_own_address_given_away: "call", attack(
        "return this.ctx.exports.default({ props: {} });"
    ) => Error("cannot be transferred");

    children_dropped_in_collections: "churn", attack("await scheduler.wait(5); return 1;") => Value("churned");
    children_dropped_that_collect: "churn", attack(
        "for (;;) { const all = []; for (let i = 0; i < 1e5; i++) all.push([i]); }"
    ).cpu_ms(30) => Value("churned");
    children_dropped_with_callbacks: "churn", attack(
        "const all = []; for (let i = 0; i < 50; i++) all.push(host.call(() => i)); return () => all;"
    ) => Value("churned");
    a_finalizer_that_loops: "again", finalizer("for (;;);") => Value("callbacks, which is 1000 ms.\",\"error");
    finalizers_that_follow_each_other: "again", finalizer(
        "for (let i = 0, x = 0; i < 2e7; i++) x += i % 7; watch();"
    ) => Value("callbacks, which is 1000 ms.\",\"error");
    an_isolate_that_ends_in_a_finalizer: "call", attack(
        "const { abortIsolate } = await import('cloudflare:workers');
         globalThis.registry = new FinalizationRegistry(() => abortIsolate('mine'));
         for (let i = 0; i < 1e5; i++) registry.register({}, 1);
         for (let i = 0; i < 100; i++) { for (let j = 0; j < 1e5; j++) [j, {}]; await scheduler.wait(1); }"
    ).cpu_ms(5000) => Answer;
    stubs_dropped_in_collections: "call", attack(
        "for (let i = 0; i < 3000; i++) { host.dup(); new RpcStub(() => host); host.echo(() => i).catch(() => {}); }
         for (let i = 0; i < 30; i++) { for (let j = 0; j < 1e5; j++) [j, {}]; await scheduler.wait(1); }
         return host.echo('well');"
    ).cpu_ms(10_000) => Value("well");

    a_stream_that_is_left: "glance", attack(
        "return new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array(65536)); } });"
    ).cpu_ms(5000) => Value("seen enough");
    a_stream_that_is_left_while_it_loops: "glance", attack(
        "let n = 0;
         return new ReadableStream({ type: 'bytes', pull(c) { if (n++) for (;;); c.enqueue(new Uint8Array(9)); } });"
    ) => Answer;
    an_end_during_a_stream: "read", attack(
        "const { abortIsolate } = await import('cloudflare:workers');
         let n = 0;
         return new ReadableStream({ type: 'bytes', pull(c) {
             if (n++ > 5) abortIsolate('mine');
             c.enqueue(new Uint8Array(65536)); } });"
    ) => Error("");
    an_end_for_memory_during_a_stream: "read", attack(
        "let n = 0;
         return new ReadableStream({ type: 'bytes', pull(c) {
             if (n++ > 5) for (const all = [];;) all.push([n]);
             c.enqueue(new Uint8Array(65536)); } });"
    ).cpu_ms(30_000) => Error("");
    an_end_during_a_response: "fetch", module(
        "import { abortIsolate } from 'cloudflare:workers';
         let n = 0;
         export default { fetch() {
             return new Response(new ReadableStream({ pull(c) {
                 if (n++ > 5) abortIsolate('mine');
                 c.enqueue(new Uint8Array(65536)); } })); } };"
    ) => Error("");
    an_end_while_it_reads: "write", attack(
        "const { abortIsolate } = await import('cloudflare:workers');
         await host.getReader().read(); abortIsolate('mine');"
    ) => Value("held back");
    a_loop_while_it_reads: "write", attack("for await (const piece of host) for (;;);") => Value("held back");
    a_sink_that_ends_its_isolate: "feed", attack(
        "const { abortIsolate } = await import('cloudflare:workers');
         return new WritableStream({ write() { abortIsolate('mine'); } });"
    ) => Error("");
    a_sink_that_fails: "feed", attack(
        "return new WritableStream({ write() { throw new Error('mine'); } });"
    ) => Error("");
    a_sink_that_loops: "feed", attack("return new WritableStream({ write() { for (;;); } });") => Error("");
    a_cancellation_that_never_ends: "read", attack(
        "return new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array(65536)); },
             cancel() { return new Promise(() => {}); } });"
    ).cpu_ms(5000) => Answer;
    a_cancellation_that_loops: "read", attack(
        "return new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array(65536)); },
             cancel() { for (;;); } });"
    ).cpu_ms(2000) => Answer;
}

/// Has this callback called for a piece of garbage; what works for no invocation has a budget of its own.
fn finalizer(callback: &str) -> Child {
    with(
        &format!(
            "const registry = new FinalizationRegistry(() => {{ {callback} }});
             function watch() {{
                 registry.register({{}});
                 for (let i = 0, all = []; i < 2e5; i++) all[i % 10] = new Array(50);
             }}"
        ),
        "watch(); for (;;) { await scheduler.wait(100); watch(); }",
    )
    .cpu_ms(30_000)
}
