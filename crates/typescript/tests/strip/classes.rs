//! Classes: heads, modifiers, members without a body, parameter properties.

use crate::{check, check_unchanged, refused};

#[test]
fn heads() {
    check(&[
        (
            "abstract class A<T> extends B<T> implements C, D<T> {}",
            "         class A    extends B                       {}",
        ),
        ("export abstract class E {}", "export          class E {}"),
        (
            "export default abstract class F implements G {}",
            "export default          class F              {}",
        ),
        ("const H = class implements I {};", "const H = class              {};"),
        ("class J<T> implements K {}", "class J                 {}"),
        ("class L extends (M as N)<O> implements P {}", "class L extends (M     )                 {}"),
    ]);
    check_unchanged("class A { abstract = 1; declare() {} readonly; static static = 1 }");
}

#[test]
fn fields() {
    check(&[
        ("class A {", "class A {"),
        ("  a: string;", "  a        ;"),
        ("  private b?: number = 1;", "          b          = 1;"),
        ("  protected readonly c!: C;", "                     c    ;"),
        ("  private static readonly s: S = 1;", "          static          s    = 1;"),
        ("  public override d = 1 as D;", "                  d = 1     ;"),
        ("  ['e']?: E;", "  ['e']    ;"),
        ("  #f?: F;", "  #f    ;"),
        ("  declare g: G;", "               "),
        ("  [key: string]: H;", "                   "),
        ("  static [key: string]: H;", "                          "),
        ("  readonly: I;", "  readonly   ;"),
        ("}", "}"),
    ]);
}

#[test]
fn methods() {
    check(&[
        ("abstract class A {", "         class A {"),
        ("  abstract a(): void;", "                     "),
        ("  protected abstract b: string;", "                               "),
        ("  abstract get c(): C;", "                      "),
        ("  private async *d<T>(x: T): E {}", "          async *d   (x   )    {}"),
        ("  static override f?(): void {}", "  static          f ()       {}"),
        ("  g(x: string): void;", "                     "),
        ("  g(x: any) {}", "  g(x     ) {}"),
        ("  public get h(): H { return 1; }", "         get h()    { return 1; }"),
        ("  set h(x: H) {}", "  set h(x   ) {}"),
        ("  public constructor(x: A);", "                           "),
        ("  public constructor(x: any) { f(x as B); }", "         constructor(x     ) { f(x     ); }"),
        ("  public() {}", "  public() {}"),
        ("}", "}"),
    ]);
}

#[test]
fn an_erasure_does_not_join_two_members() {
    check(&[
        ("class A {", "class A {"),
        ("  b = 1", "  b = 1"),
        ("  private ['c'] = 2", "  ;       ['c'] = 2"),
        ("}", "}"),
    ]);
    check(&[
        ("class A {", "class A {"),
        ("  b", "  b"),
        ("  public *c() {}", "  ;      *c() {}"),
        ("}", "}"),
    ]);
    check(&[
        ("class A {", "class A {"),
        ("  b = c", "  b = c"),
        ("  declare d: D", "  ;           "),
        ("  [key: string]: E", "                  "),
        ("  ['f'] = 1", "  ['f'] = 1"),
        ("}", "}"),
    ]);
    check(&[
        ("class A {", "class A {"),
        ("  b = 1 as B", "  b = 1 ;   "),
        ("  ['c'] = 2", "  ['c'] = 2"),
        ("}", "}"),
    ]);
    check(&[
        ("class A {", "class A {"),
        ("  b() {}", "  b() {}"),
        ("  private ['c'] = 2", "          ['c'] = 2"),
        ("}", "}"),
    ]);
    check(&[("class A {", "class A {"), ("  get: B", "  get;  "), ("  c() {}", "  c() {}"), ("}", "}")]);
    check(&[
        ("class A {", "class A {"),
        ("  static?: B", "  static;   "),
        ("  c = 1", "  c = 1"),
        ("}", "}"),
    ]);
}

#[test]
fn parameter_properties() {
    check(&[(
        "class A { constructor(private x: number) {} }",
        "class A { constructor(        x        ) { this.x = x;} }",
    )]);
    check(&[
        ("class A {", "class A {"),
        ("  constructor(", "  constructor("),
        ("    readonly a: A,", "             a   ,"),
        ("    public readonly b = 1,", "                    b = 1,"),
        ("    c?: C,", "    c    ,"),
        ("    protected override d?: D,", "                       d    ,"),
        ("  ) {", "  ) { this.a = a; this.b = b; this.d = d;"),
        ("    f(a);", "    f(a);"),
        ("  }", "  }"),
        ("}", "}"),
    ]);
    check(&[
        ("class A extends B {", "class A extends B {"),
        ("  constructor(private x: X) {", "  constructor(        x   ) {"),
        ("    super(x);", "    super(x); this.x = x;"),
        ("    f();", "    f();"),
        ("  }", "  }"),
        ("}", "}"),
    ]);
    check(&[
        (
            "class A extends B { constructor(private x: X) { const y = x; super(y as Y) } }",
            "class A extends B { constructor(        x   ) { const y = x; super(y     ); this.x = x; } }",
        ),
        (
            "class C { constructor(private x) { 'use strict' } }",
            "class C { constructor(        x) { 'use strict'; this.x = x; } }",
        ),
        ("class D { constructor(readonly, override) {} }", "class D { constructor(readonly, override) {} }"),
    ]);
}

#[test]
fn a_derived_class_needs_its_own_super_call() {
    let error = refused("class A extends B {\n  constructor(private x: X) { if (x) { super(); } }\n}");
    assert_eq!((error.line, error.column), (2, 3));
    assert!(error.message.contains("`super(...)`"), "{error}");
}

#[test]
fn decorators_and_accessors_are_refused() {
    for source in ["@a class B {}", "class B { @a c() {} }", "class B { @a c = 1 }", "class B { c(@a d) {} }"]
    {
        assert!(refused(source).message.starts_with("decorators are not supported"), "{source}");
    }
    assert!(refused("class A { accessor b = 1; }").message.starts_with("`accessor` fields"));
}
