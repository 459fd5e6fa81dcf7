//! Text encodings and base64 over `encoding_rs` and `base64`. <https://encoding.spec.whatwg.org/>

use std::sync::{Arc, Mutex, PoisonError};

use atoll_isolate::{JsError, Native, arguments, error::string, natives, v8};
use base64::Engine as _;
use encoding_rs::{CoderResult, Decoder, DecoderResult, Encoding};

use crate::context;

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "utf8Encode" => utf8_encode,
        "utf8EncodeInto" => utf8_encode_into,
        "encodingName" => encoding_name,
        "textDecode" => text_decode,
        "decoderNew" => decoder_new,
        "decoderDecode" => decoder_decode,
        "decoderFree" => decoder_free,
        "atob" => atob,
        "btoa" => btoa,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn utf8_encode<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let text = arguments::text(scope, &args, 0);
    rv.set(arguments::uint8_array(scope, text.as_bytes()));
}

/// Writes whole characters only. Gives [UTF-16 units read, bytes written].
fn utf8_encode_into<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let text = arguments::text(scope, &args, 0);
    let (mut read, mut written) = (0, 0);
    if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(args.get(1)) {
        let room = view.byte_length();
        for character in text.chars() {
            if written + character.len_utf8() > room {
                break;
            }
            written += character.len_utf8();
            read += character.len_utf16();
        }
        if written > 0 && !view.data().is_null() {
            // SAFETY: the view has at least `written` bytes; nothing else runs while the isolate's lock is held.
            unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), view.data().cast::<u8>(), written) };
        }
    }
    let result = [read, written].map(|n| v8::Number::new(scope, n as f64).into());
    rv.set(v8::Array::new_with_elements(scope, &result).into());
}

fn encoding_name<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let label = arguments::text(scope, &args, 0);
    if let Some(encoding) = Encoding::for_label_no_replacement(label.as_bytes()) {
        rv.set(string(scope, &encoding.name().to_ascii_lowercase()).into());
    }
}

fn encoding(scope: &mut v8::PinScope<'_, '_>, args: &Args<'_>) -> &'static Encoding {
    let name = arguments::text(scope, args, 0);
    Encoding::for_label_no_replacement(name.as_bytes()).unwrap_or(encoding_rs::UTF_8)
}

const MALFORMED: &str = "Failed to decode input: the data is not valid in this encoding.";

fn text_decode<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let encoding = encoding(scope, &args);
    let bytes = arguments::bytes(&args, 1).unwrap_or_default();
    let (fatal, ignore_bom) = (args.get(2).is_true(), args.get(3).is_true());
    let mut decoder = new_decoder(encoding, ignore_bom);
    match decode(&mut decoder, &bytes, fatal, true) {
        Some(text) => rv.set(string(scope, &text).into()),
        None => JsError::type_error(MALFORMED).throw(scope),
    }
}

fn new_decoder(encoding: &'static Encoding, ignore_bom: bool) -> Decoder {
    // "ignoreBOM" in the standard means that a byte order mark is text.
    if ignore_bom {
        encoding.new_decoder_without_bom_handling()
    } else {
        encoding.new_decoder_with_bom_removal()
    }
}

fn decode(decoder: &mut Decoder, mut bytes: &[u8], fatal: bool, last: bool) -> Option<String> {
    let room = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len());
    let mut text = String::with_capacity(room);
    loop {
        if fatal {
            let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, last);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Some(text),
                DecoderResult::Malformed(..) => return None,
                DecoderResult::OutputFull => text.reserve(bytes.len() + 64),
            }
        } else {
            let (result, read, _) = decoder.decode_to_string(bytes, &mut text, last);
            bytes = &bytes[read..];
            match result {
                CoderResult::InputEmpty => return Some(text),
                CoderResult::OutputFull => text.reserve(bytes.len() + 64),
            }
        }
    }
}

struct DecoderCell {
    encoding: &'static Encoding,
    ignore_bom: bool,
    decoder: Mutex<Decoder>,
    fatal: bool,
}

fn decoder_new<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let encoding = encoding(scope, &args);
    let (fatal, ignore_bom) = (args.get(1).is_true(), args.get(2).is_true());
    let decoder = Mutex::new(new_decoder(encoding, ignore_bom));
    let cell = DecoderCell { encoding, ignore_bom, decoder, fatal };
    // Decoders may be made at module top level and used in any context.
    rv.set_uint32(context::add_resource(scope, 0, Arc::new(cell)));
}

fn decoder_decode<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let bytes = arguments::bytes(&args, 1).unwrap_or_default();
    let last = args.get(2).is_true();
    let Some(cell) = context::resource_as::<DecoderCell>(scope, handle) else { return };
    let mut decoder = cell.decoder.lock().unwrap_or_else(PoisonError::into_inner);
    let text = decode(&mut decoder, &bytes, cell.fatal, last);
    if last {
        // One that has seen the end panics when it is given more.
        *decoder = new_decoder(cell.encoding, cell.ignore_bom);
    }
    match text {
        Some(text) => rv.set(string(scope, &text).into()),
        None => JsError::type_error(MALFORMED).throw(scope),
    }
}

fn decoder_free<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    drop(context::release(scope, handle));
}

/// Forgiving base64 decode of the Infra standard: white space is dropped, padding is optional.
fn atob<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let text = arguments::text(scope, &args, 0);
    let mut compact: Vec<u8> =
        text.bytes().filter(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')).collect();
    if compact.len().is_multiple_of(4) {
        for _ in 0..2 {
            if compact.last() == Some(&b'=') {
                compact.pop();
            }
        }
    }
    let config = base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    if let Ok(bytes) = engine.decode(&compact)
        && let Some(text) = v8::String::new_from_one_byte(scope, &bytes, v8::NewStringType::Normal)
    {
        rv.set(text.into());
    }
}

fn btoa<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let text = arguments::text(scope, &args, 0);
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    if let Some(bytes) = bytes {
        rv.set(string(scope, &base64::engine::general_purpose::STANDARD.encode(bytes)).into());
    }
}
