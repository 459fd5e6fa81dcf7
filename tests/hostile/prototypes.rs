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

/// Puts accessors with these names on `Object.prototype` before anything has been touched: they note what they are given, and
/// give functions that the runtime must not call. Then the body of `attack(host)` runs; what was noted is in `given`.
fn accessors(names: &str, body: &str) -> Child {
    with(
        &format!(
            "let given = '';
             for (const name of {names}) Object.defineProperty(Object.prototype, name, {{
                 __proto__: null, configurable: true,
                 set(value) {{ given += name; }},
                 get() {{ return () => {{ given += name; return {{ evil: true }}; }}; }},
             }});"
        ),
        body,
    )
    .cpu_ms(5000)
}

/// What scripts of the runtime export that are loaded when they are first needed.
const EXPORTS: &str = "['encodeError', 'decodeError', 'describe', 'detachRequest', 'detachResponse', 'requestFromNative',
    'responseFromNative', 'signalOf', 'send', 'fetch', 'abortBody', 'headersFromList', 'headerList', 'extract', 'setType',
    'fromHandle', 'drainStream', 'startDrain', 'stateOf', 'acquireReader', 'internal', 'invoke', 'limitsOf', 'specify',
    'events', 'callHandler', 'inspect', 'formatLog', 'prepare', 'fireTimer', 'remoteOutcome', 'readerGone']";

/// Names of members of the runtime's own records, options and descriptors.
const MEMBERS: &str = "['__proto', 'signal', 'limits', 'props', 'thrown', 'own', 'nested', 'list', 'error', 'bytes', 'kind',
    'handle', 'capture', 'once', 'passive', 'writable', 'enumerable', 'configurable', 'depth', 'generatedMessage', 'code']";

hostile! {
    an_export_swallowed: "call", module(
        "Object.defineProperty(Object.prototype, 'encodeError', { set() {} });
         export default { attack() { throw new Error('mine'); } };"
    ) => Error("mine");
    exports_seen: "call", accessors(
        EXPORTS,
        "try { await fetch('http://nowhere/'); } catch {}
         const copy = await new Response(new Response('body').body).text();
         await new Promise((resolve) => setTimeout(resolve, 1));
         console.log(new Headers([['a', 'b']]), structuredClone(new Error('e')));
         const stub = await host.echo(() => copy);
         return await stub() + ' ' + (await this.env.HOST.echo(1)) + ' given: ' + given;"
    ) => Value("body 1 given: ");
    an_export_of_an_error: "call", accessors(EXPORTS, "throw new Error(`mine, given: ${given}.`);") => Error("mine, given: .");
    exports_in_an_answer: "fetch", module(&format!(
        "let given = '';
         for (const name of {EXPORTS}) Object.defineProperty(Object.prototype, name, {{
             __proto__: null, set() {{ given += name; }}, get() {{ return () => [200, 'OK', [], 'forged', false]; }} }});
         export default {{ fetch() {{ return new Response('well' + given); }} }};"
    )) => Value("200 well");
    members_of_records: "call", accessors(
        MEMBERS,
        "const target = new EventTarget();
         target.addEventListener('x', () => {});
         target.dispatchEvent(new Event('x'));
         console.table([{ a: 1 }, { b: 2 }]);
         const error = await host.fail().catch((error) => error);
         return error.message + ' ' + (await host.echo(new RangeError('e'))).message + ' given: ' + given;"
    ) => Value("the host refuses e given: ");
    indices: "call", accessors(
        "[0, 1, 2, 3, 4, 5, 6, 7].map(String)",
        "const params = new URLSearchParams('b=1&a=2');
         params.sort();
         const target = new EventTarget();
         let heard = 0;
         target.addEventListener('x', () => { heard++; });
         target.dispatchEvent(new Event('x'));
         const headers = new Headers({ b: '1', a: '2' });
         let seen = '';
         headers.forEach((value, name) => { seen += name; });
         console.table([{ a: 1 }, { b: 2 }, 3]);
         return params + ' ' + heard + seen + ' ' + (await host.echo('x')) + ' given: ' + given;"
    ) => Value("a=2&b=1 1ab x given: ");
    descriptors: "call", accessors(
        "['get', 'set']",
        "for (const name of ['get', 'set']) Object.defineProperty(Object.prototype, name, { __proto__: null, value: () => 'evil' });
         const text = await new Response('text').text();
         return text + (await host.echo(new Blob(['x']).size)) + new Request('http://a/').method + new URL('http://b/').host;"
    ) => Value("text1GETb");
    promises_lookups: "call", attack(
        "const { then } = Promise.prototype;
         const given = [];
         class Evil extends Promise {
             constructor(executor) { super((resolve, reject) => executor((value) => { given.push(value); resolve(value); }, reject)); }
         }
         const original = Promise;
         Object.defineProperty(Promise, Symbol.species, { get: () => Evil });
         Object.defineProperty(Promise.prototype, 'constructor', { get: () => Evil });
         Promise.prototype.then = function (...handlers) { given.push(handlers[0]); return Reflect.apply(then, this, handlers); };
         const body = new ReadableStream({ start(c) { c.enqueue(new Uint8Array([104, 105])); c.close(); } });
         const texts = [];
         const wait = (promise) => new original((resolve, reject) => Reflect.apply(then, promise, [resolve, reject]));
         Reflect.apply(then, new Response(body).text(), [(text) => texts.push(text)]);
         Reflect.apply(then, scheduler.wait(1), [() => texts.push('waited')]);
         Reflect.apply(then, fetch('http://nowhere/'), [undefined, () => texts.push('refused')]);
         await new original((resolve) => setTimeout(resolve, 50));
         const own = given.filter((value) => typeof value !== 'undefined' && !String(value).includes('[native code]'));
         return texts.sort().join() + ' given: ' + own.map(String).join();"
    ).cpu_ms(5000) => Value("hi,refused,waited given: ");
    parents_of_classes: "call", attack(
        "const given = [];
         class Evil { constructor(...args) { given.push(...args); } }
         for (const Class of [CompressionStream, TextEncoderStream, IdentityTransformStream, FixedLengthStream, File, AbortSignal])
             Object.setPrototypeOf(Class, Evil);
         for (const make of [() => new CompressionStream('gzip'), () => new TextEncoderStream(), () => new FixedLengthStream(3),
             () => new File([], 'n'), () => new AbortController(), () => new Request('http://a/').signal]) try { make(); } catch {}
         const form = new Response('a=b', { headers: { 'content-type': 'application/x-www-form-urlencoded' } });
         await form.formData();
         return 'given: ' + given.filter((value) => typeof value === 'object' && !Array.isArray(value)).length;"
    ).cpu_ms(5000) => Value("given: 0");
    a_long_message: "call", module(
        "export default { attack() { const e = new Error('x'); Object.defineProperty(e, 'message', { get: () => 'y'.repeat(2 ** 28) });
         throw e; } };"
    ).cpu_ms(3000) => Error("");
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
