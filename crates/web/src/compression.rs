//! `CompressionStream` and `DecompressionStream` over `flate2`. <https://compression.spec.whatwg.org/>

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use atoll_isolate::buffers::{self, Charge};
use atoll_isolate::{JsError, Native, arguments, natives, v8};
use flate2::Compression;
use flate2::write::{DeflateDecoder, DeflateEncoder, GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder};

use crate::context;

pub(crate) fn natives() -> Vec<Native> {
    natives!["zlibNew" => zlib_new, "zlibPush" => zlib_push, "zlibFree" => zlib_free]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

/// A chunk that inflates to more than this is refused: a few kilobytes can hold gigabytes.
const MAX_OUTPUT: usize = 64 << 20;

enum Codec {
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
    Deflate(DeflateEncoder<Vec<u8>>),
    Gunzip(GzDecoder<Bounded>),
    Inflate(ZlibDecoder<Bounded>),
    InflateRaw(DeflateDecoder<Bounded>),
}

/// Output that refuses to grow without bound within one chunk.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(std::io::Error::other("one chunk inflates to more than 64 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Codec {
    fn new(format: &str, decompress: bool) -> Option<Self> {
        let level = Compression::default();
        Some(match (format, decompress) {
            ("gzip", false) => Self::Gzip(GzEncoder::new(Vec::new(), level)),
            ("deflate", false) => Self::Zlib(ZlibEncoder::new(Vec::new(), level)),
            ("deflate-raw", false) => Self::Deflate(DeflateEncoder::new(Vec::new(), level)),
            ("gzip", true) => Self::Gunzip(GzDecoder::new(Bounded::default())),
            ("deflate", true) => Self::Inflate(ZlibDecoder::new(Bounded::default())),
            ("deflate-raw", true) => Self::InflateRaw(DeflateDecoder::new(Bounded::default())),
            _ => return None,
        })
    }

    fn push(&mut self, bytes: &[u8], finish: bool) -> std::io::Result<Vec<u8>> {
        macro_rules! drive {
            ($codec:expr, $take:expr) => {{
                $codec.write_all(bytes)?;
                if finish {
                    $codec.try_finish()?;
                }
                $take($codec.get_mut())
            }};
        }
        let plain = |out: &mut Vec<u8>| Ok(std::mem::take(out));
        let bounded = |out: &mut Bounded| Ok(std::mem::take(&mut out.0));
        match self {
            Self::Gzip(codec) => drive!(codec, plain),
            Self::Zlib(codec) => drive!(codec, plain),
            Self::Deflate(codec) => drive!(codec, plain),
            Self::Gunzip(codec) => drive!(codec, bounded),
            Self::Inflate(codec) => drive!(codec, bounded),
            Self::InflateRaw(codec) => drive!(codec, bounded),
        }
    }
}

/// The codec is gone once it has been finished or has failed.
struct CodecCell(Mutex<Option<Codec>>, #[expect(dead_code, reason = "counts")] Charge);

/// What the state of a codec takes, about.
const STATE_BYTES: usize = 320 << 10;

fn zlib_new<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let format = arguments::text(scope, &args, 0);
    match Codec::new(&format, args.get(1).is_true()) {
        Some(codec) => {
            let Some(charge) = buffers::charge(scope, STATE_BYTES) else { return };
            let owner = context::current(scope);
            let handle =
                context::add_resource(scope, owner, Arc::new(CodecCell(Mutex::new(Some(codec)), charge)));
            rv.set_uint32(handle);
        }
        None => JsError::type_error(format!(
            "\"{format}\" is not a compression format: use gzip, deflate or deflate-raw."
        ))
        .throw(scope),
    }
}

fn zlib_push<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let bytes = arguments::bytes(&args, 1).unwrap_or_default();
    let Some(cell) = context::resource_as::<CodecCell>(scope, handle) else { return };
    let finish = args.get(2).is_true();
    let mut codec = cell.0.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(output) = codec.as_mut().map(|codec| codec.push(&bytes, finish)) else {
        return JsError::type_error("The compression has ended.").throw(scope);
    };
    if finish || output.is_err() {
        // It takes no more: some codecs of `flate2` panic when they are given it.
        *codec = None;
    }
    drop(codec);
    match output {
        Ok(output) => rv.set(arguments::uint8_array(scope, &output)),
        Err(error) => {
            JsError::type_error(format!("The compressed data was not valid: {error}.")).throw(scope)
        }
    }
}

fn zlib_free<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    drop(context::release(scope, handle));
}
