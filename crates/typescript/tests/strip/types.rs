//! Types in expressions, variables, parameters and functions.

use crate::{check, check_unchanged};

#[test]
fn javascript_stays_as_it_is() {
    check_unchanged("");
    check_unchanged("#!/usr/bin/env node\nexport const a = b ? (c) : d;\n");
    check_unchanged("label: for (const x of [1, 2]) { if (x < 2 && x > 1) continue label; }\r\n");
    check_unchanged("const re = /a:b as c/g, text = 'x: string', t = `${x} as ${y}`; // a: string\n");
    check_unchanged("await import('./a.js'); export default async function* f() { yield* [1]; }");
    check_unchanged("class A { static #x = 1; get y() { return this.#x; } static { f(); } }");
}

#[test]
fn variables() {
    check(&[("let x: number = 1;", "let x         = 1;")]);
    check(&[("let x!: Map<string, number[]>;", "let x                        ;")]);
    check(&[("const { a, b: [c] }: Shape = f();", "const { a, b: [c] }        = f();")]);
    check(&[("let a: A, b: B = 1, c;", "let a   , b    = 1, c;")]);
    check(&[("for (let i: number = 0; i < 1; i++);", "for (let i         = 0; i < 1; i++);")]);
    check(&[("try {} catch (e: unknown) {}", "try {} catch (e         ) {}")]);
}

#[test]
fn multiple_lines_and_comments() {
    check(&[
        ("let x: {", "let x   "),
        ("  a: 'ü'; // ü", "              "),
        ("  b(): void;", "            "),
        ("} = y;", "  = y;"),
    ]);
    check(&[("let x /* kept */ : /* erased */ T = 1;", "let x /* kept */                  = 1;")]);
    check(&[("let x: '\u{1f600}' = 1; y", "let x       = 1; y")]);
}

#[test]
fn functions() {
    check(&[
        (
            "function f<T extends A>(x: T, y?: B, ...rest: C[]): x is D {}",
            "function f             (x   , y    , ...rest     )         {}",
        ),
        ("function g(this: Window, a: number = 1) {}", "function g(              a         = 1) {}"),
        ("function h(this: Window) {}", "function h(            ) {}"),
        (
            "const o = { m<T>(x: T): T { return x; }, get p(): A { return 1; } };",
            "const o = { m   (x   )    { return x; }, get p()    { return 1; } };",
        ),
        ("async function* i(): AsyncGenerator<A> {}", "async function* i()                    {}"),
        ("function j(a: A): asserts a is B {}", "function j(a   )                 {}"),
        ("function k({ a = 1 as A }: B, [b]: C) {}", "function k({ a = 1      }   , [b]   ) {}"),
    ]);
}

#[test]
fn arrow_functions() {
    check(&[("const f = (x: A): B => x;", "const f = (x   )    => x;")]);
    check(&[(
        "const f = async <T,>(x?: T): Promise<T> => x!;",
        "const f = async     (x    )             => x ;",
    )]);
    check(&[("f((a): a is string => true, b => b);", "f((a)              => true, b => b);")]);
}

#[test]
fn an_arrow_stays_on_the_line_of_its_parenthesis() {
    check(&[
        ("const f = (a: A): {", "const f = (a       "),
        ("  x: string", "           "),
        ("} => a;", ") => a;"),
    ]);
    check(&[
        ("const f = (", "const f = ("),
        ("  a: A,", "  a   ,"),
        (") /* why", "  /* why"),
        ("*/ : Bcd => a;", "*/     ) => a;"),
    ]);
    check(&[("const f = (): Array<", "const f = (         "), ("  'é'> => a;", "     ) => a;")]);
}

#[test]
fn type_parameters_over_lines_do_not_end_a_return() {
    check(&[
        ("function f() {", "function f() {"),
        ("  return <T,", "  return (  "),
        ("    U>(x: T) => x;", "       x   ) => x;"),
        ("}", "}"),
    ]);
    check(&[("const f = async <", "const f = async ("), ("  T", "   "), (">(x: T) => x;", "  x   ) => x;")]);
}

#[test]
fn expressions() {
    check(&[
        ("const a = b as unknown as C;", "const a = b                ;"),
        ("const d = { e } satisfies F;", "const d = { e }            ;"),
        ("const g = <H>i + <any>(j);", "const g =    i +      (j);"),
        ("k!.l![0]!(m!);", "k .l [0] (m );"),
        ("n?.o!.p; q! += 1; r!++;", "n?.o .p; q  += 1; r ++;"),
        (
            "(s as T).u = 1; [v as any] = w; (x satisfies Y)++;",
            "(s     ).u = 1; [v       ] = w; (x            )++;",
        ),
        ("f<A>(1); new B<C<D>>(2); tag<E>`x`; g?.<F>(3);", "f   (1); new B      (2); tag   `x`; g?.   (3);"),
        ("const make = Box<string>;", "const make = Box        ;"),
        ("const c = [1, 2] as const;", "const c = [1, 2]         ;"),
        ("for (const x of y as Z[]) ;", "for (const x of y       ) ;"),
        ("const t = `${a as string}-${b!}`;", "const t = `${a          }-${b }`;"),
    ]);
    check_unchanged("const as = 1, satisfies = as; f(as, satisfies);");
}

#[test]
fn a_type_assertion_keeps_what_it_asserts_an_expression() {
    check(&[("const f = () => <A>{ b: 1 };", "const f = () => (  { b: 1 });")]);
    check(&[("<any>function () {};", "(    function () {});")]);
    check(&[
        ("function f() {", "function f() {"),
        ("  return <A", "  return ( "),
        ("  >b;", "   b);"),
        ("}", "}"),
    ]);
}
