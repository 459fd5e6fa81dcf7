//! What is refused, where the error points, and the limits.

use atoll_typescript::{MAX_NESTING, MAX_RECURSIVE_TOKENS, MAX_SOURCE_BYTES, strip};

use crate::refused;

#[test]
fn an_error_shows_the_place() {
    let error = refused("let a = 1;\r\n\tlet 'ü\u{1f600}' b;\n");
    assert_eq!((error.file.as_str(), error.line), ("module.ts", 2));
    assert_eq!(error.source_line, "\tlet 'ü\u{1f600}' b;");
    let text = error.to_string();
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(lines[0].starts_with(&format!("module.ts:2:{}: ", error.column)), "{text}");
    assert_eq!(lines[1], "  \tlet 'ü\u{1f600}' b;");
    assert!(lines[2].starts_with("  \t") && lines[2].ends_with('^'), "{text}");
}

#[test]
fn columns_count_utf16_units() {
    let error = refused("f('ü\u{1f600}'); export = 1;");
    assert_eq!((error.line, error.column), (1, 11));
    assert!(error.to_string().ends_with("\n           ^"), "{error}");
}

#[test]
fn long_lines_are_cut() {
    let error = refused(&format!("/*{}*/ export = 1;", "x".repeat(1_000_000)));
    assert_eq!(error.source_line.len(), 200);
    assert_eq!(error.column, 1_000_006);
}

#[test]
fn constructs_without_erasure_say_what_to_write() {
    for (source, column, advice) in [
        ("namespace A { export const b = 1; }", 1, "const name = { ... }"),
        ("export namespace A.B { f(); }", 8, "const name = { ... }"),
        ("module A { enum B {} }", 1, "const name = { ... }"),
        ("import a = require('a');", 1, "import x from"),
        ("namespace A { export type B = 1 } import c = A.B;", 35, "import x from"),
        ("export import a = b.c;", 8, "import x from"),
        ("f(); export = f;", 6, "export default"),
    ] {
        let error = refused(source);
        assert_eq!((error.line, error.column), (1, column), "{error}");
        assert!(error.message.contains(advice), "{error}");
    }
}

#[test]
fn sources_that_do_not_parse() {
    for source in
        ["let x: = 1;", "function (", "type A = ;", "a b c", "`${", "interface {}", "const a;", "<div/>"]
    {
        let error = refused(source);
        assert!(!error.message.is_empty() && !error.message.contains("internal error"), "{source}: {error}");
    }
}

#[test]
fn the_file_name_selects_the_module_kind() {
    assert_eq!(strip("a.cts", "return (1 as A);").as_deref(), Ok("return (1     );"));
    assert!(strip("a.mts", "return 1;").is_err());
    assert_eq!(strip("a", "await (<A>b);").as_deref(), Ok("await (   b);"));
}

#[test]
fn deep_nesting_is_parsed_or_refused() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{", "}"), ("!", ""), ("f(<A>", ")"), ("(a = ", ")"), ("1 + ", "")]
    {
        let count = 500;
        let source = format!("{}0{}", open.repeat(count), close.repeat(count));
        assert_eq!(strip("a.ts", &source).as_deref(), Ok(source.replace("<A>", "   ").as_str()), "{open}");
    }
    let source = "(".repeat(MAX_NESTING + 1);
    let error = refused(&source);
    assert_eq!(error.column as usize, MAX_NESTING + 1);
    assert!(error.message.contains("nested more than 1000 deep"), "{error}");
}

#[test]
fn nesting_cannot_hide_from_the_stack_bound() {
    // The scan for nesting takes the `/` after `}` for a division and the quote for the start of a string.
    let error = refused(&format!("{{}} /'/; {}", "(".repeat(MAX_RECURSIVE_TOKENS)));
    assert!(error.message.contains("brackets and operators"), "{error}");
    assert!(refused(&"!".repeat(MAX_RECURSIVE_TOKENS + 1)).message.contains("nested more than"));
}

#[test]
fn large_sources_are_refused() {
    let source = " ".repeat(MAX_SOURCE_BYTES);
    assert_eq!(strip("a.ts", &source).as_deref(), Ok(source.as_str()));
    let error = refused(&(source + " "));
    assert!(error.message.contains("10485761 bytes"), "{error}");
}

#[test]
fn what_enums_become_is_bounded() {
    let mut doubling = "enum E { A0 = 'xxxxxxxxxxxxxxxx'".to_owned();
    for i in 1..60 {
        doubling.push_str(&format!(", A{i} = A{} + A{}", i - 1, i - 1));
    }
    let copies = format!("enum E {{ A = '{}'{} }}", "x".repeat(10_000), copied());
    let templates = "enum E { A = `xxxxxxxx`".to_owned()
        + &(0..60)
            .map(|i| {
                format!(
                    ", A{i} = `${{{0}}}${{{0}}}`",
                    if i == 0 { "A".into() } else { format!("A{}", i - 1) }
                )
            })
            .collect::<String>()
        + "}";
    for source in [doubling + " }", copies, templates] {
        let error = refused(&source);
        assert!(error.message.contains("bytes of JavaScript for the enums"), "{error}");
        assert!(error.message.contains("enum member `"), "{error}");
    }
}

fn copied() -> String {
    (0..1_000).map(|i| format!(", A{i} = A")).collect()
}
