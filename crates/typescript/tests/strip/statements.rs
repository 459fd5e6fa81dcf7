//! Statements that are erased, and the semicolons that keep their neighbours apart.

use crate::{check, check_unchanged};

#[test]
fn type_declarations() {
    check(&[
        ("interface A extends B<C> {", "                          "),
        ("  d: string;", "            "),
        ("}", " "),
        ("type E = F | G;", "               "),
        ("let x = 1;", "let x = 1;"),
        ("export interface H {}", "                     "),
        ("export type I<T> = T[]", "                      "),
        ("export default interface J {}", "                             "),
    ]);
    check_unchanged("let type = 1, declare = 2; type = declare; namespace\n{}");
}

#[test]
fn ambient_declarations() {
    check(&[
        ("declare const a: A, b: B;", "                         "),
        ("declare function c(): void;", "                           "),
        ("declare class D { e(): void; }", "                              "),
        ("declare enum F { G }", "                    "),
        ("declare namespace H { const i: I; }", "                                   "),
        ("declare module 'j' { export const k: K; }", "                                         "),
        ("declare global { interface Window { l: L } }", "                                            "),
        ("export declare const m: M;", "                          "),
        ("export as namespace N;", "                      "),
        ("o();", "o();"),
    ]);
}

#[test]
fn overload_signatures() {
    check(&[
        ("function f(x: string): void;", "                            "),
        ("function f(x: number): void", "                           "),
        ("function f(x: any) {}", "function f(x     ) {}"),
        ("export function g(): void;", "                          "),
        ("export function g(x?: A) {}", "export function g(x    ) {}"),
        ("export default function h(): void;", "                                  "),
        ("export default function h(x?: A) {}", "export default function h(x    ) {}"),
    ]);
}

#[test]
fn namespaces_of_types() {
    check(&[
        (
            "namespace A.B { export type C = 1; interface D {} ; }",
            "                                                     ",
        ),
        (
            "export namespace E { namespace F { declare const g: G; } }",
            "                                                          ",
        ),
        ("h();", "h();"),
    ]);
}

#[test]
fn an_erased_statement_keeps_its_neighbours_apart() {
    check(&[("foo", "foo"), ("type A = B", ";         "), ("(bar)", "(bar)")]);
    check(&[("foo", "foo"), ("interface A {}", ";             "), ("[1].map(f)", "[1].map(f)")]);
    check(&[("foo", "foo"), ("declare let a: A", ";               "), ("`x`", "`x`")]);
    check(&[("foo", "foo"), ("type A = B; +1", ";           +1")]);
    check(&[
        ("foo", "foo"),
        ("type A = B", ";         "),
        ("// (", "// ("),
        ("type C = D", "          "),
        ("/re/.test(x)", "/re/.test(x)"),
    ]);
    check(&[("foo", "foo"), ("type A = B", "          "), ("bar", "bar")]);
    check(&[("import type A from 'a'", ";                     "), ("(b)", "(b)")]);
}

#[test]
fn an_erased_suffix_does_not_join_two_statements() {
    check(&[("const a = b as C", "const a = b ;   "), ("(d)", "(d)")]);
    check(&[("a = b as C as D", "a = b ;        "), ("[c].f()", "[c].f()")]);
    check(&[("a = b satisfies C // `", "a = b ;           // `"), ("`d`", "`d`")]);
    check(&[("a = b as C", "a = b     "), ("+ d", "+ d")]);
    check(&[("a = b as C", "a = b     "), ("d()", "d()")]);
    check(&[("a = (b as C)", "a = (b     )"), ("(d)", "(d)")]);
    check(&[("let a: A", "let a   "), ("(b)", "(b)")]);
    check(&[("a!", "a "), ("(b)", "(b)")]);
}

#[test]
fn statements_inside_of_others() {
    check(&[("if (a) {", "if (a) {"), ("  type A = B", "            "), ("}", "}")]);
    check(&[("switch (a) { case 1: type B = C; break; }", "switch (a) { case 1:             break; }")]);
}

#[test]
fn every_line_terminator_stays() {
    check(&[
        ("let a: {\r", "let a   \r"),
        ("b: 1\u{2028}c: 2\u{2029}} = d;\r", "    \u{2028}    \u{2029}  = d;\r"),
        ("", ""),
    ]);
}
