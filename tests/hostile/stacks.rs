//! Recursion, and data that is so deep that code which walks it recurses.

use crate::*;

/// An expression wrapped many times over.
fn deep(leaf: &str, step: &str, depth: u32, then: &str) -> Child {
    attack(&format!("let a = {leaf}; for (let i = 0; i < {depth}; i++) a = {step}; {then}")).cpu_ms(5000)
}

/// A module whose default export's method gives a nested expression.
fn nested(open: &str, close: &str, depth: usize) -> Child {
    let (open, close) = (open.repeat(depth), close.repeat(depth));
    module(&format!("export default {{ attack() {{ return {open}1{close}; }} }}"))
}

hostile! {
    recursion: "call", attack("const f = () => f() + 1; return f();") => STACK;
    recursion_that_catches: "call", attack("const f = () => { try { f(); } catch { f(); } }; f();") => CPU;
    recursion_with_large_frames: "call", attack(
        "const f = (...all) => f(...all, ...all, 1); return f(1);"
    ) => STACK;
    recursion_in_a_getter: "call", attack("const o = { get a() { return this.a; } }; return o.a;") => STACK;
    recursion_in_to_string: "call", attack(
        "const o = { toString() { return '' + o; } }; return '' + o;"
    ) => STACK;
    recursion_in_a_regular_expression: "call", attack(
        "return /(?:.|\\n)*?(a|b)*$/.test('a'.repeat(5e6));"
    ).cpu_ms(5000) => STACK;
    recursion_in_serialisation: "call", attack(
        "const o = { get x() { host.echo(o).catch(() => {}); return 1; } }; return o;"
    ).cpu_ms(5000) => Value("1");
    recursion_through_the_host: "call", attack(
        "const f = async (n) => n === 0 ? 'bottom' : await host.call(() => f(n - 1)); return f(500);"
    ).cpu_ms(20_000) => Value("bottom");
    recursion_in_wasm: "call", module(
        "const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
             10, 6, 1, 4, 0, 16, 0, 11];
         const { f } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports;
         export default { attack() { f(); } };"
    ) => STACK;

    deep_arrays: "call", deep("[]", "[a]", 300_000, "return a;") => STACK;
    deep_objects: "call", deep("{}", "{ a }", 300_000, "return a;") => STACK;
    deep_maps: "call", deep("new Map()", "new Map([[a, a]])", 100_000, "return a;") => STACK;
    deep_sets: "call", deep("new Set()", "new Set([a])", 100_000, "return a;") => STACK;
    deep_causes: "call", deep("new Error('x')", "new Error('x', { cause: a })", 20_000, "return a;")
        => Error("that many causes");
    deep_causes_thrown: "call", deep(
        "new Error('x')", "new Error('x', { cause: a })", 20_000, "throw a;"
    ) => Error("x");
    deep_proxies: "call", deep("{}", "new Proxy(a, {})", 100_000, "return { a };") => STACK;
    deep_prototypes: "call", deep("{}", "Object.create(a)", 50_000, "return a;") => Error("DataCloneError");
    deep_bindings: "call", deep("() => 1", "a.bind(null)", 100_000, "return a;") => Value("a stub");
    deep_arrays_over_a_function: "call", deep("() => 1", "[a]", 100_000, "return a;") => STACK;
    deep_arrays_over_a_proxy: "call", deep("new Proxy({}, {})", "[a]", 100_000, "return a;") => STACK;
    /// Less deep: written by the child, and perhaps too deep to be read.
    rather_deep_objects: "call", deep("{}", "{ a }", 3000, "return a;") => Answer;
    deep_arguments: "call", deep(
        "[]", "[a]", 300_000,
        "try { await host.echo(a); } catch (e) { return `${e.name}, ${await host.echo('well')}`; }"
    ) => Value("RangeError, well");
    deep_structured_clone: "call", deep("[]", "[a]", 300_000, "structuredClone(a);") => STACK;
    deep_log: "call", deep("[]", "[a]", 300_000, "console.log(a); return 'logged';") => Value("logged");
    deep_json: "call", attack("return JSON.parse('['.repeat(3e5) + ']'.repeat(3e5));").cpu_ms(5000) => STACK;
    deep_json_that_stays: "call", attack(
        "return JSON.stringify(JSON.parse('['.repeat(3e5) + ']'.repeat(3e5))).length;"
    ).cpu_ms(5000) => Value("600000");

    deep_source_of_parentheses: "call", nested("(", ")", 100_000) => STACK;
    deep_source_of_arrays: "call", nested("[", "]", 100_000) => STACK;
    deep_source_of_functions: "call", nested("() => ", "", 100_000) => STACK;
    deep_source_of_templates: "call", nested("`${", "}`", 50_000) => STACK;
}
