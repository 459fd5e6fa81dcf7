//! Erases the types of classes: modifiers, `implements`, members without a body, index signatures; and
//! rewrites parameter properties to assignments.
//!
//! Class members need no separator, so an erasure between a field without `;` and a member that begins with
//! `[` or `*` would make that member part of the field's initialiser. The erasure then becomes `;`.

use oxc_ast::ast::{
    AccessorProperty, AccessorPropertyType, Class, ClassElement, Expression, MethodDefinition,
    MethodDefinitionKind, PropertyDefinition, PropertyDefinitionType, PropertyKey, Statement,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

use crate::eraser::{Eraser, is_modifier};
use crate::trivia::{find_next, skip_trivia, word_at};

const ACCESSOR: &str =
    "`accessor` fields are not supported: write a getter and a setter over a private field";
const SUPER: &str = "parameter properties of a derived class need a `super(...)` call that is a statement of the \
                     constructor body itself";

impl<'a> Eraser<'a> {
    pub(crate) fn class(&mut self, it: &Class<'a>) {
        self.visit_decorators(&it.decorators);
        let start = it.span.start as usize;
        if it.r#abstract && word_at(self.source, start) == "abstract" {
            self.edits.blank(start, start + "abstract".len());
        }
        if let Some(types) = &it.type_parameters {
            self.visit_ts_type_parameter_declaration(types);
        }
        if let Some(heritage) = &it.heritage {
            self.visit_class_heritage(heritage);
        }
        if let Some(last) = it.implements.last()
            && let Some(keyword) = self.implements_keyword(it)
        {
            self.edits.blank(keyword, last.span.end as usize);
        }
        self.class_body(it);
    }

    /// Where the `implements` of a class is: it follows what comes last before it in the class's head.
    fn implements_keyword(&self, it: &Class<'a>) -> Option<usize> {
        let before = match (&it.heritage, &it.type_parameters, &it.id) {
            (Some(heritage), _, _) => match &heritage.type_arguments {
                Some(types) => types.span.end,
                None => heritage.expression.span().end,
            },
            (None, Some(types), _) => types.span.end,
            (None, None, Some(name)) => name.span.end,
            (None, None, None) => it.span.start,
        };
        let mut offset = skip_trivia(self.source, before as usize);
        loop {
            match word_at(self.source, offset) {
                "implements" => return Some(offset),
                word @ ("abstract" | "class") => offset = skip_trivia(self.source, offset + word.len()),
                _ => return None,
            }
        }
    }

    fn class_body(&mut self, it: &Class<'a>) {
        // Whether the last member kept is a field that the next member could continue.
        let mut open_field = false;
        let mut erased_since = None;
        for element in &it.body.body {
            let span = element.span();
            if is_erased(element) {
                self.blank(span);
                erased_since.get_or_insert(span.start as usize);
                continue;
            }
            let start = span.start as usize;
            let kept = self.skip_modifiers(start);
            if open_field && self.continues_field(kept) {
                let erasure = erased_since.or((kept != start).then_some(start));
                if let Some(erasure) = erasure {
                    self.edits.terminate(erasure);
                }
            }
            self.class_element(element, it.heritage.is_some());
            open_field =
                matches!(element, ClassElement::PropertyDefinition(_)) && !self.ends_with_semicolon(span);
            erased_since = None;
        }
    }

    /// Where a class member begins once the modifiers in front of it are erased.
    fn skip_modifiers(&self, mut offset: usize) -> usize {
        loop {
            let word = word_at(self.source, offset);
            let next = skip_trivia(self.source, offset + word.len());
            // A modifier's name in front of one of these is the name of the member.
            let is_name = self.source[next..].starts_with(['(', '=', ':', ';', '?', '!', '<', '}', ',']);
            if !is_modifier(word) || is_name {
                return offset;
            }
            offset = next;
        }
    }

    fn continues_field(&self, offset: usize) -> bool {
        self.source[offset..].starts_with(['[', '*', '('])
            || matches!(word_at(self.source, offset), "in" | "instanceof")
    }

    fn ends_with_semicolon(&self, span: Span) -> bool {
        self.source[..span.end as usize].ends_with(';')
    }

    fn class_element(&mut self, it: &ClassElement<'a>, derived: bool) {
        match it {
            ClassElement::StaticBlock(it) => walk::walk_static_block(self, it),
            ClassElement::MethodDefinition(it) => self.method(it, derived),
            ClassElement::PropertyDefinition(it) => self.field(it),
            ClassElement::AccessorProperty(it) => self.accessor(it),
            ClassElement::TSIndexSignature(_) => {}
        }
    }

    fn method(&mut self, it: &MethodDefinition<'a>, derived: bool) {
        self.blank_modifiers(it.span.start, it.key.span().start);
        if it.optional {
            self.blank_next(self.key_end(&it.key, it.computed), '?');
        }
        walk::walk_method_definition(self, it);
        if it.kind == MethodDefinitionKind::Constructor {
            self.parameter_properties(it, derived);
        }
    }

    fn field(&mut self, it: &PropertyDefinition<'a>) {
        self.blank_modifiers(it.span.start, it.key.span().start);
        let key_end = self.key_end(&it.key, it.computed);
        let mut erased = it.type_annotation.as_ref().map(|types| types.span.start as usize);
        if it.optional {
            erased = self.blank_next(key_end, '?').or(erased);
        }
        if it.definite {
            erased = self.blank_next(key_end, '!').or(erased);
        }
        walk::walk_property_definition(self, it);
        // `get: T` must not become the modifier of the next member.
        if let Some(erased) = erased
            && it.value.is_none()
            && !it.computed
            && matches!(&it.key, PropertyKey::StaticIdentifier(name)
                if matches!(name.name.as_str(), "get" | "set" | "static" | "accessor"))
            && !self.ends_with_semicolon(it.span)
        {
            self.edits.terminate(erased);
        }
    }

    fn accessor(&mut self, it: &AccessorProperty<'a>) {
        self.fail(it.span, ACCESSOR);
    }

    /// End of a member's name, with the `]` of a computed one.
    fn key_end(&self, key: &PropertyKey<'a>, computed: bool) -> usize {
        let end = key.span().end as usize;
        if computed { find_next(self.source, end, ']').map_or(end, |bracket| bracket + 1) } else { end }
    }

    /// Writes `this.x = x;` for each parameter property: after `super(...)`, or else first in the body.
    fn parameter_properties(&mut self, it: &MethodDefinition<'a>, derived: bool) {
        let Some(body) = &it.value.body else { return };
        let mut assignments = String::new();
        for parameter in &it.value.params.items {
            if (parameter.accessibility.is_some() || parameter.readonly || parameter.r#override)
                && let Some(name) = parameter.pattern.get_binding_identifier()
            {
                let name = name.name.as_str();
                assignments.push_str(&format!(" this.{name} = {name};"));
            }
        }
        if assignments.is_empty() {
            return;
        }
        let before = if derived {
            let Some(call) = body.statements.iter().find(|statement| is_super_call(statement)) else {
                self.fail(it.span, SUPER);
                return;
            };
            Some(call.span())
        } else {
            body.directives.last().map(|directive| directive.span)
        };
        match before {
            None => self.edits.insert(body.span.start as usize + 1, assignments),
            Some(span) if self.ends_with_semicolon(span) => self.edits.insert(span.end as usize, assignments),
            Some(span) => self.edits.insert(span.end as usize, format!(";{assignments}")),
        }
    }
}

/// Whether `it` leaves nothing behind at run time.
fn is_erased(it: &ClassElement<'_>) -> bool {
    match it {
        ClassElement::StaticBlock(_) => false,
        ClassElement::MethodDefinition(it) => it.value.body.is_none(),
        ClassElement::PropertyDefinition(it) => {
            it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition
        }
        ClassElement::AccessorProperty(it) => it.r#type == AccessorPropertyType::TSAbstractAccessorProperty,
        ClassElement::TSIndexSignature(_) => true,
    }
}

fn is_super_call(statement: &Statement<'_>) -> bool {
    match statement {
        Statement::ExpressionStatement(it) => match &it.expression {
            Expression::CallExpression(call) => matches!(call.callee, Expression::Super(_)),
            _ => false,
        },
        _ => false,
    }
}
