//! Enums become variables on the line where they began.

use crate::{check, refused};

#[test]
fn numbers_count_up() {
    check(&[(
        "enum A { B, C = 5, D, 'e f' }",
        r#"var A = ((A) => { A[A["B"] = 0] = "B"; A[A["C"] = 5] = "C"; A[A["D"] = 6] = "D"; A[A["e f"] = 7] = "e f"; return A; })({});"#,
    )]);
    check(&[("enum A {} b();", "var A = ((A) => { return A; })({}); b();")]);
}

#[test]
fn strings() {
    check(&[(
        "const enum A { B = 'x', ['C'] = `y\"`, }",
        r#"var A = ((A) => { A["B"] = "x"; A["C"] = "y\""; return A; })({});"#,
    )]);
}

#[test]
fn lines_stay() {
    check(&[
        (
            "export enum A {",
            r#"export var A = ((A) => { A[A["B"] = 0] = "B"; A[A["C"] = 1] = "C"; return A; })({});"#,
        ),
        ("  B, // first", "             "),
        ("  C,", "    "),
        ("} b();", "  b();"),
    ]);
}

#[test]
fn constant_expressions() {
    for (source, value) in [
        ("1 << 3", "8"),
        ("(1 + 2) * 3 - 4 / 2", "7"),
        ("7 % 4 ** 1", "3"),
        ("-1 >>> 28", "15"),
        ("-8 >> 1", "-4"),
        ("5 & 6 | 8 ^ 1", "13"),
        ("~+1", "-2"),
        ("-0.5", "-0.5"),
        ("0x10 + 0b11", "19"),
        ("1 as number", "1"),
        ("1 / 0", "Infinity"),
    ] {
        let expected = format!("var A = ((A) => {{ A[A[\"B\"] = {value}] = \"B\"; return A; }})({{}});");
        let source = format!("enum A {{ B = {source} }}");
        check(&[(source.as_str(), expected.as_str())]);
    }
    for (source, value) in [("'a' + 'b'", "ab"), ("`a${1 + 1}${'c'}`", "a2c"), ("'v' + 1.5", "v1.5")] {
        let expected = format!("var A = ((A) => {{ A[\"B\"] = \"{value}\"; return A; }})({{}});");
        let source = format!("enum A {{ B = {source} }}");
        check(&[(source.as_str(), expected.as_str())]);
    }
}

#[test]
fn members_before() {
    check(&[
        (
            "enum A { B = 1, C = B | 2, D = A.C + 1, E = A['D'] }",
            r#"var A = ((A) => { A[A["B"] = 1] = "B"; A[A["C"] = 3] = "C"; A[A["D"] = 4] = "D"; A[A["E"] = 4] = "E"; return A; })({});"#,
        ),
        ("function f() {", "function f() {"),
        ("  enum G { H = A.D * 2 }", r#"  var G = ((G) => { G[G["H"] = 8] = "H"; return G; })({});"#),
        ("}", "}"),
    ]);
}

#[test]
fn a_second_declaration_adds_members() {
    check(&[
        ("export enum A { B }", r#"export var A = ((A) => { A[A["B"] = 0] = "B"; return A; })({});"#),
        ("export enum A { C = B + 1 }", r#"var A = ((A) => { A[A["C"] = 1] = "C"; return A; })(A);"#),
    ]);
}

#[test]
fn an_enum_keeps_its_neighbours_apart() {
    check(&[("foo", "foo"), ("enum A {}", "var A = ((A) => { return A; })({});"), ("(b)", "(b)")]);
}

#[test]
fn members_that_are_not_constant_are_refused() {
    let error = refused("enum A {\n  B = f(),\n}");
    assert_eq!((error.line, error.column), (2, 7));
    assert!(error.message.starts_with("the value of enum member `B` is not a constant"), "{error}");
    for source in ["enum A { B = C }", "enum A { B = 1n }", "enum A { B = X.Y }", "enum A { B = 'a' * 2 }"] {
        assert!(refused(source).message.contains("is not a constant"), "{source}");
    }
    let error = refused("enum A { B = 'b', C }");
    assert_eq!(error.column, 19);
    assert!(error.message.contains("needs a value"), "{error}");
    assert!(refused("enum A { '\\ud800' = 1 }").message.contains("well-formed Unicode"));
}
