//! The codings themselves: each takes some input and gives what little comes of it.

use std::io::Write;

use atoll_host::body::BodyError;
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};

use super::Format;

/// Somewhat slower than gzip at its fastest, and smaller.
const BROTLI_QUALITY: u32 = 4;

/// The most that a decoder's tables take: three groups of 256 Huffman trees, each of 1,080 codes of four bytes, and their
/// context maps.
const BROTLI_TABLES: usize = (3 * 256 * 1_080 * 4) + (256 << 10);

/// Logarithm of the encoder's window: 256 KiB.
const BROTLI_WINDOW: u32 = 18;

/// What comes of one call at most, beside what comes of input of that size.
const BUFFER: usize = 32 * 1024;

const GZIP_FAILED: &str = "Gzip decompression failed.";

pub(super) enum Codec {
    GzipDecoder(MultiGzDecoder<Vec<u8>>),
    GzipEncoder(GzEncoder<Vec<u8>>),
    BrotliDecoder(Box<BrotliDecoder>),
    BrotliEncoder { writer: Option<Box<CompressorWriter<Vec<u8>>>>, rest: Vec<u8> },
}

impl Codec {
    pub(super) fn decoder(format: Format) -> Self {
        match format {
            Format::Gzip => Self::GzipDecoder(MultiGzDecoder::new(Vec::new())),
            Format::Brotli => Self::BrotliDecoder(Box::new(BrotliDecoder::new())),
        }
    }

    pub(super) fn encoder(format: Format) -> Self {
        match format {
            Format::Gzip => Self::GzipEncoder(GzEncoder::new(Vec::new(), Compression::fast())),
            Format::Brotli => {
                let writer = CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::BrotliEncoder { writer: Some(Box::new(writer)), rest: Vec::new() }
            }
        }
    }

    /// Takes some of `input`, which is empty only where [`has_more`](Self::has_more); what comes of it is at most some
    /// 32 KiB, or as much as the input.
    pub(super) fn write(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        match self {
            Self::GzipDecoder(decoder) => match decoder.write(input) {
                Ok(taken) if taken > 0 => Ok(taken),
                _ => Err(undecodable(GZIP_FAILED)),
            },
            Self::BrotliDecoder(decoder) => decoder.write(input),
            Self::GzipEncoder(encoder) => encoder.write(input).map_err(failed),
            Self::BrotliEncoder { writer, .. } => match writer {
                Some(writer) => writer.write(input).map_err(failed),
                None => Ok(input.len()),
            },
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), BodyError> {
        match self {
            Self::GzipDecoder(decoder) => {
                decoder.try_finish().map_err(|_| undecodable("Gzip compressed stream ended prematurely."))
            }
            Self::BrotliDecoder(decoder) if decoder.ended => Ok(()),
            Self::BrotliDecoder(_) => Err(undecodable("Brotli compressed stream ended prematurely.")),
            Self::GzipEncoder(encoder) => encoder.try_finish().map_err(failed),
            Self::BrotliEncoder { writer, rest } => {
                if let Some(writer) = writer.take() {
                    *rest = writer.into_inner();
                }
                Ok(())
            }
        }
    }

    /// Whether [`write`](Self::write) gives more without any input.
    pub(super) fn has_more(&self) -> bool {
        matches!(self, Self::BrotliDecoder(decoder) if decoder.more)
    }

    /// Gives what it holds back for better compression, or for larger pieces.
    pub(super) fn flush(&mut self) -> Result<(), BodyError> {
        match self {
            Self::GzipDecoder(decoder) => decoder.flush().map_err(|_| undecodable(GZIP_FAILED)),
            Self::GzipEncoder(encoder) => encoder.flush().map_err(failed),
            Self::BrotliEncoder { writer: Some(writer), .. } => writer.flush().map_err(failed),
            Self::BrotliDecoder(_) | Self::BrotliEncoder { .. } => Ok(()),
        }
    }

    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::GzipDecoder(decoder) => decoder.get_mut(),
            Self::GzipEncoder(encoder) => encoder.get_mut(),
            Self::BrotliDecoder(decoder) => &mut decoder.output,
            Self::BrotliEncoder { writer: Some(writer), .. } => writer.get_mut(),
            Self::BrotliEncoder { rest, .. } => rest,
        }
    }

    /// What it takes beside its output, in bytes, roughly.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::GzipDecoder(_) => 80 << 10,
            Self::GzipEncoder(_) => 384 << 10,
            Self::BrotliDecoder(decoder) => decoder.memory(),
            Self::BrotliEncoder { .. } => 2 << 20,
        }
    }
}

/// A decoder that stops at a bound of output in each call, which the crate's own writer does not.
pub(super) struct BrotliDecoder {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    output: Vec<u8>,
    /// Output waits for room.
    more: bool,
    ended: bool,
}

impl BrotliDecoder {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        // Strict: windows of more than 16 MiB are no valid content coding.
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self { state, output: Vec::new(), more: false, ended: false }
    }

    fn write(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        let from = self.output.len();
        self.output.resize(from + BUFFER, 0);
        let (mut unread, mut taken, mut room, mut given, mut total) = (input.len(), 0, BUFFER, 0, 0);
        let result = BrotliDecompressStream(
            &mut unread,
            &mut taken,
            input,
            &mut room,
            &mut given,
            &mut self.output[from..],
            &mut total,
            &mut self.state,
        );
        self.output.truncate(from + given);
        self.more = matches!(result, BrotliResult::NeedsMoreOutput);
        let moved = input.is_empty() || taken > 0 || given > 0;
        match result {
            BrotliResult::ResultSuccess if taken == input.len() && !self.ended => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput if moved => {}
            // Also where bytes come after the end.
            _ => return Err(undecodable("Brotli decompression failed.")),
        }
        Ok(taken)
    }

    /// Its window, once the input has said how large that is, and its tables: these may be as large as they can be from
    /// one part of the input to the next, and the crate does not tell.
    fn memory(&self) -> usize {
        BROTLI_TABLES + usize::try_from(self.state.ringbuffer_size).map_or(0, |window| window + window / 4)
    }
}

fn undecodable(message: &str) -> BodyError {
    BodyError::Undecodable(message.to_owned())
}

fn failed(error: std::io::Error) -> BodyError {
    BodyError::Failed(error.to_string())
}
