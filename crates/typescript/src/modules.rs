//! Erases imports of types, written as such or not, and finds the names that a module knows only as types.

use std::collections::HashSet;

use oxc_ast::ast::{Declaration, ImportDeclaration, ImportDeclarationSpecifier, Program, Statement};

use crate::eraser::Eraser;
use crate::statements::is_erased;
use crate::trivia::find_next;

impl<'a> Eraser<'a> {
    /// Erases the imports of names that are nowhere used as values. Runs after the walk has collected these.
    pub(crate) fn imports(&mut self, program: &Program<'a>) {
        for statement in &program.body {
            if let Statement::ImportDeclaration(import) = statement {
                self.import(import);
            }
        }
    }

    fn import(&mut self, it: &ImportDeclaration<'a>) {
        if it.import_kind.is_type() {
            self.erase_statement(it.span);
            return;
        }
        let Some(specifiers) = &it.specifiers else { return };
        // `import {} from "module"` is there for its side effects, like `import "module"`.
        if specifiers.is_empty() || it.phase.is_some() {
            return;
        }
        if specifiers.iter().all(|specifier| self.is_type_import(specifier)) {
            self.erase_statement(it.span);
            return;
        }
        let mut default_end = it.span.start;
        for specifier in specifiers {
            if let ImportDeclarationSpecifier::ImportDefaultSpecifier(default) = specifier {
                default_end = default.span.end;
            }
            if !self.is_type_import(specifier) {
                continue;
            }
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(it) => self.erase_list_item(it.span),
                ImportDeclarationSpecifier::ImportDefaultSpecifier(it) => self.erase_list_item(it.span),
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(it) => {
                    // A default import stays in front of it: `import a, * as b` becomes `import a`.
                    let start = find_next(self.source, default_end as usize, ',');
                    self.edits.blank(start.unwrap_or(it.span.start as usize), it.span.end as usize);
                }
            }
        }
    }

    fn is_type_import(&self, it: &ImportDeclarationSpecifier<'a>) -> bool {
        let (name, is_type) = match it {
            ImportDeclarationSpecifier::ImportSpecifier(it) => (it.local.name, it.import_kind.is_type()),
            ImportDeclarationSpecifier::ImportDefaultSpecifier(it) => (it.local.name, false),
            ImportDeclarationSpecifier::ImportNamespaceSpecifier(it) => (it.local.name, false),
        };
        is_type
            || !(self.values.contains(name.as_str())
                || self.jsx_values.iter().any(|used| used == name.as_str()))
    }
}

/// Names declared or imported at the top level of `program` as types and not also as values.
pub(crate) fn type_only_names<'a>(program: &Program<'a>) -> HashSet<&'a str> {
    let (mut types, mut values) = (HashSet::new(), HashSet::new());
    for statement in &program.body {
        match statement {
            Statement::ImportDeclaration(import) => imported_names(import, &mut types, &mut values),
            Statement::ExportDeclaration(export) => {
                declared_names(&export.declaration, &mut types, &mut values);
            }
            _ => {
                if let Some(declaration) = statement.as_declaration() {
                    declared_names(declaration, &mut types, &mut values);
                }
            }
        }
    }
    types.retain(|name| !values.contains(name));
    types
}

fn imported_names<'a>(
    it: &ImportDeclaration<'a>,
    types: &mut HashSet<&'a str>,
    values: &mut HashSet<&'a str>,
) {
    for specifier in it.specifiers.iter().flatten() {
        let (name, is_type) = match specifier {
            ImportDeclarationSpecifier::ImportSpecifier(it) => (it.local.name, it.import_kind.is_type()),
            ImportDeclarationSpecifier::ImportDefaultSpecifier(it) => (it.local.name, false),
            ImportDeclarationSpecifier::ImportNamespaceSpecifier(it) => (it.local.name, false),
        };
        let names = if is_type || it.import_kind.is_type() { &mut *types } else { &mut *values };
        names.insert(name.as_str());
    }
}

fn declared_names<'a>(it: &Declaration<'a>, types: &mut HashSet<&'a str>, values: &mut HashSet<&'a str>) {
    match it {
        Declaration::TSTypeAliasDeclaration(it) => {
            types.insert(it.id.name.as_str());
        }
        Declaration::TSInterfaceDeclaration(it) => {
            types.insert(it.id.name.as_str());
        }
        Declaration::TSNamespaceDeclaration(namespace) => {
            let names = if is_erased(it) { types } else { values };
            names.insert(namespace.id.name.as_str());
        }
        Declaration::VariableDeclaration(it) => {
            for declarator in &it.declarations {
                values.extend(declarator.id.get_binding_identifiers().iter().map(|name| name.name.as_str()));
            }
        }
        Declaration::FunctionDeclaration(it) => values.extend(it.id.iter().map(|name| name.name.as_str())),
        Declaration::ClassDeclaration(it) => values.extend(it.id.iter().map(|name| name.name.as_str())),
        Declaration::TSEnumDeclaration(it) => {
            values.insert(it.id.name.as_str());
        }
        Declaration::TSExternalModuleDeclaration(_)
        | Declaration::TSGlobalDeclaration(_)
        | Declaration::TSImportEqualsDeclaration(_) => {}
    }
}
