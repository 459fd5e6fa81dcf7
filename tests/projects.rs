//! What a project's files become: the modules that imports lead to, JSX, local secrets, dates, bindings to entrypoints.

mod support;

use support::{Ended, Project, assert_contains, run};

const DATES: [&str; 2] = ["2026-07-01", "2026-11-17"];

fn configuration(date: &str, more: &str) -> String {
    format!(
        "{{ \"name\": \"worker\", \"compatibility_date\": \"{date}\", \"compatibility_flags\": [\"nodejs_compat\"]{more} }}"
    )
}

/// Runs the tests of the project in `folder` of these files.
fn test_in(folder: &str, date: &str, more: &str, files: &[(&str, &str)]) -> Ended {
    let project = Project::new(files);
    project.write(&format!("{folder}wrangler.jsonc"), &configuration(date, more));
    run(&["test", &format!("{}/{folder}", project.argument())])
}

#[track_caller]
fn passes(more: &str, files: &[(&str, &str)]) {
    for date in DATES {
        let ended = test_in("", date, more, files);
        assert_eq!(ended.status.code(), Some(0), "{date}: {}{}", ended.stdout, ended.stderr);
    }
}

fn test(imports: &str, assertion: &str) -> String {
    format!(
        "import assert from 'node:assert';\n{imports}\nexport const it = {{ async test(_, env) {{ {assertion} }} }};\n"
    )
}

#[test]
fn commonjs_modules_require_each_other() {
    let main = test(
        "import library from './library.cjs'; import plain from './plain.js';",
        "assert.deepStrictEqual([library.answer, library.cycle(), library.data, plain.folder], [42, 'a', 1, 'index']);",
    );
    passes(
        "",
        &[
            ("index.js", &main),
            (
                "library.cjs",
                "exports.name = 'a'; exports.answer = require('./deeper').answer; const data = require('./data.json');
                 exports.cycle = require(`./deeper`).cycle; exports.data = data.one;",
            ),
            ("deeper.js", "module.exports = { answer: 42, cycle: () => require('./library.cjs').name };"),
            ("data.json", "{ \"one\": 1 }"),
            ("plain.js", "exports.folder = require('./folder');"),
            ("folder/index.js", "module.exports = 'index';"),
        ],
    );
}

#[test]
fn imports_from_above_the_project() {
    let main = test(
        "import { shared } from '../../shared/shared.js'; import './near.js';",
        "assert.equal(shared, 2);",
    );
    for date in DATES {
        let files: [(&str, &str); 4] = [
            ("app/src/index.js", &main),
            ("app/src/near.js", "export {};"),
            ("shared/shared.js", "import { one } from './one'; export const shared = one + 1;"),
            ("shared/one.ts", "export const one: number = 1;"),
        ];
        let ended = test_in("app/", date, ", \"main\": \"src/index.js\"", &files);
        assert_eq!(ended.status.code(), Some(0), "{date}: {}{}", ended.stdout, ended.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_module_behind_a_symbolic_link_is_one() {
    let main = test(
        "import { one } from './lib/one.js'; import { list } from '../real/list.js';",
        "one(); assert.deepEqual(list, [1]);",
    );
    let project = Project::new(&[
        ("app/index.js", &main),
        ("real/one.js", "import { list } from './list.js'; export const one = () => list.push(1);"),
        ("real/list.js", "export const list = [];"),
    ]);
    project.write("app/wrangler.jsonc", &configuration(DATES[0], ""));
    std::os::unix::fs::symlink("../real", project.path().join("app/lib")).expect("make a link");
    let ended = run(&["test", &format!("{}/app", project.argument())]);
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn jsx_is_compiled() {
    let h = "const h = (tag: string, props: unknown, ...children: unknown[]): unknown[] => [tag, props, ...children];\n";
    let assertion = "assert.deepStrictEqual(<a b='c'>d{1}</a>, ['a', { b: 'c' }, 'd', 1]);";
    passes(
        ", \"main\": \"index.tsx\"",
        &[("index.tsx", &format!("/** @jsx h */\n{h}{}", test("", assertion)))],
    );
    passes(
        ", \"main\": \"index.tsx\", \"jsx_factory\": \"h\"",
        &[
            ("index.tsx", &format!("{h}{}", test("import './other.jsx';", assertion))),
            ("other.jsx", "export const a = 1;"),
        ],
    );
    passes(
        "",
        &[
            (
                "index.js",
                &test(
                    "import { element } from './element';",
                    "assert.deepStrictEqual(element, ['a', 'k', 'x']);",
                ),
            ),
            (
                "element.tsx",
                "/** @jsxImportSource ./own */\nexport const element: unknown = <a key='k'>x</a>;",
            ),
            (
                "own/jsx-runtime.js",
                "export const jsx = (type, props, key) => [type, key, props.children];\nexport const jsxs = jsx;",
            ),
        ],
    );
}

#[test]
fn json_with_its_attribute() {
    passes(
        "",
        &[
            (
                "index.js",
                &test(
                    "import a from './a.json' with { type: 'json' }; export { default } from './a.json' with { type: 'json' };",
                    "const b = await import('./a.json', { with: { type: 'json' } }); assert.deepEqual([a.a, b.default.a], [1, 1]);",
                ),
            ),
            ("a.json", "{ \"a\": 1 }"),
        ],
    );
}

#[test]
fn wasm_with_a_query() {
    for more in ["", ", \"no_bundle\": true, \"main\": \"index.js\""] {
        for date in DATES {
            let project = Project::new(&[(
                "index.js",
                &test(
                    "import wasm from './empty.wasm?module';",
                    "assert(wasm instanceof WebAssembly.Module);",
                ),
            )]);
            project.write("wrangler.jsonc", &configuration(date, more));
            std::fs::write(project.path().join("empty.wasm"), b"\0asm\x01\0\0\0").expect("write a file");
            let ended = run(&["test", project.argument()]);
            assert_eq!(ended.status.code(), Some(0), "{date}: {}{}", ended.stdout, ended.stderr);
        }
    }
}

#[test]
fn local_secrets() {
    let main = test("", "assert.deepEqual([env.TOKEN, env.MODE], ['local secret', 'development']);");
    let files = [
        ("index.js", main.as_str()),
        (".dev.vars", "TOKEN=\"local secret\"\nMODE=development\n"),
        (".env", "TOKEN=no"),
    ];
    passes(", \"vars\": { \"MODE\": \"production\" }", &files);
    let files = [
        ("index.js", main.as_str()),
        (".env", "T=secret\nTOKEN=\"local ${T}\"\nMODE=x\n"),
        (".env.local", "MODE=development"),
    ];
    passes("", &files);
    let ended = test_in("", DATES[0], "", &files);
    assert_contains(&ended.stderr, &["using the secrets in", ".env.local"]);
}

#[test]
fn a_binding_to_an_absent_entrypoint_is_refused() {
    let main = "export class Real {} export const plain = { fetch() {} }; export const other = {};\n\
                export const it = { test() { throw new Error('it ran'); } };";
    for (entrypoint, parts) in [
        (
            "Reel",
            &["SVC", "\"Reel\"", "\"Real\", \"it\", \"other\", \"plain\"", "did you mean \"Real\"?"][..],
        ),
        ("text", &["\"text\"", "it exports"][..]),
        ("default", &["\"default\"", "it exports"][..]),
    ] {
        let services = format!(
            ", \"services\": [{{ \"binding\": \"SVC\", \"service\": \"worker\", \"entrypoint\": \"{entrypoint}\" }}]"
        );
        let outbound = format!(
            ", \"atoll\": {{ \"global_outbound\": {{ \"service\": \"worker\", \"entrypoint\": \"{entrypoint}\" }} }}"
        );
        let ended = test_in("", DATES[0], &services, &[("index.js", main)]);
        assert_eq!(ended.status.code(), Some(2), "{}{}", ended.stdout, ended.stderr);
        assert_contains(&ended.stderr, parts);
        assert!(!ended.stdout.contains("it ran"), "{}", ended.stdout);
        let ended = test_in("", DATES[0], &outbound, &[("index.js", main)]);
        assert_eq!(ended.status.code(), Some(2), "{}{}", ended.stdout, ended.stderr);
        assert_contains(&ended.stderr, &["atoll.global_outbound"]);
    }
    let both = ", \"services\": [{ \"binding\": \"A\", \"service\": \"worker\", \"entrypoint\": \"Real\" }, \
                { \"binding\": \"B\", \"service\": \"worker\", \"entrypoint\": \"plain\" }, \
                { \"binding\": \"C\", \"service\": \"worker\", \"entrypoint\": \"default\" }]";
    let main = "export class Real {} export const plain = { fetch() {} }; export default { test() {} };";
    passes(both, &[("index.js", main)]);
}

#[test]
fn dates_after_the_newest_are_warned_of() {
    let main = test("", "assert(env);");
    let ended = test_in("", "2999-01-01", "", &[("index.js", &main)]);
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_contains(&ended.stderr, &["2999-01-01", "the newest that is supported, is used"]);
}
