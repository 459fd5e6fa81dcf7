//! Imports and exports.

use crate::{check, check_unchanged};

#[test]
fn imports_written_as_types() {
    check(&[
        ("import type A from 'a';", "                       "),
        ("import type { B, C } from 'b'", "                             "),
        ("import type * as D from 'd';", "                            "),
        ("import { type E, f } from 'e';", "import {         f } from 'e';"),
        ("import g, { type H } from 'g';", "import g, {        } from 'g';"),
        ("import { type I, type J } from 'i';", "                                   "),
        ("import { type as } from 'k';", "                            "),
        ("import { type as l } from 'l';", "import { type as l } from 'l';"),
        ("f(g, l);", "f(g, l);"),
    ]);
}

#[test]
fn imports_used_only_as_types() {
    check(&[
        ("import { A, b } from 'a';", "import {    b } from 'a';"),
        ("import { c, D } from 'c';", "import { c,   } from 'c';"),
        ("import E, { f } from 'e';", "import    { f } from 'e';"),
        ("import g, { H } from 'g';", "import g, {   } from 'g';"),
        ("import i, * as J from 'i';", "import i         from 'i';"),
        ("import K, * as l from 'k';", "import    * as l from 'k';"),
        ("import { M } from 'm';", "                      "),
        ("import N from 'n' with { type: 'json' };", "                                        "),
        (
            "const x: A | D | E | H | J.O | K | M | typeof N = b + c + f + g + i + l;",
            "const x                                         = b + c + f + g + i + l;",
        ),
    ]);
}

#[test]
fn imports_used_as_values_stay() {
    check_unchanged("import A, { b as c } from 'a'; import * as d from 'd'; new A(c, { d });");
    check_unchanged("import { A } from 'a'; export { A };");
    check_unchanged("import A from 'a'; export default A;");
    check(&[(
        "import { A } from 'a'; class B extends A<C> {}",
        "import { A } from 'a'; class B extends A    {}",
    )]);
    check(&[("import { a } from 'a'; let b: B = (a as C);", "import { a } from 'a'; let b    = (a     );")]);
}

#[test]
fn imports_for_side_effects_stay() {
    check_unchanged("import 'a'; import {} from 'b'; import './c.wasm' with { type: 'x' };");
}

#[test]
fn imports_of_nothing_used_go() {
    check(&[("import { a } from 'a'; b();", "                       b();")]);
    check(&[("import { A } from 'a'; export type { A };", "                                         ")]);
}

#[test]
fn exports() {
    check(&[
        ("export type { A } from 'a';", "                           "),
        ("export type * from 'b';", "                       "),
        ("export type * as C from 'c';", "                            "),
        ("export { type D, e } from 'd';", "export {         e } from 'd';"),
        ("export { type F } from 'f';", "                           "),
        ("export { g, type H };", "export { g,        };"),
        ("export { type I };", "export {        };"),
        ("export * from 'j';", "export * from 'j';"),
        ("const g = 1;", "const g = 1;"),
    ]);
}

#[test]
fn exports_of_names_that_are_only_types() {
    check(&[
        ("interface A {}", "              "),
        ("type B = A;", "           "),
        ("import type { C } from 'c';", "                           "),
        ("const D = 1; type D = A;", "const D = 1;            "),
        ("export { A, B as E, C, D };", "export {               D };"),
    ]);
    check(&[("interface A {}", "              "), ("export default A;", "                 ")]);
    check(&[
        ("interface A {} class A {}", "               class A {}"),
        ("export default A;", "export default A;"),
    ]);
}

#[test]
fn a_worker() {
    check(&[
        (
            "import { DurableObject } from 'cloudflare:workers';",
            "import { DurableObject } from 'cloudflare:workers';",
        ),
        ("import { Env, handle } from './env.js';", "import {      handle } from './env.js';"),
        (
            "export class Counter extends DurableObject<Env> {",
            "export class Counter extends DurableObject      {",
        ),
        ("  private count: number = 0;", "          count         = 0;"),
        ("  async add(n: number): Promise<number> {", "  async add(n        )                  {"),
        ("    return (this.count += n);", "    return (this.count += n);"),
        ("  }", "  }"),
        ("}", "}"),
        ("export default {", "export default {"),
        (
            "  async fetch(request: Request, env: Env): Promise<Response> {",
            "  async fetch(request         , env     )                    {",
        ),
        ("    return handle(request, env);", "    return handle(request, env);"),
        ("  },", "  },"),
        ("} satisfies ExportedHandler<Env>;", "}                               ;"),
    ]);
}
