//! Erases whole statements: type declarations, ambient declarations, overload signatures, type-only exports.

use oxc_ast::ast::{
    Declaration, ExportDefaultDeclaration, ExportDefaultDeclarationKind, ExportFromDeclaration,
    ExportNamedDeclaration, ExportSpecifier, ModuleExportName, Statement, TSNamespaceDeclarationBody,
};
use oxc_ast_visit::walk;
use oxc_span::{GetSpan, Span};

use crate::edits::CONTINUES_STATEMENT;
use crate::eraser::Eraser;
use crate::trivia::find_next;

const NAMESPACE: &str = "a namespace with values is not supported: export its members from a module of their own, \
                         or write `const name = { ... }`";
const IMPORT_EQUALS: &str = "`import x = ...` is not supported: write `import x from \"module\"`, \
                             `import * as x from \"module\"` or `const x = a.b`";
const EXPORT_EQUALS: &str = "`export = ...` is not supported: write `export default ...`";

impl<'a> Eraser<'a> {
    pub(crate) fn statement(&mut self, it: &Statement<'a>) {
        if let Some(declaration) = it.as_declaration() {
            self.declaration(declaration, it.span(), false);
            return;
        }
        match it {
            // Only after the walk is it known which imported names are values.
            Statement::ImportDeclaration(_) => {}
            Statement::ExportDeclaration(export) => self.declaration(&export.declaration, export.span, true),
            Statement::ExportDefaultDeclaration(export) => self.export_default(export),
            Statement::ExportNamedDeclaration(export) => self.export_named(export),
            Statement::ExportFromDeclaration(export) => self.export_from(export),
            Statement::ExportAllDeclaration(export) if export.export_kind.is_type() => {
                self.erase_statement(export.span);
            }
            Statement::TSNamespaceExportDeclaration(export) => self.erase_statement(export.span),
            Statement::TSExportAssignment(export) => self.fail(export.span, EXPORT_EQUALS),
            _ => walk::walk_statement(self, it),
        }
    }

    /// Erases the statement at `span`, and keeps what is before and after it two statements.
    pub(crate) fn erase_statement(&mut self, span: Span) {
        let (start, end) = (span.start as usize, span.end as usize);
        if self.sole_statement {
            self.edits.replace(start, end, ";");
        } else {
            self.edits.blank(start, end);
            self.edits.guard(start, CONTINUES_STATEMENT);
        }
    }

    /// `statement` is the span of the declaration together with the `export` in front of it.
    fn declaration(&mut self, it: &Declaration<'a>, statement: Span, exported: bool) {
        match it {
            Declaration::TSEnumDeclaration(it) if !it.declare => self.enumeration(it, statement, exported),
            Declaration::TSNamespaceDeclaration(it) if !it.declare && has_values(&it.body) => {
                self.fail(it.span, NAMESPACE);
            }
            Declaration::TSImportEqualsDeclaration(it) if it.import_kind.is_value() => {
                self.fail(it.span, IMPORT_EQUALS);
            }
            _ if is_erased(it) => self.erase_statement(statement),
            _ => walk::walk_declaration(self, it),
        }
    }

    fn export_default(&mut self, it: &ExportDefaultDeclaration<'a>) {
        let erased = match &it.declaration {
            ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => true,
            ExportDefaultDeclarationKind::FunctionDeclaration(function) => function.body.is_none(),
            ExportDefaultDeclarationKind::Identifier(name) => self.type_only.contains(name.name.as_str()),
            _ => false,
        };
        if erased {
            self.erase_statement(it.span);
        } else {
            walk::walk_export_default_declaration(self, it);
        }
    }

    fn export_named(&mut self, it: &ExportNamedDeclaration<'a>) {
        if it.export_kind.is_type() {
            self.erase_statement(it.span);
            return;
        }
        for specifier in &it.specifiers {
            if self.is_type_export(specifier) {
                self.erase_list_item(specifier.span);
            } else {
                walk::walk_export_specifier(self, specifier);
            }
        }
    }

    fn export_from(&mut self, it: &ExportFromDeclaration<'a>) {
        let types = it.specifiers.iter().filter(|specifier| specifier.export_kind.is_type()).count();
        if it.export_kind.is_type() || (types > 0 && types == it.specifiers.len()) {
            self.erase_statement(it.span);
            return;
        }
        for specifier in it.specifiers.iter().filter(|specifier| specifier.export_kind.is_type()) {
            self.erase_list_item(specifier.span);
        }
    }

    fn is_type_export(&self, it: &ExportSpecifier<'a>) -> bool {
        let local_type = match &it.local {
            ModuleExportName::IdentifierReference(name) => self.type_only.contains(name.name.as_str()),
            _ => false,
        };
        local_type || it.export_kind.is_type()
    }

    /// Erases one item of a comma-separated list, with the comma after it.
    pub(crate) fn erase_list_item(&mut self, span: Span) {
        let end = span.end as usize;
        let end = find_next(self.source, end, ',').map_or(end, |comma| comma + 1);
        self.edits.blank(span.start as usize, end);
    }
}

/// Whether `it` leaves nothing behind at run time.
pub(crate) fn is_erased(it: &Declaration<'_>) -> bool {
    match it {
        Declaration::TSTypeAliasDeclaration(_)
        | Declaration::TSInterfaceDeclaration(_)
        | Declaration::TSExternalModuleDeclaration(_)
        | Declaration::TSGlobalDeclaration(_) => true,
        Declaration::VariableDeclaration(it) => it.declare,
        Declaration::FunctionDeclaration(it) => it.declare || it.body.is_none(),
        Declaration::ClassDeclaration(it) => it.declare,
        Declaration::TSEnumDeclaration(it) => it.declare,
        Declaration::TSNamespaceDeclaration(it) => it.declare || !has_values(&it.body),
        Declaration::TSImportEqualsDeclaration(it) => it.import_kind.is_type(),
    }
}

fn has_values(it: &TSNamespaceDeclarationBody<'_>) -> bool {
    match it {
        TSNamespaceDeclarationBody::TSNamespaceDeclaration(it) => has_values(&it.body),
        TSNamespaceDeclarationBody::TSModuleBlock(block) => {
            !block.directives.is_empty()
                || block.body.iter().any(|statement| match statement {
                    Statement::ExportDeclaration(export) => !is_erased(&export.declaration),
                    Statement::EmptyStatement(_) => false,
                    _ => statement.as_declaration().is_none_or(|declaration| !is_erased(declaration)),
                })
        }
    }
}
