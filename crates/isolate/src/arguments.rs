//! Reading a native's arguments. Runtime JavaScript calls natives with the right types, so these readers are lenient:
//! they never throw, and give an empty value for what is not there.

/// The argument as text; empty unless it is a string.
pub fn text(scope: &v8::PinScope<'_, '_>, args: &v8::FunctionCallbackArguments<'_>, index: i32) -> String {
    match v8::Local::<v8::String>::try_from(args.get(index)) {
        Ok(string) => string.to_rust_string_lossy(scope),
        Err(_) => String::new(),
    }
}

/// The argument as text, or nothing where it is not a string.
pub fn optional_text(
    scope: &v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
    index: i32,
) -> Option<String> {
    v8::Local::<v8::String>::try_from(args.get(index)).ok().map(|s| s.to_rust_string_lossy(scope))
}

/// The argument as a small integer (a handle, an index); 0 where it is none.
pub fn integer(scope: &v8::PinScope<'_, '_>, args: &v8::FunctionCallbackArguments<'_>, index: i32) -> u32 {
    integer_of(scope, args.get(index))
}

/// The value as a small integer; 0 where it is none. Objects are not asked what number they are.
pub fn integer_of(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> u32 {
    if value.is_number() { value.uint32_value(scope).unwrap_or(0) } else { 0 }
}

/// The argument as a number; NaN where it is none.
pub fn number(_scope: &v8::PinScope<'_, '_>, args: &v8::FunctionCallbackArguments<'_>, index: i32) -> f64 {
    v8::Local::<v8::Number>::try_from(args.get(index)).map_or(f64::NAN, |number| number.value())
}

/// A copy of the argument's bytes, where it is an `ArrayBuffer` or a view of one.
pub fn bytes(args: &v8::FunctionCallbackArguments<'_>, index: i32) -> Option<Vec<u8>> {
    bytes_of(args.get(index))
}

/// A copy of the bytes of an `ArrayBuffer` or a view of one.
pub fn bytes_of(value: v8::Local<v8::Value>) -> Option<Vec<u8>> {
    if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(value) {
        let mut bytes = vec![0; view.byte_length()];
        let copied = view.copy_contents(&mut bytes);
        bytes.truncate(copied);
        return Some(bytes);
    }
    let buffer = v8::Local::<v8::ArrayBuffer>::try_from(value).ok()?;
    let length = buffer.byte_length();
    let mut bytes = Vec::with_capacity(length);
    if let Some(data) = buffer.data() {
        // SAFETY: V8 says that `length` bytes lie at `data`; nothing else runs while the isolate's lock is held.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), length) });
    }
    Some(bytes)
}

/// The argument as a list of strings, up to the first element that is none: an array can say that it is as long as no memory.
pub fn texts(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Vec<String> {
    let Ok(array) = v8::Local::<v8::Array>::try_from(value) else { return Vec::new() };
    (0..array.length())
        .map_while(|i| array.get_index(scope, i))
        .map_while(|item| v8::Local::<v8::String>::try_from(item).ok())
        .map(|item| item.to_rust_string_lossy(scope))
        .collect()
}

/// A list for a runtime script, without a prototype: a promise that is resolved with it finds no `then`, and nothing is found
/// where it has no element.
pub fn tuple<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    values: &[v8::Local<'s, v8::Value>],
) -> v8::Local<'s, v8::Value> {
    let list = v8::Array::new_with_elements(scope, values);
    let null = v8::null(scope);
    list.set_prototype(scope, null.into());
    list.into()
}

/// An `ArrayBuffer` with a copy of `bytes`, allocated by V8 inside its sandbox.
pub fn array_buffer<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &[u8]) -> v8::Local<'s, v8::ArrayBuffer> {
    if !crate::buffers::make_room(scope, bytes.len()) {
        return v8::ArrayBuffer::new(scope, 0);
    }
    let buffer = v8::ArrayBuffer::new(scope, bytes.len());
    if let Some(data) = buffer.data() {
        // SAFETY: the buffer was just made with this length and nobody else has seen it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), data.as_ptr().cast::<u8>(), bytes.len()) };
    }
    buffer
}

/// A `Uint8Array` with a copy of `bytes`.
pub fn uint8_array<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &[u8]) -> v8::Local<'s, v8::Value> {
    let buffer = array_buffer(scope, bytes);
    let length = buffer.byte_length();
    match v8::Uint8Array::new(scope, buffer, 0, length) {
        Some(array) => array.into(),
        None => v8::undefined(scope).into(),
    }
}
