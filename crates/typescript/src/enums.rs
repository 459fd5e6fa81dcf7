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

use crate::edits::quote;
use crate::eraser::Eraser;
use crate::limits::Room;

/// A longer name of an enum is not repeated for each of its members.
const MAX_REPEATED_NAME: usize = 32;

type EnumMembers = HashMap<String, Constant>;

/// The value of an enum member.
#[derive(Clone, PartialEq, Debug)]
enum Constant {
    Number(f64),
    Text(String),
}

/// The enums of the statement lists that are open.
#[derive(Default)]
pub(crate) struct Enums<'a> {
    /// For each name: the enums of that name with the depth of their statement lists, innermost last.
    by_name: HashMap<&'a str, Vec<(usize, EnumMembers)>>,
    /// Names declared in each open statement list.
    declared: Vec<Vec<&'a str>>,
}

/// Why a value cannot be computed.
enum Refusal {
    NotConstant,
    TooLarge,
}

impl<'a> Enums<'a> {
    pub(crate) fn open_list(&mut self) {
        self.declared.push(Vec::new());
    }

    pub(crate) fn close_list(&mut self) {
        for name in self.declared.pop().unwrap_or_default() {
            if let Some(enums) = self.by_name.get_mut(name) {
                enums.pop();
            }
        }
    }

    /// Takes the members out of the enum `name` that the innermost statement list already has.
    fn take(&mut self, name: &str) -> Option<EnumMembers> {
        let depth = self.declared.len();
        let enums = self.by_name.get_mut(name)?;
        enums.pop_if(|(declared, _)| *declared == depth).map(|(_, members)| members)
    }

    fn put(&mut self, name: &'a str, members: EnumMembers, merged: bool) {
        self.by_name.entry(name).or_default().push((self.declared.len(), members));
        if let Some(list) = self.declared.last_mut().filter(|_| !merged) {
            list.push(name);
        }
    }

    fn find(&self, name: &str) -> Option<&EnumMembers> {
        self.by_name.get(name)?.last().map(|(_, members)| members)
    }
}

/// What the initialiser of a member can refer to.
struct Scope<'s, 'a> {
    /// The enum of the member.
    name: &'s str,
    /// Members of that enum so far.
    members: &'s EnumMembers,
    outer: &'s Enums<'a>,
    room: &'s Room,
}

impl<'a> Eraser<'a> {
    /// Replaces the enum `it`, whose statement (with `export`, if `exported`) is at `statement`.
    pub(crate) fn enumeration(&mut self, it: &TSEnumDeclaration<'a>, statement: Span, exported: bool) {
        let name = it.id.name.as_str();
        // A second enum of that name in the same statement list adds members to the first.
        let earlier = self.enums.take(name);
        let merges = earlier.is_some();
        let mut members = earlier.unwrap_or_default();
        let local = if name.len() > MAX_REPEATED_NAME { "e" } else { name };
        let mut body = String::new();
        let mut next = Some(0.0);
        for member in &it.body.members {
            let before = body.len();
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
            assign(&mut body, local, &key, &value);
            if !self.room.take(body.len() - before) {
                self.fail(member.span, self.too_large(&key));
                return;
            }
            members.insert(key, value);
        }
        let export = if exported && !merges { "export " } else { "" };
        let initial = if merges { name } else { "{}" };
        let text = format!("{export}var {name} = (({local}) => {{{body} return {local}; }})({initial});");
        self.edits.replace(statement.start as usize, statement.end as usize, text);
        self.enums.put(name, members, merges);
    }

    fn too_large(&self, key: &str) -> String {
        let key: String = key.chars().take(100).collect();
        self.room.too_large(&format!("enum member `{key}`"), self.source.len())
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
                let scope = Scope { name, members, outer: &self.enums, room: &self.room };
                evaluate(initializer, &scope).map_err(|refusal| {
                    let message = match refusal {
                        Refusal::TooLarge => self.too_large(&key),
                        Refusal::NotConstant => format!(
                            "the value of enum member `{key}` is not a constant: use literals and members of enums \
                             before it, or write `const {name} = {{ ... }}` instead of an enum"
                        ),
                    };
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
        TSEnumMemberName::ComputedTemplateString(template) => {
            template_text(template, |_| Err(Refusal::NotConstant)).ok()
        }
    }
}

/// Writes the statement that gives the object `name` the member.
fn assign(body: &mut String, name: &str, key: &str, value: &Constant) {
    let key = quote(key);
    match value {
        Constant::Number(number) => {
            let number = number_literal(*number);
            body.push_str(&format!(" {name}[{name}[{key}] = {number}] = {key};"));
        }
        Constant::Text(text) => body.push_str(&format!(" {name}[{key}] = {};", quote(text))),
    }
}

fn number_literal(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // Decimal without exponent, or NaN: both mean the same in ECMAScript.
    number.to_string()
}

type Evaluated = Result<Constant, Refusal>;

fn evaluate(it: &Expression<'_>, scope: &Scope<'_, '_>) -> Evaluated {
    match it {
        Expression::NumericLiteral(it) => Ok(Constant::Number(it.value)),
        Expression::StringLiteral(it) if !it.lone_surrogates => scope.text(it.value.as_str()),
        Expression::TemplateLiteral(it) => {
            let text = template_text(it, |part| scope.to_text(evaluate(part, scope)?))?;
            scope.room(text.len())?;
            Ok(Constant::Text(text))
        }
        Expression::ParenthesizedExpression(it) => evaluate(&it.expression, scope),
        Expression::TSAsExpression(it) => evaluate(&it.expression, scope),
        Expression::TSSatisfiesExpression(it) => evaluate(&it.expression, scope),
        Expression::TSTypeAssertion(it) => evaluate(&it.expression, scope),
        Expression::TSNonNullExpression(it) => evaluate(&it.expression, scope),
        Expression::UnaryExpression(it) => unary(it, scope),
        Expression::BinaryExpression(it) => binaries(it, scope),
        Expression::Identifier(it) => match (scope.members.get(it.name.as_str()), it.name.as_str()) {
            (Some(value), _) => scope.copy(value),
            (None, "NaN") => Ok(Constant::Number(f64::NAN)),
            (None, "Infinity") => Ok(Constant::Number(f64::INFINITY)),
            _ => Err(Refusal::NotConstant),
        },
        Expression::StaticMemberExpression(it) => scope.member(&it.object, it.property.name.as_str()),
        Expression::ComputedMemberExpression(it) => match &it.expression {
            Expression::StringLiteral(key) => scope.member(&it.object, key.value.as_str()),
            _ => Err(Refusal::NotConstant),
        },
        _ => Err(Refusal::NotConstant),
    }
}

impl Scope<'_, '_> {
    fn room(&self, bytes: usize) -> Result<(), Refusal> {
        if self.room.take(bytes) { Ok(()) } else { Err(Refusal::TooLarge) }
    }

    fn text(&self, text: &str) -> Evaluated {
        self.room(text.len())?;
        Ok(Constant::Text(text.to_owned()))
    }

    fn copy(&self, value: &Constant) -> Evaluated {
        match value {
            Constant::Number(number) => Ok(Constant::Number(*number)),
            Constant::Text(text) => self.text(text),
        }
    }

    /// The value of `object.key`, if `object` names an enum.
    fn member(&self, object: &Expression<'_>, key: &str) -> Evaluated {
        let Expression::Identifier(object) = object else { return Err(Refusal::NotConstant) };
        let name = object.name.as_str();
        let members = if name == self.name { Some(self.members) } else { self.outer.find(name) };
        self.copy(members.and_then(|members| members.get(key)).ok_or(Refusal::NotConstant)?)
    }

    /// ToString of ECMAScript, for the numbers that it writes without an exponent.
    fn to_text(&self, value: Constant) -> Result<String, Refusal> {
        match value {
            Constant::Text(text) => Ok(text),
            Constant::Number(number) => number_text(number).ok_or(Refusal::NotConstant),
        }
    }
}

fn unary(it: &UnaryExpression<'_>, scope: &Scope<'_, '_>) -> Evaluated {
    let Constant::Number(number) = evaluate(&it.argument, scope)? else { return Err(Refusal::NotConstant) };
    match it.operator {
        UnaryOperator::UnaryPlus => Ok(Constant::Number(number)),
        UnaryOperator::UnaryNegation => Ok(Constant::Number(-number)),
        UnaryOperator::BitwiseNot => Ok(Constant::Number(f64::from(!to_int32(number)))),
        _ => Err(Refusal::NotConstant),
    }
}

/// Operators that follow each other on the left, as in `a + b + c`, without recursion for each.
fn binaries(it: &BinaryExpression<'_>, scope: &Scope<'_, '_>) -> Evaluated {
    let mut chain = vec![it];
    let mut first = &it.left;
    while let Expression::BinaryExpression(it) = first {
        chain.push(it);
        first = &it.left;
    }
    let mut value = evaluate(first, scope)?;
    while let Some(it) = chain.pop() {
        value = binary(value, it.operator, evaluate(&it.right, scope)?, scope)?;
    }
    Ok(value)
}

fn binary(left: Constant, operator: BinaryOperator, right: Constant, scope: &Scope<'_, '_>) -> Evaluated {
    let (left, right) = match (left, right) {
        (Constant::Number(left), Constant::Number(right)) => (left, right),
        (left, right) if operator == BinaryOperator::Addition => {
            let (mut left, right) = (scope.to_text(left)?, scope.to_text(right)?);
            scope.room(right.len())?;
            left.push_str(&right);
            return Ok(Constant::Text(left));
        }
        _ => return Err(Refusal::NotConstant),
    };
    let (left_bits, right_bits) = (to_int32(left), to_int32(right));
    // Shifts use the low five bits of their right operand.
    let shift = right_bits.cast_unsigned() & 31;
    Ok(Constant::Number(match operator {
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
        _ => return Err(Refusal::NotConstant),
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

/// A number as ECMAScript writes it; None where that has an exponent.
fn number_text(number: f64) -> Option<String> {
    match number {
        0.0 => Some("0".to_owned()),
        _ if (1e-6..1e21).contains(&number.abs()) => Some(number.to_string()),
        _ => None,
    }
}

/// The text of a template whose substitutions have the texts that `substitute` gives.
fn template_text<'a>(
    it: &TemplateLiteral<'a>,
    substitute: impl Fn(&Expression<'a>) -> Result<String, Refusal>,
) -> Result<String, Refusal> {
    let mut text = String::new();
    for (index, quasi) in it.quasis.iter().enumerate() {
        let cooked = quasi.value.cooked.as_ref().filter(|_| !quasi.lone_surrogates);
        text.push_str(cooked.ok_or(Refusal::NotConstant)?.as_str());
        if let Some(expression) = it.expressions.get(index) {
            text.push_str(&substitute(expression)?);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{number_literal, number_text, power, to_int32};

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
    fn numbers_are_written_without_exponents() {
        assert_eq!(number_literal(-0.0), "-0");
        assert_eq!(number_literal(1.5), "1.5");
        assert_eq!(number_literal(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(number_literal(f64::NAN), "NaN");
    }

    #[test]
    fn numbers_with_exponents_have_no_text() {
        assert_eq!(number_text(-0.0), Some("0".to_owned()));
        assert_eq!(number_text(-12.5), Some("-12.5".to_owned()));
        assert_eq!(number_text(1e21), None);
        assert_eq!(number_text(f64::NAN), None);
    }
}
