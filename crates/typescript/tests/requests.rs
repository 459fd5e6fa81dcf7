//! What a source asks for.

use atoll_typescript::{Form, requests};

fn specifiers(source: &str, form: Form) -> Vec<String> {
    requests(source, form).requests.into_iter().map(|request| request.specifier).collect()
}

#[test]
fn imports_of_every_form() {
    let source = "import a from 'a'; import 'b'; export * from 'c'; export { d } from 'd'; import(`e`); import(f); \
                  import source g from 'g'; () => import('h', { with: { type: 'json' } }); require('i');";
    assert_eq!(specifiers(source, Form::Module), ["a", "b", "c", "d", "e", "g", "h"]);
}

#[test]
fn attributes() {
    let source = "import a from 'a' with { type: 'json' }; import b from 'b' with { type: 'json', lazy: '1' };\
                  import('c', { with: { 'type': 'json' } }); export * from 'd';";
    let found = requests(source, Form::Module).requests;
    let of = |index: usize| (found[index].attribute.as_deref(), &source[found[index].attributes_at.clone()]);
    assert_eq!(of(0), (Some("json"), " with { type: 'json' }"));
    assert_eq!(of(1).0, None);
    assert_eq!(of(2), (Some("json"), ", { with: { 'type': 'json' } }"));
    assert_eq!(of(3), (None, ""));
}

#[test]
fn requires_of_commonjs() {
    let source = "const a = require('a'); function f() { return require(`b`) + require(c) + require('d').e }";
    assert_eq!(specifiers(source, Form::CommonJs), ["a", "b", "d"]);
    assert!(requests(source, Form::Either).commonjs);
}

#[test]
fn the_text_says_which_it_is() {
    for source in [
        "exports.a = 1",
        "module.exports = 1",
        "require('a')",
        "return require('a')",
        "with (a) exports.b = 1",
    ] {
        assert!(requests(source, Form::Either).commonjs, "{source}");
    }
    for source in
        ["export default 1", "import 'a'; exports.b = 1", "1", "a.exports", "import.meta.url; require('a')"]
    {
        assert!(!requests(source, Form::Either).commonjs, "{source}");
    }
}

#[test]
fn a_large_source_is_read() {
    let source = "f(a.b, c);\n".repeat(200_000) + "import 'd'";
    assert_eq!(specifiers(&source, Form::Either), ["d"]);
    assert_eq!(specifiers(&("a + ".repeat(100_000) + "import('b')"), Form::Module), ["b"]);
}
