//! TypeScript to JavaScript by erasure: types become spaces, so every line and column of the result is the
//! line and column of the source, and stack traces need no source map.
//!
//! What is erased follows TypeScript's `erasableSyntaxOnly` (annotations, interfaces, `as`, generics,
//! modifiers, type-only imports and exports, overloads). Two constructs that are not erasable are common
//! enough to be rewritten in place: `enum` and parameter properties. The others (`namespace` with values,
//! `import x =`, `export =`, decorators, `accessor` fields) are a [`SyntaxError`] that says what to write
//! instead.
//!
//! JSX, in `.tsx` and `.jsx` files, is rewritten in place too.
//!
//! Imports follow `tsc` without `verbatimModuleSyntax`: an imported name that is never used as a value is
//! dropped, and with its last name the import goes too. `import "module"` and `import {} from "module"`
//! always stay.

#![forbid(unsafe_code)]

mod classes;
mod edits;
mod enums;
mod eraser;
mod error;
mod jsx;
mod limits;
mod modules;
mod nesting;
mod requests;
mod statements;
mod trivia;

use std::panic::{AssertUnwindSafe, catch_unwind};

use oxc_allocator::Allocator;
use oxc_ast_visit::Visit;
use oxc_parser::Parser;
use oxc_span::SourceType;

use crate::eraser::Eraser;
pub use crate::error::SyntaxError;
pub use crate::jsx::Jsx;
use crate::jsx::Runtime;
pub use crate::limits::{MAX_RECURSIVE_TOKENS, MAX_SOURCE_BYTES};
pub use crate::nesting::{MAX_NESTING, MAX_RECURSION};
pub use crate::requests::{Form, Request, Scan, requests};

/// Erases the types of the TypeScript module `source` and returns JavaScript with the same lines and columns; in `.tsx`
/// and `.jsx` files, JSX elements become calls as [`Jsx::default`] and the file's comments say.
///
/// `file_name` is used for error messages and for its ending: `.cts` is parsed as CommonJS, `.jsx` as JavaScript,
/// everything else as an ECMAScript module in TypeScript.
///
/// # Errors
///
/// A [`SyntaxError`] when the source does not parse, uses a construct that has no erasure, or passes one of
/// the limits [`MAX_SOURCE_BYTES`], [`MAX_NESTING`], [`MAX_RECURSION`] and [`MAX_RECURSIVE_TOKENS`], or what its enums and
/// elements may become.
pub fn strip(file_name: &str, source: &str) -> Result<String, SyntaxError> {
    compile(file_name, source, &Jsx::default())
}

/// Like [`strip`], with `jsx` for what elements become where the file's comments do not say it.
///
/// # Errors
///
/// As for [`strip`].
pub fn compile(file_name: &str, source: &str, jsx: &Jsx) -> Result<String, SyntaxError> {
    let kind = Kind::of(file_name);
    on_large_stack(file_name, source, kind.jsx(), || erase(file_name, source, kind, jsx))
}

/// What a file is parsed as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Module,
    CommonJs,
    Tsx,
    Jsx,
}

impl Kind {
    fn of(file_name: &str) -> Self {
        let ending =
            file_name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase());
        match ending.as_str() {
            "cts" => Self::CommonJs,
            "tsx" => Self::Tsx,
            "jsx" => Self::Jsx,
            _ => Self::Module,
        }
    }

    fn jsx(self) -> bool {
        matches!(self, Self::Tsx | Self::Jsx)
    }

    fn source_type(self) -> SourceType {
        match self {
            Self::Module => SourceType::ts().with_module(true),
            Self::CommonJs => SourceType::ts().with_commonjs(true),
            Self::Tsx => SourceType::tsx().with_module(true),
            Self::Jsx => SourceType::jsx().with_module(true),
        }
    }
}

fn on_large_stack<T>(
    file_name: &str,
    source: &str,
    jsx: bool,
    work: impl FnOnce() -> Result<T, SyntaxError>,
) -> Result<T, SyntaxError> {
    let stack_bytes = limits::stack_bytes(file_name, source, jsx)?;
    // The parser and the visitor recurse, and running out of stack ends the whole process. So they get a stack that is
    // large enough for the deepest tree these tokens can make (only touched pages cost memory), on the caller's own
    // thread: its clock counts what they take. A defect in the parser does not take the caller down.
    catch_unwind(AssertUnwindSafe(|| stacker::grow(stack_bytes, work))).unwrap_or_else(|_| {
        let message = format!(
            "internal error: the TypeScript parser failed, or there was no room for its stack of {stack_bytes} bytes"
        );
        Err(SyntaxError::at(file_name, source, 0, message))
    })
}

fn erase(file_name: &str, source: &str, kind: Kind, jsx: &Jsx) -> Result<String, SyntaxError> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, kind.source_type()).parse();
    if let Some(diagnostic) = parsed.diagnostics.errors().next() {
        let offset = diagnostic.labels.first().map_or(0, |label| label.offset() as usize);
        let message = match &diagnostic.help {
            Some(help) => format!("{}: {help}", diagnostic.message),
            None => diagnostic.message.to_string(),
        };
        return Err(SyntaxError::at(file_name, source, offset, message));
    }
    if parsed.panicked {
        return Err(SyntaxError::at(file_name, source, 0, "the source is not valid TypeScript"));
    }
    let refused = |offset, message: String| SyntaxError::at(file_name, source, offset, message);
    let runtime = match kind.jsx() {
        true => Some(
            Runtime::new(source, &parsed.program, jsx).map_err(|(at, m)| refused(at.start as usize, m))?,
        ),
        false => None,
    };
    let mut eraser = Eraser::new(source, modules::type_only_names(&parsed.program), runtime);
    eraser.visit_program(&parsed.program);
    // JavaScript keeps what it imports.
    if kind != Kind::Jsx {
        eraser.imports(&parsed.program);
    }
    eraser.finish().map_err(|failure| refused(failure.offset, failure.message))
}
