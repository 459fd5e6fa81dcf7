//! Results, arguments and exceptions that are made to confuse whoever serialises, awaits, prints or disposes them.

use crate::*;

const REVOKED: Outcome = Error("revoked");
const REVOKE: &str =
    "const r = Proxy.revocable({}, {}), f = Proxy.revocable(() => 1, {}); r.revoke(); f.revoke();";

hostile! {
    a_revoked_proxy: "call", with(REVOKE, "return r.proxy;") => REVOKED;
    a_revoked_proxy_inside: "call", with(REVOKE, "return { a: [r.proxy] };") => REVOKED;
    a_revoked_function_inside: "call", with(REVOKE, "return { a: [f.proxy] };") => REVOKED;
    a_revoked_proxy_as_argument: "call", with(
        REVOKE,
        "try { await host.echo(r.proxy); } catch (e) { return `${e.name}, ${await host.echo('well')}`; }"
    ) => Value("TypeError, well");
    a_revoked_proxy_thrown: "call", with(REVOKE, "throw r.proxy;") => Error("");
    a_proxy_revoked_later: "dispose", class(
        "", "make() { const r = Proxy.revocable({ x: 1 }, {}); setTimeout(r.revoke, 1); return r.proxy; }"
    ) => Value("pong");
    a_proxy_that_lies: "call", attack(
        "return [new Proxy({}, { getPrototypeOf: () => Object.prototype, ownKeys: () => ['a', 'b'],
             getOwnPropertyDescriptor: () => ({ value: 1, configurable: true, enumerable: true }) })];"
    ) => Answer;
    a_proxy_that_plays_a_target: "stub", class(
        "const traps = { getPrototypeOf: () => RpcTarget.prototype, get() { throw new Error('trapped'); } };",
        "make() { return new Proxy({}, traps); }"
    ) => Error("");

    a_thenable_that_never_calls_back: "call", attack("return { then() {} };") => Error("had hung");
    a_response_that_is_a_thenable: "fetch", module(
        "export default { fetch() { return { then() {} }; } }"
    ) => Error("had hung");
    a_thenable_inside: "keys", attack("return { a: { then() {} } };") => Value("[\"a\"");
    a_then_that_is_data: "keys", attack(
        "return { then: 1, constructor: 2, dup: 3 };"
    ) => Value("[\"then\",\"constructor\",\"dup\"");
    a_then_getter_that_throws: "call", attack(
        "return { get then() { throw new Error('mine'); } };"
    ) => Error("mine");
    a_promise_that_waits_for_itself: "call", attack(
        "const p = new Promise((resolve) => setTimeout(() => resolve(p), 1)); return p;"
    ) => Error("cycle");
    a_dispose_getter_that_throws: "call", attack(
        "return { get [Symbol.dispose]() { throw new Error('mine'); } };"
    ) => Error("mine");
    a_disposer_that_throws: "dispose", class(
        "", "make() { return { [Symbol.dispose]() { throw new Error('mine'); } }; }"
    ) => Value("pong");
    a_disposer_that_is_data: "dispose", class(
        "", "make() { return { [Symbol.dispose]: 1 }; }"
    ) => Value("pong");
    a_constructor_getter_that_throws: "call", attack(
        "return { get constructor() { throw new Error('mine'); } };"
    ) => Error("mine");
    a_prototype_as_data: "keys", attack(
        "return JSON.parse('{\"__proto__\": { \"polluted\": 1 }}');"
    ) => Value("[\"__proto__\"");

    a_cycle: "keys", attack("const a = {}; a.a = a; return a;") => Value("[\"a\"");
    a_cycle_with_a_function: "keys", attack(
        "const a = { f() {} }; a.a = a.f.a = a; return a;"
    ) => Value("[\"f\",\"a\"");
    a_cycle_as_argument: "call", attack(
        "const a = {}; a.a = a; return (await host.echo(a)).a.a !== undefined;"
    ) => Value("true");
    a_cycle_of_causes: "call", attack("const e = new Error('mine'); e.cause = e; throw e;") => Error("mine");

    a_getter_that_throws: "call", attack(
        "return { a: 1, f() {}, get b() { throw new Error('mine'); }, c: 2 };"
    ) => Error("mine");
    a_getter_of_arguments_that_throws: "call", attack(
        "try { await host.echo({ f() {}, get b() { throw new Error('mine'); } }); }
         catch (e) { return `${e.message}, ${await host.echo('well')}`; }"
    ) => Value("mine, well");
    a_getter_that_calls_the_host: "call", attack(
        "const { HOST } = this.env;
         return { get x() { host.echo({ y: 1 }); HOST.echo(() => 1); return 1; }, f: () => 1 };"
    ) => Answer;
    a_getter_that_changes_its_object: "call", attack(
        "const change = () => { for (let i = 0; i < 1000; i++) o['n' + i] = o; delete o.c; };
         const o = { a: 1, get b() { change(); return 1; }, c: 2 };
         return o;"
    ) => Answer;
    a_getter_that_empties_its_array: "call", attack(
        "const a = [1, { get x() { a.length = 0; return 1; } }, 3, 4]; return a;"
    ) => Answer;
    a_getter_that_empties_its_map: "call", attack(
        "const m = new Map([[1, { get x() { m.clear(); return 1; } }], [2, 2]]); return m;"
    ) => Answer;
    a_getter_that_takes_a_buffer_away: "call", attack(
        "const b = new ArrayBuffer(1000), v = new Uint8Array(b);
         return { get x() { b.transfer(); return 1; }, v };"
    ) => Answer;
    a_getter_that_shrinks_a_buffer: "call", attack(
        "const b = new ArrayBuffer(1000, { maxByteLength: 2000 }), v = new Uint8Array(b);
         return { v, get x() { b.resize(1); return 1; }, b, get y() { b.resize(0); return 1; }, w: v };"
    ) => Answer;
    a_getter_that_disposes_a_stub: "call", attack(
        "const stub = host.dup(); return { get x() { stub[Symbol.dispose](); return 1; }, stub };"
    ) => Answer;

    a_class_with_a_loop_for_a_name: "call", attack(
        "class X { static get name() { for (;;); } } return new X();"
    ) => Error("");
    a_result_that_prints_strangely: "print", attack(
        "return { toString() { for (;;); }, toJSON() { for (;;); }, valueOf() { for (;;); } };"
    ) => Value("printed");
    null_thrown: "call", attack("throw null;") => Error("null");
    a_symbol_thrown: "call", attack("throw Symbol('mine');") => Error("mine");
    a_function_thrown: "call", attack("throw () => 1;") => Error("");
    an_error_with_throwing_getters: "call", attack(
        "const e = new Error('x'); for (const key of ['name', 'message', 'stack', 'cause'])
             Object.defineProperty(e, key, { get() { throw new Error('again'); } });
         throw e;"
    ) => Error("");
    an_error_with_much_to_say: "call", attack(
        "const e = new Error('mine'); for (let i = 0; i < 5000; i++) e['p' + i] = 'y'.repeat(100); throw e;"
    ) => Error("mine");
    no_response: "fetch", module(
        "export default { fetch() { return { get status() { for (;;); } }; } }"
    ) => Error("Response");
}
