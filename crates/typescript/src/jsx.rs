//! JSX to calls: `React.createElement("a", null, "text")`, or those of a `jsx-runtime` module. Like the erasures, the
//! calls stand on the lines where the elements stood.
//!
//! Comments of the file choose what is called, as in other compilers: `@jsx NAME`, `@jsxFrag NAME`,
//! `@jsxRuntime classic|automatic`, `@jsxImportSource MODULE` (which means `automatic` where nothing else is said).

use oxc_ast::ast::{
    Expression, JSXAttribute, JSXAttributeItem, JSXAttributeName, JSXAttributeValue, JSXChild, JSXElement,
    JSXElementName, JSXExpression, JSXExpressionContainer, JSXFragment, JSXMemberExpression,
    JSXMemberExpressionObject, JSXSpreadChild, Program,
};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};
use oxc_syntax::xml_entities::XML_ENTITIES;

use crate::edits::quote;
use crate::eraser::Eraser;
use crate::nesting::is_word;

/// What JSX elements become, where the comments of a file do not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jsx {
    /// The function that makes elements (`h`, `React.createElement`); used where `import_source` is `None`.
    pub factory: String,
    /// What `<>` stands for as an argument of `factory`.
    pub fragment: String,
    /// The module whose `/jsx-runtime` makes elements.
    pub import_source: Option<String>,
}

impl Default for Jsx {
    /// `React.createElement` and `React.Fragment`, as with wrangler.
    fn default() -> Self {
        Self {
            factory: "React.createElement".to_owned(),
            fragment: "React.Fragment".to_owned(),
            import_source: None,
        }
    }
}

/// Longest name of a function or module in a comment: it is repeated for each element.
const MAX_NAME: usize = 64;
/// Names are tried until one is not in the source.
const MAX_TRIES: usize = 64;

/// The functions that elements of one file become calls of.
pub(crate) enum Runtime {
    Classic { factory: String, fragment: String },
    Automatic { source: String, prefix: String, used: Used },
}

/// What of the runtime's module is used.
#[derive(Default)]
pub(crate) struct Used {
    any: bool,
    fragment: bool,
    keyed: bool,
}

impl Runtime {
    /// What the comments of `program` say, or else `defaults`.
    pub(crate) fn new(source: &str, program: &Program<'_>, defaults: &Jsx) -> Result<Self, (Span, String)> {
        let mut jsx = defaults.clone();
        let (mut automatic, mut named) = (None, None);
        for comment in &program.comments {
            let span = comment.content_span();
            let mut words = source[span.start as usize..span.end as usize].split_whitespace();
            while let Some(word) = words.next() {
                let Some(pragma) = word.trim_start_matches('*').strip_prefix("@jsx") else { continue };
                let value = match pragma {
                    "" | "Frag" | "Runtime" | "ImportSource" => words.next().unwrap_or_default(),
                    _ => continue,
                };
                let valid = match pragma {
                    "Runtime" => matches!(value, "classic" | "automatic"),
                    "ImportSource" => !value.is_empty() && value.len() <= MAX_NAME,
                    _ => is_path(value) && value.len() <= MAX_NAME,
                };
                if !valid {
                    let message =
                        format!("`@jsx{pragma}` needs a name of at most {MAX_NAME} characters behind it");
                    return Err((span, message));
                }
                match pragma {
                    "" => jsx.factory = value.to_owned(),
                    "Frag" => jsx.fragment = value.to_owned(),
                    "Runtime" => automatic = Some(value == "automatic"),
                    _ => named = Some(value.to_owned()),
                }
            }
        }
        if !automatic.unwrap_or(named.is_some() || jsx.import_source.is_some()) {
            return Ok(Self::Classic { factory: jsx.factory, fragment: jsx.fragment });
        }
        let module = named.or(jsx.import_source).unwrap_or_else(|| "react".to_owned());
        let mut prefixes =
            (0..MAX_TRIES).map(|n| if n == 0 { "_jsx".to_owned() } else { format!("_jsx{n}_") });
        let prefix = prefixes.find(|prefix| !source.contains(prefix.as_str()));
        let prefix = prefix.ok_or_else(|| (program.span, "the names `_jsx…` are all taken".to_owned()))?;
        Ok(Self::Automatic { source: module, prefix, used: Used::default() })
    }

    /// What is written behind the source: the import of what is used. Imports and functions count wherever they stand.
    pub(crate) fn epilogue(&self) -> Option<String> {
        let Self::Automatic { source, prefix, used } = self else { return None };
        if !used.any {
            return None;
        }
        let fragment = if used.fragment { format!(", Fragment as {prefix}Fragment") } else { String::new() };
        let module = quote(&format!("{source}/jsx-runtime"));
        let mut text = format!("\nimport {{ jsx as {prefix}, jsxs as {prefix}s{fragment} }} from {module};");
        if used.keyed {
            text.push_str(&format!(
                "\nfunction {prefix}Keyed(jsx, type, {{ key, ...props }}) {{ return jsx(type, props, key); }}"
            ));
        }
        Some(text + "\n")
    }
}

/// Whether `text` is an identifier, or several with dots between them.
fn is_path(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty()
            && part.bytes().all(is_word)
            && !part.starts_with(|first: char| first.is_ascii_digit())
    })
}

impl<'a> Eraser<'a> {
    pub(crate) fn element(&mut self, it: &JSXElement<'a>) {
        let opening = &it.opening_element;
        let tag = self.tag(&opening.name);
        let keyed = opening.attributes.iter().any(|attribute| match attribute {
            JSXAttributeItem::Attribute(it) => is_named(it, "key"),
            JSXAttributeItem::SpreadAttribute(_) => false,
        });
        let children = Children::of(self.source, &it.children);
        let head_end =
            opening.type_arguments.as_ref().map_or(opening.name.span().end, |types| types.span.end);
        let call = self.call(&tag, it.span, keyed, &children);
        let automatic = matches!(self.jsx, Some(Runtime::Automatic { .. }));
        let properties = automatic || !opening.attributes.is_empty();
        let start = if properties { format!("{call}{{ ") } else { call };
        self.write(opening.span.start, head_end, start);
        let mut end = head_end;
        for attribute in &opening.attributes {
            match attribute {
                JSXAttributeItem::Attribute(it) => self.attribute(it),
                JSXAttributeItem::SpreadAttribute(it) => {
                    self.write(it.span.start, it.argument.span().start, "...");
                    self.visit_expression(&it.argument);
                    self.write(it.argument.span().end, it.span.end, ",");
                }
            }
            end = attribute.span().end;
        }
        let closing = it.closing_element.as_ref().map(|closing| closing.span);
        let rest = match (automatic, properties) {
            (true, _) => children.opening(),
            (false, true) => "}",
            (false, false) => "null",
        };
        let last = if automatic { children.closing() } else { ")" };
        match closing {
            Some(closing) => {
                self.write(end, opening.span.end, rest);
                self.children(&it.children, automatic);
                self.write(closing.start, closing.end, last);
            }
            None => self.write(end, opening.span.end, format!("{rest}{last}")),
        }
    }

    pub(crate) fn fragment(&mut self, it: &JSXFragment<'a>) {
        let children = Children::of(self.source, &it.children);
        let (tag, automatic) = match &mut self.jsx {
            Some(Runtime::Automatic { prefix, used, .. }) => {
                used.fragment = true;
                (format!("{prefix}Fragment"), true)
            }
            Some(Runtime::Classic { fragment, .. }) => (fragment.clone(), false),
            None => return,
        };
        if !automatic {
            self.note_path(&tag);
        }
        let call = self.call(&tag, it.span, false, &children);
        let (rest, last) = if automatic {
            (format!("{{ {}", children.opening()), children.closing())
        } else {
            ("null".into(), ")")
        };
        self.write(it.opening_fragment.span.start, it.opening_fragment.span.end, format!("{call}{rest}"));
        self.children(&it.children, automatic);
        self.write(it.closing_fragment.span.start, it.closing_fragment.span.end, last);
    }

    /// The beginning of a call, up to its second argument.
    fn call(&mut self, tag: &str, element: Span, keyed: bool, children: &Children) -> String {
        // `return<a/>` must not become one word.
        let before = self.source[..element.start as usize].bytes().next_back();
        let space = if before.is_some_and(is_word) { " " } else { "" };
        match &mut self.jsx {
            Some(Runtime::Automatic { prefix, used, .. }) => {
                used.any = true;
                let several = if children.several() { "s" } else { "" };
                if keyed {
                    used.keyed = true;
                    format!("{space}{prefix}Keyed({prefix}{several}, {tag}, ")
                } else {
                    format!("{space}{prefix}{several}({tag}, ")
                }
            }
            Some(Runtime::Classic { factory, .. }) => {
                let factory = factory.clone();
                self.note_path(&factory);
                format!("{space}{factory}({tag}, ")
            }
            None => String::new(),
        }
    }

    /// A name that the calls use is used as a value.
    fn note_path(&mut self, path: &str) {
        let root = path.split('.').next().unwrap_or_default();
        if !self.jsx_values.iter().any(|known| known == root) {
            self.jsx_values.push(root.to_owned());
        }
    }

    fn tag(&mut self, it: &JSXElementName<'a>) -> String {
        match it {
            JSXElementName::Identifier(it) => quote(it.name.as_str()),
            JSXElementName::NamespacedName(it) => {
                quote(&format!("{}:{}", it.namespace.name.as_str(), it.name.name.as_str()))
            }
            JSXElementName::IdentifierReference(it) => {
                self.visit_identifier_reference(it);
                it.name.as_str().to_owned()
            }
            JSXElementName::MemberExpression(it) => self.member_tag(it),
            JSXElementName::ThisExpression(_) => "this".to_owned(),
        }
    }

    fn member_tag(&mut self, it: &JSXMemberExpression<'a>) -> String {
        let object = match &it.object {
            JSXMemberExpressionObject::IdentifierReference(it) => {
                self.visit_identifier_reference(it);
                it.name.as_str().to_owned()
            }
            JSXMemberExpressionObject::MemberExpression(it) => self.member_tag(it),
            JSXMemberExpressionObject::ThisExpression(_) => "this".to_owned(),
        };
        format!("{object}.{}", it.property.name.as_str())
    }

    fn attribute(&mut self, it: &JSXAttribute<'a>) {
        let name = match &it.name {
            JSXAttributeName::Identifier(it) => it.name.as_str().to_owned(),
            JSXAttributeName::NamespacedName(it) => {
                format!("{}:{}", it.namespace.name.as_str(), it.name.name.as_str())
            }
        };
        // In an object literal this name would set the prototype.
        let name = if name == "__proto__" { "[\"__proto__\"]".to_owned() } else { quote(&name) };
        let (start, end) = (it.span.start, it.span.end);
        match &it.value {
            None => self.write(start, end, format!("{name}: true,")),
            Some(JSXAttributeValue::StringLiteral(value)) => {
                let text = &self.source[value.span.start as usize + 1..value.span.end as usize - 1];
                let value = quote(&decode(text));
                self.write(start, end, format!("{name}: {value},"));
            }
            Some(JSXAttributeValue::ExpressionContainer(value)) => {
                let Some(inner) = self.container(value) else {
                    self.fail(
                        value.span,
                        "an attribute in JSX needs a value: write an expression between the braces",
                    );
                    return;
                };
                self.write(start, inner.start, format!("{name}: "));
                self.write(inner.end, end, ",");
            }
            Some(JSXAttributeValue::Element(value)) => {
                self.write(start, value.span.start, format!("{name}: "));
                self.element(value);
                self.write(value.span.end, end, ",");
            }
            Some(JSXAttributeValue::Fragment(value)) => {
                self.write(start, value.span.start, format!("{name}: "));
                self.fragment(value);
                self.write(value.span.end, end, ",");
            }
        }
    }

    /// Visits the expression between braces; gives where it is, None if there is none.
    fn container(&mut self, it: &JSXExpressionContainer<'a>) -> Option<Span> {
        let expression = match &it.expression {
            JSXExpression::EmptyExpression(_) => return None,
            other => other.as_expression()?,
        };
        self.visit_expression(expression);
        Some(expression.span())
    }

    fn children(&mut self, children: &[JSXChild<'a>], automatic: bool) {
        // The first of a list has no comma before it.
        let mut separator = if automatic { "" } else { ", " };
        for child in children {
            match child {
                JSXChild::Text(it) => {
                    match text_of(&self.source[it.span.start as usize..it.span.end as usize]) {
                        Some(text) => {
                            self.write(it.span.start, it.span.end, format!("{separator}{}", quote(&text)))
                        }
                        None => {
                            self.blank(it.span);
                            continue;
                        }
                    }
                }
                JSXChild::ExpressionContainer(it) => {
                    let Some(inner) = self.container(it) else {
                        self.blank(it.span);
                        continue;
                    };
                    self.write(it.span.start, inner.start, separator);
                    self.write(inner.end, it.span.end, "");
                }
                JSXChild::Spread(it) => self.spread_child(it, separator),
                JSXChild::Element(it) => {
                    self.write(it.span.start, it.span.start, separator);
                    self.element(it);
                }
                JSXChild::Fragment(it) => {
                    self.write(it.span.start, it.span.start, separator);
                    self.fragment(it);
                }
            }
            separator = ", ";
        }
    }

    fn spread_child(&mut self, it: &JSXSpreadChild<'a>, separator: &str) {
        let inner = it.expression.span();
        self.write(it.span.start, inner.start, format!("{separator}..."));
        self.visit_expression(&it.expression);
        self.write(inner.end, it.span.end, "");
    }

    /// Replaces what is between two offsets, within the bounds of what a source may become.
    fn write(&mut self, start: u32, end: u32, text: impl Into<String>) {
        let text = text.into();
        if !self.room.take(text.len()) {
            self.fail(Span::new(start, end), self.room.too_large("this element", self.source.len()));
            return;
        }
        self.edits.replace(start as usize, end as usize, text);
    }
}

fn is_named(it: &JSXAttribute<'_>, name: &str) -> bool {
    matches!(&it.name, JSXAttributeName::Identifier(it) if it.name.as_str() == name)
}

/// How many children an element has that are not just white space or empty braces.
enum Children {
    None,
    One,
    Several,
}

impl Children {
    fn of(source: &str, children: &[JSXChild<'_>]) -> Self {
        let mut count = 0;
        for child in children {
            count += match child {
                JSXChild::Text(it) => {
                    usize::from(text_of(&source[it.span.start as usize..it.span.end as usize]).is_some())
                }
                JSXChild::ExpressionContainer(it) => {
                    usize::from(!matches!(it.expression, JSXExpression::EmptyExpression(_)))
                }
                JSXChild::Spread(_) => 2,
                JSXChild::Element(_) | JSXChild::Fragment(_) => 1,
            };
        }
        match count {
            0 => Self::None,
            1 => Self::One,
            _ => Self::Several,
        }
    }

    fn several(&self) -> bool {
        matches!(self, Self::Several)
    }

    /// What stands between the other properties and the first child.
    fn opening(&self) -> &'static str {
        match self {
            Self::None => "",
            Self::One => "children: ",
            Self::Several => "children: [",
        }
    }

    /// What stands behind the last child.
    fn closing(&self) -> &'static str {
        match self {
            Self::None | Self::One => " })",
            Self::Several => "] })",
        }
    }
}

/// Text between elements: lines are trimmed where they meet other lines, and joined with a space; empty ones go.
fn text_of(source: &str) -> Option<String> {
    let mut text = String::new();
    let mut lines = source.split(['\n', '\r']).enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let line = if index > 0 { line.trim_start_matches([' ', '\t']) } else { line };
        let line = if lines.peek().is_some() { line.trim_end_matches([' ', '\t']) } else { line };
        if line.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&decode(line));
    }
    (!text.is_empty()).then_some(text)
}

/// Longest entity: `&thetasym;`, `&#x10ffff;`.
const MAX_ENTITY: usize = 12;

/// `text` with its entities (`&amp;`, `&#38;`, `&#x26;`) as characters.
fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        decoded.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.bytes().take(MAX_ENTITY).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((character, end)) => {
                decoded.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded + rest
}

fn entity(name: &str) -> Option<char> {
    match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
        None => XML_ENTITIES.get(name).copied(),
    }
}

/// Operators that follow each other on the left are visited without recursion for each.
pub(crate) fn spine<'a, 'e>(it: &'e Expression<'a>) -> (&'e Expression<'a>, Vec<&'e Expression<'a>>) {
    let (mut first, mut right) = (it, Vec::new());
    loop {
        match first {
            Expression::BinaryExpression(it) => {
                right.push(&it.right);
                first = &it.left;
            }
            Expression::LogicalExpression(it) => {
                right.push(&it.right);
                first = &it.left;
            }
            _ => return (first, right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, text_of};

    #[test]
    fn entities_become_characters() {
        assert_eq!(decode("a &amp; &#38;&#x26; &nbsp;&copy;"), "a & && \u{a0}\u{a9}");
        assert_eq!(decode("a & b &nosuch; &#xd800; &"), "a & b &nosuch; &#xd800; &");
        assert_eq!(decode("&ümlaut; &"), "&ümlaut; &");
    }

    #[test]
    fn lines_of_text_are_joined() {
        assert_eq!(text_of(" a "), Some(" a ".to_owned()));
        assert_eq!(text_of("\n  a\n\t b \r\n\r\n"), Some("a b".to_owned()));
        assert_eq!(text_of(" \n "), None);
        assert_eq!(text_of("  "), Some("  ".to_owned()));
        assert_eq!(text_of("\n&#32;\n"), Some(" ".to_owned()));
    }
}
