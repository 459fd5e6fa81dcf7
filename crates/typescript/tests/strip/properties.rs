//! Properties that hold for every source: an answer, no internal error, and the same lines.

use atoll_typescript::strip;
use proptest::prelude::*;

/// Pieces whose combinations reach deep into the parser more often than random characters do.
static PIECES: &[&str] = &[
    "let ",
    "const ",
    "x",
    "y",
    ": ",
    "T",
    "<",
    ">",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "=>",
    " = ",
    ";",
    ",",
    "\n",
    "?",
    "!",
    ".",
    "as ",
    "satisfies ",
    "interface ",
    "type ",
    "enum ",
    "namespace ",
    "declare ",
    "abstract ",
    "class ",
    "extends ",
    "implements ",
    "private ",
    "readonly ",
    "constructor",
    "super(x);",
    "import ",
    "export ",
    "from ",
    "'m'",
    "default ",
    "function ",
    "async ",
    "return ",
    "0",
    "'s'",
    "`t${",
    "}`",
    "/",
    "/*",
    "*/",
    "//",
    "get ",
    "static ",
    "#p",
    "@",
    "this",
    "...",
    "|",
    "keyof ",
    "typeof ",
    "é\u{1f600}",
    "\u{2028}",
];

fn check(source: &str) -> Result<(), TestCaseError> {
    match strip("module.ts", source) {
        Ok(output) => {
            let terminators = |text: &str| {
                text.chars()
                    .filter(|c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}'))
                    .collect::<String>()
            };
            prop_assert_eq!(terminators(&output), terminators(source));
        }
        Err(error) => {
            prop_assert!(!error.message.contains("internal error"), "{}", error);
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_text_gets_an_answer(source in any::<String>()) {
        check(&source)?;
    }

    #[test]
    fn arbitrary_syntax_gets_an_answer(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn annotations_leave_every_other_character_in_place(name in "[a-z]{1,8}", value in 0_u32..1_000_000) {
        let name = format!("v_{name}");
        let typed = format!("const {name}: Map<string, {{ a: {value} }}> = {value} as never; f({name}!);");
        let output = strip("module.ts", &typed).expect("valid TypeScript");
        prop_assert_eq!(output.len(), typed.len());
        for (before, after) in typed.chars().zip(output.chars()) {
            prop_assert!(after == ' ' || after == before);
        }
        let expected = format!("const {name} = {value} ; f({name} );");
        prop_assert_eq!(output.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    }
}
