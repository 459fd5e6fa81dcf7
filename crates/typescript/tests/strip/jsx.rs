//! JSX elements become calls, on the lines where they stood.

use atoll_typescript::{Jsx, compile, strip};

/// Expects this output, but for spaces: those show where the elements stood.
#[track_caller]
fn check(source: &str, expected: &str) {
    match strip("module.tsx", source) {
        Ok(output) => assert_eq!(output.replace(' ', ""), expected.replace(' ', "")),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn elements() {
    check("a = <div/>;", r#"a = React.createElement("div", null);"#);
    check("a = <div></div>;", r#"a = React.createElement("div", null);"#);
    check("a = <A.b.c/>;", r#"a = React.createElement(A.b.c, null);"#);
    check("a = <this.b/>;", r#"a = React.createElement(this.b, null);"#);
    check("a = <a:b-c/>;", r#"a = React.createElement("a:b-c", null);"#);
    check("a = <A<T>/>;", r#"a = React.createElement(A, null);"#);
    check("() => {return<a/>}", r#"() => {return React.createElement("a", null)}"#);
    check("a = <>b{c}</>;", r#"a = React.createElement(React.Fragment, null, "b", c);"#);
}

#[test]
fn attributes() {
    check(
        "a = <b c='d&amp;\"' e f={g as T} {...h} i=<j/> k-l={(1, 2)}/>;",
        r#"a = React.createElement("b", {  "c": "d&\"", "e": true, "f": g     , ...h, "i": React.createElement("j", null), "k-l": (1, 2),});"#,
    );
    check("a = <b __proto__={1}/>;", r#"a = React.createElement("b", {  ["__proto__"]: 1,});"#);
}

#[test]
fn children() {
    check(
        "a = <b>\n  text {c} <d/>\n  {/* none */}\n  {...e}\n</b>;",
        "a = React.createElement(\"b\", null, \"text \"\n       , c, \" \", React.createElement(\"d\", null)\n\n  , ...e\n);",
    );
    check(
        "a = <b>{c ? <d/> : <></>}</b>",
        r#"a = React.createElement("b", null, c ? React.createElement("d", null) : React.createElement(React.Fragment, null))"#,
    );
    check("a = <b>{(x: T) => x!}</b>", r#"a = React.createElement("b", null, (x   ) => x )"#);
}

#[test]
fn comments_choose_the_functions() {
    check("/** @jsx h */ a = <b/>", r#"/** @jsx h */ a = h("b", null)"#);
    check("// @jsx h\n// @jsxFrag F\na = <></>", "// @jsx h\n// @jsxFrag F\na = h(F, null)");
    check(
        "import { h } from './h';\n/** @jsx h */ a = <b/>",
        "import { h } from './h';\n/** @jsx h */ a = h(\"b\", null)",
    );
    let error = strip("a.tsx", "/* @jsx a-b */ <a/>").unwrap_err();
    assert!(error.message.contains("`@jsx` needs a name"), "{error}");
}

#[test]
fn the_automatic_runtime() {
    check(
        "/** @jsxImportSource ./x */ a = <b c='d'>e{f}</b>;",
        "/** @jsxImportSource ./x */ a = _jsxs(\"b\", {  \"c\": \"d\",children: [\"e\", f] });\n\
         import { jsx as _jsx, jsxs as _jsxs } from \"./x/jsx-runtime\";\n",
    );
    check(
        "/* @jsxRuntime automatic */ a = <><b key={c} d/>{e}</>;",
        "/* @jsxRuntime automatic */ a = _jsxs(_jsxFragment, { children: [_jsxKeyed(_jsx, \"b\", {  \"key\": c, \"d\": true, }), e] });\n\
         import { jsx as _jsx, jsxs as _jsxs, Fragment as _jsxFragment } from \"react/jsx-runtime\";\n\
         function _jsxKeyed(jsx, type, { key, ...props }) { return jsx(type, props, key); }\n",
    );
    let jsx = Jsx { import_source: Some("preact".into()), ..Jsx::default() };
    let output = compile("a.jsx", "import 'a'; import b from 'b'; _jsx; <c>d</c>", &jsx).unwrap();
    assert!(
        output.starts_with("import 'a'; import b from 'b'; _jsx; _jsx1_(\"c\", { children: \"d\" })"),
        "{output}"
    );
    assert!(output.contains("from \"preact/jsx-runtime\""), "{output}");
    assert_eq!(compile("a.jsx", "let a;", &jsx).as_deref(), Ok("let a;"));
}

#[test]
fn many_and_deep_elements() {
    let source = "<a/>;".repeat(20_000);
    assert!(strip("a.jsx", &source).is_ok());
    let deep = 200;
    assert!(strip("a.jsx", &("<a>".repeat(deep) + &"</a>".repeat(deep))).is_ok());
    let error = strip("a.jsx", &("<a>".repeat(5_000) + &"</a>".repeat(5_000))).unwrap_err();
    assert!(error.message.contains("nested more than"), "{error}");
    for source in ["<a>", "<a></b>", "<a b={}/>", "<", "<a b=/>", "a = <b"] {
        assert!(strip("a.tsx", source).is_err(), "{source}");
    }
}
