//! Primitives and short texts, which cross without a serialiser.

/// Longest string that is carried as a primitive, in UTF-16 units.
const MAX_TEXT: usize = 4096;

#[derive(Clone)]
pub(super) enum Primitive {
    Undefined,
    Null,
    Boolean(bool),
    Number(f64),
    /// Latin-1.
    Narrow(Box<[u8]>),
    /// UTF-16, lone surrogates included.
    Wide(Box<[u16]>),
}

impl Primitive {
    pub(super) fn of(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Option<Self> {
        if value.is_undefined() {
            return Some(Self::Undefined);
        }
        if value.is_null() {
            return Some(Self::Null);
        }
        if value.is_boolean() {
            return Some(Self::Boolean(value.is_true()));
        }
        if let Ok(number) = v8::Local::<v8::Number>::try_from(value) {
            return Some(Self::Number(number.value()));
        }
        let text = v8::Local::<v8::String>::try_from(value).ok().filter(|text| text.length() <= MAX_TEXT)?;
        if text.is_onebyte() {
            let mut units = vec![0; text.length()];
            text.write_one_byte_v2(scope, 0, &mut units, v8::WriteFlags::empty());
            return Some(Self::Narrow(units.into()));
        }
        let mut units = vec![0; text.length()];
        text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
        Some(Self::Wide(units.into()))
    }

    pub(super) fn to_value<'s>(&self, scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Value>> {
        Some(match self {
            Self::Undefined => v8::undefined(scope).into(),
            Self::Null => v8::null(scope).into(),
            Self::Boolean(value) => v8::Boolean::new(scope, *value).into(),
            Self::Number(value) => v8::Number::new(scope, *value).into(),
            Self::Narrow(units) => {
                v8::String::new_from_one_byte(scope, units, v8::NewStringType::Normal)?.into()
            }
            Self::Wide(units) => {
                v8::String::new_from_two_byte(scope, units, v8::NewStringType::Normal)?.into()
            }
        })
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Undefined | Self::Null | Self::Boolean(_) => 1,
            Self::Number(_) => 9,
            Self::Narrow(units) => units.len() + 2,
            Self::Wide(units) => 2 * units.len() + 2,
        }
    }
}
