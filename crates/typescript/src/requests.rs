//! Which modules a JavaScript source asks for, by `import` and `require()`, and whether it is a CommonJS module.

use std::ops::Range;

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression, ImportAttributeKey,
    ImportDeclaration, ImportExpression, ObjectPropertyKind, StaticMemberExpression, StringLiteral,
    WithClause,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};

use crate::jsx::spine;
use crate::limits::{MAX_RECURSIVE_TOKENS, recursive_tokens, stack_for};
use crate::nesting::too_deep;

/// What a source is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An ECMAScript module.
    Module,
    /// A CommonJS module.
    CommonJs,
    /// What its text says: a source that has `require()` or `exports`, and neither `import` nor `export`, is CommonJS.
    Either,
}

/// A module that a source asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for, as it is written.
    pub specifier: String,
    /// The import attribute `type`, if it is the only attribute.
    pub attribute: Option<String>,
    /// The bytes of the attributes, with the `with` or the comma before them.
    pub attributes_at: Range<usize>,
}

/// What a source asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Each request in the order of the text: of `import` and `export … from`, of `import()` and, in a CommonJS module,
    /// `require()` where they are given a plain string.
    pub requests: Vec<Request>,
    /// Whether it is a CommonJS module.
    pub commonjs: bool,
}

/// Reads which modules the JavaScript `source` asks for. A source that does not parse, or is nested too deeply, asks for
/// none: what runs it reports that better. The source is trusted: a deep one may take much stack.
pub fn requests(source: &str, form: Form) -> Scan {
    if too_deep(source, false).is_some() {
        return Scan::default();
    }
    // Sources of several megabytes are usual here; what was not found too deep needs less stack than their tokens could.
    let stack = stack_for(recursive_tokens(source.as_bytes()).min(MAX_RECURSIVE_TOKENS));
    stacker::grow(stack, || match form {
        Form::Module => scan(source, SourceType::mjs()).unwrap_or_default(),
        Form::CommonJs => scan(source, SourceType::cjs()).unwrap_or_default(),
        Form::Either => scan(source, SourceType::mjs())
            .or_else(|| scan(source, SourceType::cjs()).filter(|scan| scan.commonjs))
            .unwrap_or_default(),
    })
}

fn scan(source: &str, source_type: SourceType) -> Option<Scan> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, source_type).parse();
    if parsed.panicked || parsed.diagnostics.errors().next().is_some() {
        return None;
    }
    let record = &parsed.module_record;
    let is_module = record.has_module_syntax || !record.import_metas.is_empty();
    let mut finder = Finder { source, found: Scan::default(), required: Vec::new(), exports: false };
    finder.visit_program(&parsed.program);
    let commonjs = source_type.is_commonjs() || !finder.required.is_empty() || finder.exports;
    finder.found.commonjs = commonjs && !is_module;
    if finder.found.commonjs {
        finder.found.requests.append(&mut finder.required);
    }
    Some(finder.found)
}

struct Finder<'s> {
    source: &'s str,
    found: Scan,
    /// What `require()` is given.
    required: Vec<Request>,
    /// Whether there is `module.exports` or a property of `exports`.
    exports: bool,
}

impl Finder<'_> {
    fn declared(&mut self, source: &StringLiteral<'_>, clause: Option<&WithClause<'_>>) {
        let (mut attribute, mut attributes_at) = (None, 0..0);
        if let Some(clause) = clause {
            // The keyword is not in the span of the clause.
            attributes_at = source.span.end as usize..clause.span.end as usize;
            if let [only] = clause.with_entries.as_slice() {
                let key = match &only.key {
                    ImportAttributeKey::Identifier(key) => key.name.as_str(),
                    ImportAttributeKey::StringLiteral(key) => key.value.as_str(),
                };
                attribute = (key == "type").then(|| only.value.value.as_str().to_owned());
            }
        }
        let specifier = source.value.as_str().to_owned();
        self.found.requests.push(Request { specifier, attribute, attributes_at });
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_expression(&mut self, it: &Expression<'a>) {
        let (first, rest) = spine(it);
        walk::walk_expression(self, first);
        for operand in rest.into_iter().rev() {
            self.visit_expression(operand);
        }
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        self.declared(&it.source, it.with_clause.as_deref());
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.declared(&it.source, it.with_clause.as_deref());
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.declared(&it.source, it.with_clause.as_deref());
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        if let Some(specifier) = plain_text(&it.source) {
            let attribute = it.options.as_ref().and_then(type_of).map(str::to_owned);
            let attributes_at = match &it.options {
                Some(options) => {
                    let (start, end) = (it.source.span().end as usize, options.span().end as usize);
                    let comma = self.source[start..end].find(',').map_or(start, |comma| start + comma);
                    comma..end
                }
                None => 0..0,
            };
            let specifier = specifier.to_owned();
            self.found.requests.push(Request { specifier, attribute, attributes_at });
        }
        walk::walk_import_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if let Expression::Identifier(callee) = &it.callee
            && callee.name == "require"
            && let [argument] = it.arguments.as_slice()
            && let Some(specifier) = argument.as_expression().and_then(plain_text)
        {
            let specifier = specifier.to_owned();
            self.required.push(Request { specifier, attribute: None, attributes_at: 0..0 });
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_static_member_expression(&mut self, it: &StaticMemberExpression<'a>) {
        if let Expression::Identifier(object) = &it.object {
            self.exports |=
                object.name == "exports" || (object.name == "module" && it.property.name == "exports");
        }
        walk::walk_static_member_expression(self, it);
    }
}

/// The text of a string or of a template without substitutions.
fn plain_text<'e>(it: &'e Expression<'_>) -> Option<&'e str> {
    match it {
        Expression::StringLiteral(it) if !it.lone_surrogates => Some(it.value.as_str()),
        Expression::TemplateLiteral(it) if it.expressions.is_empty() => {
            it.quasis.first()?.value.cooked.as_ref().map(|text| text.as_str())
        }
        _ => None,
    }
}

/// `json` in `{ with: { type: "json" } }`.
fn type_of<'e>(it: &'e Expression<'_>) -> Option<&'e str> {
    plain_text(only_property(only_property(it, "with")?, "type")?)
}

/// The value of an object's only property, if it has that name.
fn only_property<'e, 'a>(it: &'e Expression<'a>, name: &str) -> Option<&'e Expression<'a>> {
    let Expression::ObjectExpression(object) = it else { return None };
    let [ObjectPropertyKind::ObjectProperty(property)] = object.properties.as_slice() else { return None };
    (property.key.static_name()? == name).then_some(&property.value)
}
