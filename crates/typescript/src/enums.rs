//! Rewrites `enum` in place: the declaration becomes a `var` with the same members on its first line.
//!
//! Member values are computed here, as `tsc` does for constant members. A member whose value depends on
//! anything but literals and members of enums before it is refused. `const enum` becomes an object like any
//! other enum.

use std::collections::HashMap;

use oxc_ast::ast::{
    BinaryExpression, BinaryOperator, Expression, TSEnumDeclaration, TSEnumMember, TSEnumMemberName,
    TemplateLiteral, UnaryExpression, UnaryOperator,
};
use oxc_span::{GetSpan, Span};

use crate::eraser::Eraser;

pub(crate) type EnumMembers = HashMap<String, Constant>;

/// The value of an enum member.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Constant {
    Number(f64),
    Text(String),
}

/// What the initialiser of a member can refer to.
struct Scope<'s, 'a> {
    /// The enum of the member.
    name: &'s str,
    /// Members of that enum so far.
    members: &'s EnumMembers,
    /// Members of other enums, innermost statement list last.
    outer: &'s [HashMap<&'a str, EnumMembers>],
}

impl<'a> Eraser<'a> {
    /// Replaces the enum `it`, whose statement (with `export`, if `exported`) is at `statement`.
    pub(crate) fn enumeration(&mut self, it: &TSEnumDeclaration<'a>, statement: Span, exported: bool) {
        let name = it.id.name.as_str();
        // A second enum of that name in the same statement list adds members to the first.
        let earlier = self.enums.last().and_then(|enums| enums.get(name));
        let merges = earlier.is_some();
        let mut members = earlier.cloned().unwrap_or_default();
        let mut body = String::new();
        let mut next = Some(0.0);
        for member in &it.body.members {
            let (key, value) = match self.enum_member(member, next, name, &members) {
                Ok(member) => member,
                Err((span, message)) => {
                    self.fail(span, message);
                    return;
                }
            };
            next = match &value {
                Constant::Number(number) => Some(number + 1.0),
                Constant::Text(_) => None,
            };
            body.push_str(&assignment(name, &key, &value));
            members.insert(key, value);
        }
        let export = if exported && !merges { "export " } else { "" };
        let initial = if merges { name } else { "{}" };
        let text = format!("{export}var {name} = (({name}) => {{{body} return {name}; }})({initial});");
        self.edits.replace(statement.start as usize, statement.end as usize, text);
        if let Some(enums) = self.enums.last_mut() {
            enums.insert(name, members);
        }
    }

    fn enum_member(
        &self,
        it: &TSEnumMember<'a>,
        next: Option<f64>,
        name: &str,
        members: &EnumMembers,
    ) -> Result<(String, Constant), (Span, String)> {
        let key = member_name(&it.id)
            .ok_or_else(|| (it.span, "the name of an enum member must be well-formed Unicode".to_owned()))?;
        let value = match (&it.initializer, next) {
            (None, Some(number)) => Constant::Number(number),
            (None, None) => {
                return Err((
                    it.span,
                    format!("enum member `{key}` needs a value, as the one before it is a string"),
                ));
            }
            (Some(initializer), _) => {
                let scope = Scope { name, members, outer: &self.enums };
                evaluate(initializer, &scope).ok_or_else(|| {
                    let message = format!(
                        "the value of enum member `{key}` is not a constant: use literals and members of enums \
                         before it, or write `const {name} = {{ ... }}` instead of an enum"
                    );
                    (initializer.span(), message)
                })?
            }
        };
        Ok((key, value))
    }
}

fn member_name(it: &TSEnumMemberName<'_>) -> Option<String> {
    match it {
        TSEnumMemberName::Identifier(name) => Some(name.name.as_str().to_owned()),
        TSEnumMemberName::String(text) | TSEnumMemberName::ComputedString(text) => {
            (!text.lone_surrogates).then(|| text.value.as_str().to_owned())
        }
        TSEnumMemberName::ComputedTemplateString(template) => template_text(template, |_| None),
    }
}

fn assignment(name: &str, key: &str, value: &Constant) -> String {
    let key = quote(key);
    match value {
        Constant::Number(number) => {
            let number = number_literal(*number);
            format!(" {name}[{name}[{key}] = {number}] = {key};")
        }
        Constant::Text(text) => format!(" {name}[{key}] = {};", quote(text)),
    }
}

fn number_literal(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // Decimal without exponent, or NaN: both mean the same in ECMAScript.
    number.to_string()
}

/// `text` as an ECMAScript string literal on one line.
fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                literal.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

fn evaluate(it: &Expression<'_>, scope: &Scope<'_, '_>) -> Option<Constant> {
    match it {
        Expression::NumericLiteral(it) => Some(Constant::Number(it.value)),
        Expression::StringLiteral(it) => {
            (!it.lone_surrogates).then(|| Constant::Text(it.value.as_str().to_owned()))
        }
        Expression::TemplateLiteral(it) => {
            template_text(it, |part| to_text(&evaluate(part, scope)?)).map(Constant::Text)
        }
        Expression::ParenthesizedExpression(it) => evaluate(&it.expression, scope),
        Expression::TSAsExpression(it) => evaluate(&it.expression, scope),
        Expression::TSSatisfiesExpression(it) => evaluate(&it.expression, scope),
        Expression::TSTypeAssertion(it) => evaluate(&it.expression, scope),
        Expression::TSNonNullExpression(it) => evaluate(&it.expression, scope),
        Expression::UnaryExpression(it) => unary(it, scope),
        Expression::BinaryExpression(it) => binary(it, scope),
        Expression::Identifier(it) => match it.name.as_str() {
            name if scope.members.contains_key(name) => scope.members.get(name).cloned(),
            "NaN" => Some(Constant::Number(f64::NAN)),
            "Infinity" => Some(Constant::Number(f64::INFINITY)),
            _ => None,
        },
        Expression::StaticMemberExpression(it) => scope.member(&it.object, it.property.name.as_str()),
        Expression::ComputedMemberExpression(it) => match &it.expression {
            Expression::StringLiteral(key) => scope.member(&it.object, key.value.as_str()),
            _ => None,
        },
        _ => None,
    }
}

impl Scope<'_, '_> {
    /// The value of `object.key`, if `object` names an enum.
    fn member(&self, object: &Expression<'_>, key: &str) -> Option<Constant> {
        let Expression::Identifier(object) = object else { return None };
        let name = object.name.as_str();
        if name == self.name {
            return self.members.get(key).cloned();
        }
        self.outer.iter().rev().find_map(|enums| enums.get(name))?.get(key).cloned()
    }
}

fn unary(it: &UnaryExpression<'_>, scope: &Scope<'_, '_>) -> Option<Constant> {
    let Constant::Number(number) = evaluate(&it.argument, scope)? else { return None };
    match it.operator {
        UnaryOperator::UnaryPlus => Some(Constant::Number(number)),
        UnaryOperator::UnaryNegation => Some(Constant::Number(-number)),
        UnaryOperator::BitwiseNot => Some(Constant::Number(f64::from(!to_int32(number)))),
        _ => None,
    }
}

fn binary(it: &BinaryExpression<'_>, scope: &Scope<'_, '_>) -> Option<Constant> {
    let (left, right) = match (evaluate(&it.left, scope)?, evaluate(&it.right, scope)?) {
        (Constant::Number(left), Constant::Number(right)) => (left, right),
        (left, right) if it.operator == BinaryOperator::Addition => {
            return Some(Constant::Text(to_text(&left)? + &to_text(&right)?));
        }
        _ => return None,
    };
    let (left_bits, right_bits) = (to_int32(left), to_int32(right));
    // Shifts use the low five bits of their right operand.
    let shift = right_bits.cast_unsigned() & 31;
    Some(Constant::Number(match it.operator {
        BinaryOperator::Addition => left + right,
        BinaryOperator::Subtraction => left - right,
        BinaryOperator::Multiplication => left * right,
        BinaryOperator::Division => left / right,
        BinaryOperator::Remainder => left % right,
        BinaryOperator::Exponential => power(left, right),
        BinaryOperator::ShiftLeft => f64::from(left_bits << shift),
        BinaryOperator::ShiftRight => f64::from(left_bits >> shift),
        BinaryOperator::ShiftRightZeroFill => f64::from(left_bits.cast_unsigned() >> shift),
        BinaryOperator::BitwiseOR => f64::from(left_bits | right_bits),
        BinaryOperator::BitwiseXOR => f64::from(left_bits ^ right_bits),
        BinaryOperator::BitwiseAnd => f64::from(left_bits & right_bits),
        _ => return None,
    }))
}

/// `base ** exponent` of ECMAScript, which differs from IEEE 754's where the base is 1 or -1.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) {
        f64::NAN
    } else {
        base.powf(exponent)
    }
}

/// ToInt32 of ECMAScript.
fn to_int32(number: f64) -> i32 {
    if !number.is_finite() {
        return 0;
    }
    // The remainder is a whole number below 2^32, so both conversions are exact.
    (number.trunc().rem_euclid(4_294_967_296.0) as u32).cast_signed()
}

/// ToString of ECMAScript, for the numbers that it writes without an exponent.
fn to_text(it: &Constant) -> Option<String> {
    match it {
        Constant::Text(text) => Some(text.clone()),
        Constant::Number(0.0) => Some("0".to_owned()),
        Constant::Number(number) if (1e-6..1e21).contains(&number.abs()) => Some(number.to_string()),
        Constant::Number(_) => None,
    }
}

/// The text of a template whose substitutions have the texts that `substitute` gives.
fn template_text<'a>(
    it: &TemplateLiteral<'a>,
    substitute: impl Fn(&Expression<'a>) -> Option<String>,
) -> Option<String> {
    let mut text = String::new();
    for (index, quasi) in it.quasis.iter().enumerate() {
        if quasi.lone_surrogates {
            return None;
        }
        text.push_str(quasi.value.cooked.as_ref()?.as_str());
        if let Some(expression) = it.expressions.get(index) {
            text.push_str(&substitute(expression)?);
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{Constant, number_literal, power, quote, to_int32, to_text};

    #[test]
    fn to_int32_wraps_like_ecmascript() {
        assert_eq!(to_int32(-1.0), -1);
        assert_eq!(to_int32(2_147_483_648.0), i32::MIN);
        assert_eq!(to_int32(4_294_967_297.9), 1);
        assert_eq!(to_int32(-4_294_967_297.9), -1);
        assert_eq!(to_int32(f64::NAN), 0);
        assert_eq!(to_int32(f64::INFINITY), 0);
    }

    #[test]
    fn powers_of_one_to_infinity_are_not_a_number() {
        assert!(power(1.0, f64::INFINITY).is_nan());
        assert!(power(1.0, f64::NAN).is_nan());
        assert_eq!(power(2.0, 10.0), 1024.0);
    }

    #[test]
    fn literals_stay_on_one_line() {
        assert_eq!(quote("a\"\\\n\u{2028}ü"), "\"a\\\"\\\\\\u000a\\u2028ü\"");
        assert_eq!(number_literal(-0.0), "-0");
        assert_eq!(number_literal(1.5), "1.5");
        assert_eq!(number_literal(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(number_literal(f64::NAN), "NaN");
    }

    #[test]
    fn numbers_with_exponents_have_no_text() {
        assert_eq!(to_text(&Constant::Number(-0.0)), Some("0".to_owned()));
        assert_eq!(to_text(&Constant::Number(-12.5)), Some("-12.5".to_owned()));
        assert_eq!(to_text(&Constant::Number(1e21)), None);
        assert_eq!(to_text(&Constant::Number(f64::NAN)), None);
    }
}
