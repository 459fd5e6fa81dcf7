//! Children that patch what they share with the runtime before they call their parent. The runtime's own code must
//! neither fail nor run theirs.

use crate::*;

/// Replaces every method and accessor of these objects (an array expression) by one that throws.
fn patched(objects: &str) -> Child {
    let body = format!(
        "const {{ defineProperty }} = Object, {{ getOwnPropertyDescriptor, ownKeys }} = Reflect;
         const evil = () => {{ throw new Error('patched code ran'); }};
         const objects = {objects};
         const count = objects.length;
         for (let i = 0; i < count; i++) {{
             const object = objects[i], keys = ownKeys(object), {{ length }} = keys;
             for (let k = 0; k < length; k++) {{
                 const key = keys[k], old = getOwnPropertyDescriptor(object, key);
                 if (!old.configurable || key === 'constructor' || key === Symbol.species) continue;
                 const method = typeof old.value === 'function';
                 if (method) defineProperty(object, key, {{ __proto__: null, value: evil,
                  configurable: true }});
                 else if (old.get) defineProperty(object, key, {{ __proto__: null, get: evil,
                  configurable: true }});
             }}
         }}
         const live = await host.echo('through'), plain = await this.env.HOST.echo({{ to: 'the parent' }});
         const stub = await host.echo(() => 'and back');
         return live + ' ' + plain.to + ' ' + (await stub());"
    );
    attack(&body).cpu_ms(5000)
}

const THROUGH: Outcome = Value("through the parent and back");

hostile! {
    object: "call", patched("[Object.prototype]") => THROUGH;
    object_itself: "call", patched("[Object, Reflect, JSON, Math]") => THROUGH;
    array: "call", patched("[Array, Array.prototype]") => THROUGH;
    iterators: "call", patched(
        "[Object.getPrototypeOf([][Symbol.iterator]()), Object.getPrototypeOf(new Map().entries()),
          Object.getPrototypeOf(''[Symbol.iterator]()), Array.prototype, Iterator.prototype]"
    ) => THROUGH;
    promise: "call", patched("[Promise.prototype]") => THROUGH;
    promise_itself: "call", patched("[Promise]") => THROUGH;
    function: "call", patched("[Function.prototype]") => THROUGH;
    collections: "call", patched(
        "[Map, Map.prototype, Set.prototype, WeakMap.prototype, WeakRef.prototype,
          FinalizationRegistry.prototype]"
    ) => THROUGH;
    strings: "call", patched(
        "[String, String.prototype, RegExp.prototype, Symbol.prototype, Number.prototype]"
    ) => THROUGH;
    buffers: "call", patched(
        "[Object.getPrototypeOf(Uint8Array), Object.getPrototypeOf(Uint8Array.prototype), ArrayBuffer,
          ArrayBuffer.prototype, DataView.prototype]"
    ) => THROUGH;
    errors: "call", patched(
        "[Error, Error.prototype, TypeError.prototype, DOMException.prototype]"
    ) => THROUGH;
    web: "call", patched(
        "[Headers, Request, Response, ReadableStream, WritableStream, TransformStream, URL,
          URLSearchParams, Blob, EventTarget, Event, AbortSignal, AbortController, TextEncoder,
          TextDecoder].map((c) => c.prototype)"
    ) => THROUGH;
    workers: "call", patched(
        "[RpcTarget.prototype, WorkerEntrypoint.prototype, RpcStub.prototype]"
    ) => THROUGH;
    everything: "call", patched(
        "[Object, Reflect, JSON, Math, Promise, Array, Array.prototype, Promise.prototype,
          Function.prototype, Map.prototype, Set.prototype, WeakMap.prototype, String.prototype,
          RegExp.prototype, ArrayBuffer.prototype, Error, Error.prototype, Object.prototype]"
    ) => THROUGH;
    globals: "call", attack(
        "const evil = () => { throw new Error('patched code ran'); };
         for (const name of ['Array', 'Error', 'Map', 'Object', 'Promise', 'Proxy', 'Uint8Array', 'WeakMap'])
             globalThis[name] = evil;
         return (await host.echo('through')) + (await this.env.HOST.echo(' all'));"
    ) => Value("through all");
    a_then_on_all_objects: "call", attack(
        "Object.defineProperty(Object.prototype, 'then', { get() { for (;;); } }); return { a: 1 };"
    ) => CPU;
    a_disposer_on_all_objects: "call", attack(
        "Object.prototype[Symbol.dispose] = () => { for (;;); }; return { a: 1 };"
    ) => Answer;
    stacks: "call", attack(
        "Error.prepareStackTrace = () => { for (;;); }; Error.stackTraceLimit = 0; throw new Error('mine');"
    ) => Answer;
    the_response: "fetch", module(
        "for (const key of ['status', 'headers', 'body'])
             Object.defineProperty(Response.prototype, key, { get() { for (;;); } });
         export default { fetch() { return new Response('well'); } };"
    ) => Value("200 well");
}
