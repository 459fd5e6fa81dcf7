//! TypeScript to JavaScript by erasure: types become spaces, so every line and column of the result is the
//! line and column of the source, and stack traces need no source map.
//!
//! What is erased follows TypeScript's `erasableSyntaxOnly` (annotations, interfaces, `as`, generics,
//! modifiers, type-only imports and exports, overloads). Two constructs that are not erasable are common
//! enough to be rewritten in place: `enum` and parameter properties. The others (`namespace` with values,
//! `import x =`, `export =`, decorators, `accessor` fields) are a [`SyntaxError`] that says what to write
//! instead.
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
mod limits;
mod modules;
mod nesting;
mod statements;
mod trivia;

use std::panic::{AssertUnwindSafe, catch_unwind};

use oxc_allocator::Allocator;
use oxc_ast_visit::Visit;
use oxc_parser::Parser;
use oxc_span::SourceType;

use crate::eraser::Eraser;
pub use crate::error::SyntaxError;
pub use crate::limits::{MAX_RECURSIVE_TOKENS, MAX_SOURCE_BYTES};
pub use crate::nesting::MAX_NESTING;

/// Erases the types of the TypeScript module `source` and returns JavaScript with the same lines and columns.
///
/// `file_name` is used for error messages and for its ending: `.cts` is parsed as CommonJS, `.tsx` and `.jsx`
/// are refused, everything else is parsed as an ECMAScript module.
///
/// # Errors
///
/// A [`SyntaxError`] when the source does not parse, uses a construct that has no erasure, or passes one of
/// the limits [`MAX_SOURCE_BYTES`], [`MAX_NESTING`] and [`MAX_RECURSIVE_TOKENS`].
pub fn strip(file_name: &str, source: &str) -> Result<String, SyntaxError> {
    if has_extension(file_name, "tsx") || has_extension(file_name, "jsx") {
        let message =
            "JSX is not supported: compile the module to JavaScript first, or write it as .ts without JSX";
        return Err(SyntaxError::at(file_name, source, 0, message));
    }
    on_large_stack(file_name, source, || erase(file_name, source))
}

/// The specifiers that a JavaScript module imports: of `import`, `export … from`, and of `import()` where it is given a
/// plain string. A source that does not parse gives none: whoever runs it reports that better.
pub fn imports(file_name: &str, source: &str) -> Vec<String> {
    on_large_stack(file_name, source, || Ok(requests(source))).unwrap_or_default()
}

fn requests(source: &str) -> Vec<String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::mjs()).parse();
    let record = &parsed.module_record;
    let mut found: Vec<String> = record.requested_modules.keys().map(ToString::to_string).collect();
    for dynamic in &record.dynamic_imports {
        let text = source.get(dynamic.module_request.start as usize..dynamic.module_request.end as usize);
        let literal = text.and_then(|t| {
            let quote = t.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
            t.strip_prefix(quote)?.strip_suffix(quote)
        });
        found.extend(literal.filter(|t| !t.contains(['\\', '$'])).map(str::to_owned));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn on_large_stack<T>(
    file_name: &str,
    source: &str,
    work: impl FnOnce() -> Result<T, SyntaxError>,
) -> Result<T, SyntaxError> {
    let stack_bytes = limits::stack_bytes(file_name, source)?;
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

fn erase(file_name: &str, source: &str) -> Result<String, SyntaxError> {
    let allocator = Allocator::default();
    let source_type = if has_extension(file_name, "cts") {
        SourceType::ts().with_commonjs(true)
    } else {
        SourceType::ts().with_module(true)
    };
    let parsed = Parser::new(&allocator, source, source_type).parse();
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
    let mut eraser = Eraser::new(source, modules::type_only_names(&parsed.program));
    eraser.visit_program(&parsed.program);
    eraser.imports(&parsed.program);
    eraser.finish().map_err(|failure| SyntaxError::at(file_name, source, failure.offset, failure.message))
}

fn has_extension(file_name: &str, extension: &str) -> bool {
    file_name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case(extension))
}
