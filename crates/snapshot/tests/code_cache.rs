//! The code cache of guests' modules, in whole isolates: what comes from it does what the same text does without it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use atoll_isolate::modules::cache::{self, CacheFigures};
use atoll_isolate::modules::{self, Bundle, ModuleSource, Registry};
use atoll_isolate::{Heap, HeapLimits, v8};

/// The cache belongs to the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static INITIALIZED: Once = Once::new();
    static ALONE: Mutex<()> = Mutex::new(());
    INITIALIZED.call_once(|| atoll_isolate::engine::initialize_unprotected(""));
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bundle(modules: Vec<(&str, ModuleSource)>) -> Bundle {
    Bundle {
        main: modules[0].0.to_owned(),
        modules: Arc::new(modules.into_iter().map(|(name, source)| (name.to_owned(), source)).collect()),
        aliases: Vec::new(),
        builtins: Vec::new(),
        bare_node_names: false,
        registry: Registry::Paths { refuse_attributes: true },
    }
}

/// Starts the bundle in an isolate of its own and calls the main module's `run`; gives the result, or what was thrown,
/// as text. Afterwards the cache entries are made that are due.
fn run(bundle: Bundle) -> String {
    run_with(bundle, |_| {})
}

fn run_with(bundle: Bundle, prepare: impl FnOnce(&mut v8::PinScope<'_, '_>)) -> String {
    let heap = Heap::new(atoll_snapshot::startup(), HeapLimits { heap_bytes: 128 << 20 });
    heap.enter(|scope| {
        prepare(scope);
        let result = match modules::start(scope, bundle) {
            Ok(namespace) => call(scope, namespace),
            Err(error) => format!("did not start: {error}"),
        };
        modules::keep_code(scope);
        result
    })
}

fn call(scope: &mut v8::PinScope<'_, '_>, namespace: v8::Local<v8::Object>) -> String {
    v8::tc_scope!(let scope, scope);
    let name = v8::String::new(scope, "run").unwrap();
    let run = namespace.get(scope, name.into()).unwrap();
    let run = v8::Local::<v8::Function>::try_from(run).expect("the main module exports a function run");
    let undefined = v8::undefined(scope);
    match run.call(scope, undefined.into(), &[]) {
        Some(value) => value.to_rust_string_lossy(scope),
        None => {
            let exception = scope.exception().unwrap();
            format!("threw: {}", exception.to_rust_string_lossy(scope))
        }
    }
}

fn esm(name: &'static str, source: &str) -> Bundle {
    bundle(vec![(name, ModuleSource::Esm(source.to_owned()))])
}

/// What happened to the figures in the meantime: (entries made, hits, rejected).
fn since(before: CacheFigures) -> (usize, u64, u64) {
    let now = cache::figures();
    (now.entries - before.entries, now.hits - before.hits, now.rejected - before.rejected)
}

#[test]
fn the_third_load_of_a_source_comes_from_the_cache() {
    let _alone = alone();
    let source =
        "export function run() { return [1, 2].map((n) => n * 21).join(); } // third load".to_owned();
    let before = cache::figures();
    assert_eq!(run(esm("main.js", &source)), "21,42");
    assert_eq!(since(before), (0, 0, 0));
    assert_eq!(run(esm("main.js", &source)), "21,42");
    assert_eq!(since(before), (1, 0, 0));
    assert!(cache::figures().bytes > before.bytes);
    assert_eq!(run(esm("main.js", &source)), "21,42");
    assert_eq!(since(before), (1, 1, 0));
}

#[test]
fn a_changed_byte_is_another_source() {
    let _alone = alone();
    let source = "export function run() { return 'value 1'; } // changed byte".to_owned();
    for _ in 0..3 {
        assert_eq!(run(esm("main.js", &source)), "value 1");
    }
    let before = cache::figures();
    for _ in 0..3 {
        assert_eq!(run(esm("main.js", &source.replace("value 1", "value 2"))), "value 2");
    }
    assert_eq!(since(before), (1, 1, 0));
}

#[test]
fn sources_that_do_not_compile_are_not_kept() {
    let _alone = alone();
    let before = cache::figures();
    let wrong = "export function run() { return }; } // wrong".to_owned();
    for _ in 0..3 {
        assert!(run(esm("main.js", &wrong)).contains("SyntaxError"));
    }
    assert_eq!(since(before), (0, 0, 0));
}

#[test]
fn places_and_names_are_those_of_the_module_that_runs() {
    let _alone = alone();
    let source = "\n\nexport function run() {\n  try { null.x } catch (e) { return e.stack; }\n}".to_owned();
    let before = cache::figures();
    let stacks: Vec<String> =
        ["a.js", "lib/b.js", "c.js", "lib/d.js"].map(|name| run(esm(name, &source))).into();
    assert_eq!(since(before), (1, 2, 0));
    for (stack, name) in stacks.iter().zip(["a.js", "lib/b.js", "c.js", "lib/d.js"]) {
        assert!(stack.contains(&format!("at run ({name}:4:14)")), "{stack}");
    }
}

#[test]
fn errors_of_cached_code_name_their_line() {
    let _alone = alone();
    let source = "const a = 1;\n\n  null.x;\nexport function run() {}".to_owned();
    let errors: Vec<String> = (0..4).map(|_| run(esm("main.js", &source))).collect();
    assert!(errors[0].contains("at main.js:3:8\n      null.x;"), "{}", errors[0]);
    assert!(errors.iter().all(|error| *error == errors[0]));
}

#[test]
fn kinds_do_not_meet() {
    let _alone = alone();
    let before = cache::figures();
    let shared = "var x = typeof module;".to_owned();
    let importer = "import './shared'; export function run() { return 'ran'; }";
    for _ in 0..3 {
        let as_esm = vec![
            ("main.js", ModuleSource::Esm(importer.into())),
            ("shared", ModuleSource::Esm(shared.clone())),
        ];
        assert_eq!(run(bundle(as_esm)), "ran");
        let as_commonjs = vec![
            ("main.js", ModuleSource::Esm(importer.into())),
            ("shared", ModuleSource::CommonJs(shared.clone())),
        ];
        assert_eq!(run(bundle(as_commonjs)), "ran");
    }
    // The main module is the same in all six.
    assert_eq!(since(before), (3, 6, 0));
}

#[test]
fn commonjs_modules_come_from_the_cache() {
    let _alone = alone();
    let source = "const later = () => __filename + ' ' + typeof require; exports.value = later();".to_owned();
    let before = cache::figures();
    for name in ["a.cjs", "b.cjs", "c.cjs"] {
        let main = format!("import c from './{name}'; export function run() {{ return c.value; }}");
        let modules =
            vec![("main.js", ModuleSource::Esm(main)), (name, ModuleSource::CommonJs(source.clone()))];
        assert_eq!(run(bundle(modules)), format!("/{name} function"));
    }
    assert_eq!(since(before), (1, 1, 0));
}

#[test]
fn a_translation_is_kept_with_the_code() {
    static TRANSLATIONS: AtomicUsize = AtomicUsize::new(0);
    fn translate(_name: &str, text: &str) -> Result<String, String> {
        TRANSLATIONS.fetch_add(1, Ordering::Relaxed);
        Ok(text.replace(": number", "        "))
    }
    let _alone = alone();
    let source = "const n: number = 7; export function run() { return n; }".to_owned();
    let before = cache::figures();
    for _ in 0..5 {
        let modules = vec![("main.ts", ModuleSource::Translated(source.clone(), translate))];
        assert_eq!(run(bundle(modules)), "7");
        let modules = vec![("worker.js", ModuleSource::Either(source.clone(), translate))];
        assert_eq!(run(bundle(modules)), "7");
    }
    // Twice for each ending, because the ending says how a text is read; one entry each, and one of code.
    assert_eq!(TRANSLATIONS.load(Ordering::Relaxed), 4);
    assert_eq!(since(before).0, 3);
}

#[test]
fn wasm_modules_are_compiled_once() {
    let _alone = alone();
    let wasm = vec![
        0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100,
        0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11,
    ];
    let main = "import m from './m'; export function run() { return new WebAssembly.Instance(m).exports.add(40, 2); }";
    let before = cache::figures();
    for _ in 0..4 {
        let modules =
            vec![("main.js", ModuleSource::Esm(main.into())), ("m", ModuleSource::Wasm(wasm.clone()))];
        assert_eq!(run(bundle(modules)), "42");
    }
    // The main module too.
    assert_eq!(since(before), (2, 4, 0));
}

#[test]
fn what_the_settings_say_holds_for_cached_code() {
    let _alone = alone();
    let eval = "export function run() { return eval('1 + 1'); } // settings".to_owned();
    let attributes =
        "import d from './d' with { type: 'json' }; export function run() { return d; } // settings"
            .to_owned();
    let with_attributes = |refuse_attributes| {
        let json = ModuleSource::Json("3".into());
        let mut bundle = bundle(vec![("main.js", ModuleSource::Esm(attributes.clone())), ("d", json)]);
        bundle.registry = Registry::Paths { refuse_attributes };
        run(bundle)
    };
    for _ in 0..4 {
        assert_eq!(run_with(esm("main.js", &eval), |scope| modules::allow_code_generation(scope, true)), "2");
        let refused = run_with(esm("main.js", &eval), |scope| modules::allow_code_generation(scope, false));
        assert!(refused.starts_with("threw: EvalError"), "{refused}");
        assert_eq!(with_attributes(false), "3");
        assert!(with_attributes(true).contains("Unrecognized import attributes"));
    }
}

#[test]
fn lazy_modules_of_the_url_registry_come_from_the_cache() {
    let _alone = alone();
    let dependency = "export const url = import.meta.url; export const f = () => 'lazy';".to_owned();
    let main = "import * as a from './d.js?1'; import * as b from './d.js?2';
        export function run() { return [a.url, b.url, a.f(), b.f()].join(' '); }";
    let before = cache::figures();
    for _ in 0..3 {
        let modules = vec![
            ("main.js", ModuleSource::Esm(main.into())),
            ("d.js", ModuleSource::Esm(dependency.clone())),
        ];
        let bundle = Bundle { registry: Registry::Urls, ..bundle(modules) };
        assert_eq!(run(bundle), "file:///bundle/d.js?1 file:///bundle/d.js?2 lazy lazy");
    }
    // The main module too.
    assert_eq!(since(before), (2, 2, 0));
}

/// A program made of a seed: functions that call each other, with what compiles in ways of its own (closures, classes,
/// generators, regular expressions, templates, destructuring, switches, `try`).
fn program(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) % below
    };
    let mut text = String::from("let log = [];\n");
    let count = 3 + next(6);
    for index in 0..count {
        let (a, b) = (next(100), next(100));
        let body = match next(8) {
            0 => format!("return [1, 2, 3].map((n) => n * {a} + x).reduce((s, n) => s + n, {b});"),
            1 => format!(
                "class C {{ #p = {a}; static s = {b}; get v() {{ return this.#p + x; }} }} return new C().v + C.s;"
            ),
            2 => format!("function* g() {{ yield x; yield* [{a}, {b}]; }} return [...g()].join('');"),
            3 => format!("return 'a{a}b{b}'.replace(/(\\d+)/g, (m) => m.length + x);"),
            4 => format!("const {{ q = {a}, ...rest }} = {{ r: {b} }}; return `${{q}}${{rest.r}}${{x}}`;"),
            5 => format!("switch (x % 3) {{ case 0: return {a}; case 1: return {b}; default: return x; }}"),
            6 => format!(
                "try {{ if (x % 2) throw new RangeError('e{a}'); return {b}; }} catch (e) {{ return e.message; }} finally {{ log.push(x); }}"
            ),
            _ => format!(
                "let s = 0; for (let i = 0; i < {a}; i++) {{ if (i === {b}) break; s += (() => i * x)(); }} return s;"
            ),
        };
        text.push_str(&format!("function f{index}(x) {{\n  {body}\n}}\n"));
    }
    let calls: Vec<String> = (0..count).map(|index| format!("f{index}({})", next(10))).collect();
    text.push_str(&format!(
        "export function run() {{ log = []; return JSON.stringify([{}, log]); }}\n",
        calls.join(", ")
    ));
    text
}

#[test]
fn cached_and_uncached_runs_agree() {
    let _alone = alone();
    let before = cache::figures();
    for seed in 1..=40 {
        let source = program(seed);
        let first = run(esm("main.js", &source));
        assert!(first.starts_with('['), "seed {seed}: {first}\n{source}");
        for _ in 0..2 {
            assert_eq!(run(esm("main.js", &source)), first, "seed {seed}\n{source}");
        }
    }
    assert_eq!(since(before), (40, 40, 0));
}
