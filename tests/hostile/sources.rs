//! Modules in TypeScript that are small and would become large, or that nest: what the runtime does with their text.

use crate::*;

/// Members of which each is the one before it, twice.
fn doubling() -> String {
    let mut code = "enum E { A0 = 'xxxxxxxxxxxxxxxx'".to_owned();
    for i in 1..60 {
        code.push_str(&format!(", A{i} = A{0} + `${{A{0}}}`", i - 1));
    }
    code + " }"
}

/// A long text and many members that are the same.
fn copies() -> String {
    let members: String = (0..20_000).map(|i| format!(", B{i} = A")).collect();
    format!("enum E {{ A = '{}'{members} }}", "x".repeat(20_000))
}

fn merging() -> String {
    (0..50_000).map(|i| format!("enum E {{ A{i} }}\n")).collect()
}

/// A child in TypeScript.
fn typed(declarations: &str, body: &str) -> Child {
    with(&format!("/* TypeScript */ {declarations}"), body)
}

hostile! {
    enum_members_that_double: "call", typed(&doubling(), "return 1;") => Error("bytes of JavaScript for the enums");
    enum_members_that_are_copies: "call", typed(&copies(), "return 1;") => Error("bytes of JavaScript for the enums");
    enums_that_merge: "call", typed(&merging(), "return E.A49999;").cpu_ms(5000) => Answer;
    brackets_that_nest: "call", typed(&format!("let a: T = {}", "(".repeat(100_000)), "") => Error("nested more than");
    operators_that_nest: "call", typed(&format!("let a: T = {}1;", "- ".repeat(100_000)), "") => Error("nested more than");
    members_that_nest: "call", typed(&format!("let a: T; a{};", ".b".repeat(100_000)), "") => Error("nested more than");
    a_dense_source: "call", typed(&format!("let a: T; {}", ";".repeat(9 << 20)), "return 1;") => Error("");
}
