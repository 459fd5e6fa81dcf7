//! Memory outside of V8's heap: what built-ins and the runtime's own classes hold in C++ and in Rust, and texts that are
//! as long as V8 lets them be, given to all who read them.

use crate::*;

fn hoard(expression: &str) -> Child {
    attack(&format!("const all = []; for (;;) all.push({expression});")).cpu_ms(5000)
}

fn long(body: &str) -> Child {
    attack(&format!("const long = 'x'.repeat(2 ** 29 - 25); {body}")).cpu_ms(2000)
}

hostile! {
    date_formats: "call", hoard("new Intl.DateTimeFormat('en')") => MEMORY;
    segmenters: "call", hoard("new Intl.Segmenter('en', { granularity: 'word' })") => MEMORY;
    compressors: "call", hoard("new CompressionStream('gzip')") => MEMORY;
    decompressors: "call", hoard("new DecompressionStream('gzip')") => MEMORY;
    decoders: "call", hoard("new TextDecoder()") => MEMORY;
    addresses: "call", hoard("new URL('http://a/' + all.length)") => MEMORY;
    controllers: "call", hoard("new AbortController()") => MEMORY;
    a_bomb_of_zeros: "call", attack(
        "const small = new CompressionStream('deflate'), writer = small.writable.getWriter();
         const write = async () => {
             for (let i = 0; i < 300; i++) await writer.write(new Uint8Array(1e6));
             await writer.close();
         };
         const [bytes] = await Promise.all([new Response(small.readable).bytes(), write()]);
         const large = new Response(bytes).body.pipeThrough(new DecompressionStream('deflate'));
         return (await new Response(large).bytes()).length;"
    ).cpu_ms(20_000) => Error("");

    a_long_text_repeated: "call", attack("return 'x'.repeat(2 ** 29).length;") => Error("Invalid string length");
    a_long_text_padded: "call", attack("return 'x'.padEnd(2 ** 29, 'ab').length;") => Error("Invalid string");
    a_long_text_joined: "call", attack("return new Array(2 ** 28).join('ab').length;") => Answer;
    a_long_text_returned: "call", long("return long;") => Error("");
    a_long_text_in_an_error: "call", attack("throw new Error('x'.repeat(2 ** 28));").cpu_ms(2000) => Error("");
    a_long_text_in_an_address: "call", long("return new URL('http://a/' + long).href.length;") => Error("");
    a_long_text_from_base64: "call", long("return atob(long.slice(1)).length;") => Answer;
    a_long_text_in_a_request: "call", long(
        "return (await fetch('http://nowhere/', { method: 'POST', body: long })).status;"
    ) => Error("");
    a_long_text_in_a_response: "fetch", module(
        "export default { fetch() { return new Response('x'.repeat(2 ** 29 - 25)); } }"
    ).cpu_ms(2000) => Answer;
    a_long_text_as_a_timer: "call", long("return setTimeout(long, 1);") => Answer;
    a_long_text_as_json: "call", long("return JSON.stringify({ long }).length;") => Answer;
    a_long_text_as_a_regular_expression: "call", long("return new RegExp(long).test('x');") => Error("");
    a_large_regular_expression: "call", attack(
        "return new RegExp('a{1,1000}'.repeat(300)).test('aaa'.repeat(1e4));"
    ) => Answer;

    a_buffer_of_8_gigabytes: "call", attack("return new ArrayBuffer(2 ** 33).byteLength;") => MEMORY;
    a_shared_buffer: "call", hoard("new SharedArrayBuffer(1e6)") => MEMORY;
    a_buffer_that_grows: "call", attack(
        "const b = new ArrayBuffer(1, { maxByteLength: 2 ** 31 });
         for (let i = 1; ; i += 1e6) { b.resize(i); new Uint8Array(b).fill(1); }"
    ) => Error("");
    a_buffer_cloned: "call", attack("return structuredClone(new Uint8Array(1.2e8)).length;").cpu_ms(2000)
        => Error("");
    copies_of_a_buffer: "call", attack(
        "const a = new Uint8Array(6e7), all = []; for (;;) all.push(a.slice());"
    ) => MEMORY;

    wasm_memories: "call", hoard("new WebAssembly.Memory({ initial: 1 })") => MEMORY;
    large_wasm_memories: "call", hoard("new WebAssembly.Memory({ initial: 1000 })") => MEMORY;
    shared_wasm_memories: "call", hoard(
        "new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true })"
    ) => MEMORY;
    a_wasm_memory_that_grows: "call", attack(
        "const memory = new WebAssembly.Memory({ initial: 1 }); for (;;) memory.grow(100);"
    ) => Error("");
    a_wasm_memory_that_is_filled: "call", attack(
        "const memory = new WebAssembly.Memory({ initial: 1 });
         for (;;) { memory.grow(100); new Uint8Array(memory.buffer).fill(1); }"
    ).cpu_ms(5000) => Error("");
    a_wasm_memory_that_grows_again_and_again: "call", attack(
        "const all = [];
         for (;;) try {
             const memory = new WebAssembly.Memory({ initial: 1 });
             all.push(memory);
             for (;;) { memory.grow(1000); new Uint8Array(memory.buffer, memory.buffer.byteLength - 6e7).fill(1); }
         } catch {}"
    ).cpu_ms(3000) => MEMORY;
    wasm_tables: "call", hoard("new WebAssembly.Table({ element: 'anyfunc', initial: 1e6 })") => MEMORY;
    a_wasm_table_that_grows: "call", attack(
        "const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 }); for (;;) table.grow(1e5);"
    ).cpu_ms(5000) => Error("");
    wasm_modules_with_large_tables: "call", wasm_hoard("4, 6, 1, 112, 0, 192, 132, 61") => Error("");
    wasm_modules_with_large_memories: "call", wasm_hoard("5, 4, 1, 0, 232, 7") => Error("");
}

/// A module that makes instances of a Wasm module with one section, given as its bytes, while it starts.
fn wasm_hoard(section: &str) -> Child {
    module(&format!(
        "const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, {section}]);
         const all = []; for (;;) all.push(new WebAssembly.Instance(new WebAssembly.Module(bytes)));"
    ))
}
