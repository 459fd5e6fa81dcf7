//! The visitor that erases types from expressions, parameters and functions, and notes which names are
//! values.
//!
//! It never descends into a type, so every identifier it visits is used as a value.

use std::collections::HashSet;
use std::mem;

use oxc_allocator::ArenaVec;
use oxc_ast::ast::{
    ArrowFunctionExpression, Class, Decorator, Expression, FormalParameter, IdentifierReference, JSXElement,
    JSXFragment, Statement, TSAsExpression, TSNonNullExpression, TSSatisfiesExpression, TSThisParameter,
    TSTypeAnnotation, TSTypeAssertion, TSTypeParameterDeclaration, TSTypeParameterInstantiation,
    VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

use crate::edits::{CONTINUES_EXPRESSION, Edits};
use crate::enums::Enums;
use crate::jsx::{Runtime, spine};
use crate::limits::Room;
use crate::trivia::{find_next, is_line_terminator, skip_trivia, word_at};

const MODIFIERS: [&str; 7] =
    ["public", "private", "protected", "readonly", "override", "abstract", "declare"];

/// The first construct of the source that has no erasure.
pub(crate) struct Failure {
    /// Where in the source, in bytes.
    pub(crate) offset: usize,
    pub(crate) message: String,
}

pub(crate) struct Eraser<'a> {
    pub(crate) source: &'a str,
    pub(crate) edits: Edits<'a>,
    /// Names that are used as values anywhere in the module, whatever they refer to.
    pub(crate) values: HashSet<&'a str>,
    /// Names that the module declares or imports only as types.
    pub(crate) type_only: HashSet<&'a str>,
    /// The enums of the open statement lists.
    pub(crate) enums: Enums<'a>,
    pub(crate) room: Room,
    /// What JSX elements become; None where there are none.
    pub(crate) jsx: Option<Runtime>,
    /// Names that are used by what elements become.
    pub(crate) jsx_values: Vec<String>,
    /// Whether the statement being visited is the body of an `if`, loop or label, where something must be
    /// left.
    pub(crate) sole_statement: bool,
    failure: Option<Failure>,
}

impl<'a> Eraser<'a> {
    pub(crate) fn new(source: &'a str, type_only: HashSet<&'a str>, jsx: Option<Runtime>) -> Self {
        Self {
            source,
            edits: Edits::new(source),
            values: HashSet::new(),
            type_only,
            enums: Enums::default(),
            room: Room::new(source),
            jsx,
            jsx_values: Vec::new(),
            sole_statement: false,
            failure: None,
        }
    }

    pub(crate) fn finish(mut self) -> Result<String, Failure> {
        if let Some(text) = self.jsx.as_ref().and_then(Runtime::epilogue) {
            self.edits.insert(self.source.len(), text);
        }
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.edits.apply()),
        }
    }

    /// Notes a construct that has no erasure; the first one is reported.
    pub(crate) fn fail(&mut self, span: Span, message: impl Into<String>) {
        if self.failure.is_none() {
            self.failure = Some(Failure { offset: span.start as usize, message: message.into() });
        }
    }

    pub(crate) fn blank(&mut self, span: Span) {
        self.edits.blank(span.start as usize, span.end as usize);
    }

    /// Erases `punctuator` if it is the next token after `offset`, and returns where it was.
    pub(crate) fn blank_next(&mut self, offset: usize, punctuator: char) -> Option<usize> {
        let at = find_next(self.source, offset, punctuator)?;
        self.edits.blank(at, at + punctuator.len_utf8());
        Some(at)
    }

    /// Erases the modifiers among the words from `start` to `end`, where the name or pattern begins.
    pub(crate) fn blank_modifiers(&mut self, start: u32, end: u32) {
        let mut offset = start as usize;
        while offset < end as usize {
            let word = word_at(self.source, offset);
            if word.is_empty() {
                break;
            }
            if is_modifier(word) {
                self.edits.blank(offset, offset + word.len());
            }
            offset = skip_trivia(self.source, offset + word.len());
        }
    }

    /// Erases `as T` or `satisfies T` after `expression`, up to `end`.
    fn erase_type_suffix(&mut self, expression: &Expression<'a>, end: u32) {
        self.visit_expression(expression);
        let start = skip_trivia(self.source, expression.span().end as usize);
        self.edits.blank(start, end as usize);
        self.edits.guard(start, CONTINUES_EXPRESSION);
    }

    fn has_line_break(&self, start: u32, end: u32) -> bool {
        self.source[start as usize..end as usize].contains(is_line_terminator)
    }

    /// Erases the type parameters of an arrow function. If a line break follows them, the `(` of its
    /// parameters moves up: `return <T>` and `async <T>` must not be left alone on their line.
    fn erase_arrow_type_parameters(&mut self, types: Span, parameters: Span) {
        if self.has_line_break(types.start, parameters.start) {
            self.edits.replace(types.start as usize, types.end as usize, "(");
            self.edits.blank(parameters.start as usize, parameters.start as usize + 1);
        } else {
            self.blank(types);
        }
    }

    /// Erases the return type of an arrow function. If it has line breaks, the `)` of the parameters moves to
    /// its end: no line break may stand between `)` and `=>`.
    fn erase_arrow_return_type(&mut self, parameters: Span, types: Span) {
        if !self.has_line_break(parameters.end, types.end) {
            self.blank(types);
            return;
        }
        let (start, end) = (types.start as usize, types.end as usize);
        let last = self.source[start..end].chars().next_back().map_or(0, char::len_utf8);
        self.edits.blank(parameters.end as usize - 1, parameters.end as usize);
        self.edits.blank(start, end - last);
        self.edits.replace(end - last, end, ")");
    }
}

pub(crate) fn is_modifier(word: &str) -> bool {
    MODIFIERS.contains(&word)
}

impl<'a> Visit<'a> for Eraser<'a> {
    fn visit_statements(&mut self, it: &ArenaVec<'a, Statement<'a>>) {
        let outer = mem::replace(&mut self.sole_statement, false);
        self.enums.open_list();
        for statement in it {
            self.statement(statement);
        }
        self.enums.close_list();
        self.sole_statement = outer;
    }

    fn visit_statement(&mut self, it: &Statement<'a>) {
        let outer = mem::replace(&mut self.sole_statement, true);
        self.statement(it);
        self.sole_statement = outer;
    }

    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        self.values.insert(it.name.as_str());
    }

    fn visit_expression(&mut self, it: &Expression<'a>) {
        let (first, rest) = spine(it);
        walk::walk_expression(self, first);
        for operand in rest.into_iter().rev() {
            self.visit_expression(operand);
        }
    }

    fn visit_jsx_element(&mut self, it: &JSXElement<'a>) {
        self.element(it);
    }

    fn visit_jsx_fragment(&mut self, it: &JSXFragment<'a>) {
        self.fragment(it);
    }

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.blank(it.span);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.blank(it.span);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.blank(it.span);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        self.blank(it.span);
        self.blank_next(it.span.end as usize, ',');
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.blank_next(it.id.span().end as usize, '!');
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        let name = it.pattern.span();
        self.blank_modifiers(it.span.start, name.start);
        if it.optional {
            self.blank_next(name.end as usize, '?');
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        if let Some(types) = &it.type_parameters {
            self.erase_arrow_type_parameters(types.span, it.params.span);
        }
        self.visit_formal_parameters(&it.params);
        if let Some(types) = &it.return_type {
            self.erase_arrow_return_type(it.params.span, types.span);
        }
        self.visit_arrow_function_body(&it.body);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        self.class(it);
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.erase_type_suffix(&it.expression, it.span.end);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.erase_type_suffix(&it.expression, it.span.end);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        let (start, operand) = (it.span.start as usize, it.expression.span().start as usize);
        // Without `<T>` in front, a line break could end a `return`, and `{` or `function` could begin a
        // block or a declaration: then the operand gets parentheses.
        let ambiguous = self.source[operand..].starts_with('{')
            || matches!(word_at(self.source, operand), "function" | "class" | "async" | "let");
        if ambiguous || self.has_line_break(it.span.start, it.expression.span().start) {
            self.edits.replace(start, operand, "(");
            self.edits.insert(it.span.end as usize, ")");
        } else {
            self.edits.blank(start, operand);
        }
        self.visit_expression(&it.expression);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.visit_expression(&it.expression);
        self.edits.blank(it.span.end as usize - 1, it.span.end as usize);
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        self.fail(it.span, "decorators are not supported: call the function on the class or method instead");
    }
}
