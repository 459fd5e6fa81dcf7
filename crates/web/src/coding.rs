//! Content codings of response bodies: gzip, undone where a Worker reads a body and done where one leaves for a wire.
//! Both work piece by piece, so that memory is bounded however much a few bytes inflate to, and are charged to a meter.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use atoll_host::body::{Body, BodyError, ByteStream};
use atoll_isolate::Meter;
use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use http_body::Frame;

/// How the bytes of a response's body relate to its `Content-Encoding`.
pub enum Coding {
    /// They are in that coding: whoever reads them decodes, whoever passes them on need not.
    Applied,
    /// They are plain, whatever the header says: whoever sends them over a wire encodes, at the cost of this meter.
    Pending(Option<Arc<Meter>>),
}

/// Whether flat headers (name, value, name, value) say gzip, and nothing else: the coding that is undone and done here.
pub fn says_gzip(headers: &[String]) -> bool {
    let mut codings = headers.chunks_exact(2).filter(|pair| pair[0].eq_ignore_ascii_case("content-encoding"));
    codings.next().is_some_and(|pair| pair[1] == "gzip") && codings.next().is_none()
}

/// What a gzipped body holds. Without a meter it is the reader who is charged.
pub fn decoded(body: Body, meter: Option<Arc<Meter>>) -> Body {
    coded(body, meter, Codec::Decoder(MultiGzDecoder::new(Vec::new())))
}

/// A body gzipped.
pub fn encoded(body: Body, meter: Option<Arc<Meter>>) -> Body {
    coded(body, meter, Codec::Encoder(GzEncoder::new(Vec::new(), Compression::fast())))
}

fn coded(body: Body, meter: Option<Arc<Meter>>, codec: Codec) -> Body {
    let source = match body {
        Body::Empty => return Body::Empty,
        Body::Stream(stream) => stream,
        body => ByteStream::from_http_body(body),
    };
    let coded = Coded { source, input: Bytes::new(), codec: Some(codec), unflushed: false, meter };
    Body::Stream(ByteStream::from_http_body(coded))
}

enum Codec {
    Decoder(MultiGzDecoder<Vec<u8>>),
    Encoder(GzEncoder<Vec<u8>>),
}

impl Codec {
    /// Takes some of `input`; what comes of it is at most some 32 KiB, or as much as the input.
    fn write(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        match self {
            Self::Decoder(decoder) => decoder.write(input).map_err(|_| undecodable("decompression failed.")),
            Self::Encoder(encoder) => encoder.write(input).map_err(failed),
        }
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        match self {
            Self::Decoder(decoder) => {
                decoder.try_finish().map_err(|_| undecodable("compressed stream ended prematurely."))
            }
            Self::Encoder(encoder) => encoder.try_finish().map_err(failed),
        }
    }

    fn flush(&mut self) -> Result<(), BodyError> {
        match self {
            Self::Decoder(_) => Ok(()),
            Self::Encoder(encoder) => encoder.flush().map_err(failed),
        }
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Decoder(decoder) => decoder.get_mut(),
            Self::Encoder(encoder) => encoder.get_mut(),
        }
    }
}

fn undecodable(what: &str) -> BodyError {
    BodyError::Undecodable(format!("Gzip {what}"))
}

fn failed(error: std::io::Error) -> BodyError {
    BodyError::Failed(error.to_string())
}

/// A piece of output is given once it has this size.
const PIECE: usize = 64 * 1024;

struct Coded {
    source: ByteStream,
    /// What is left of the chunk that came last.
    input: Bytes,
    /// None once the source has ended.
    codec: Option<Codec>,
    /// Whether the codec may hold back bytes that the reader could have.
    unflushed: bool,
    meter: Option<Arc<Meter>>,
}

impl Coded {
    /// Works off the chunk that came last, until there is a piece of output.
    fn step(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(codec) = &mut self.codec else { return Ok(None) };
        while !self.input.is_empty() && codec.output().len() < PIECE {
            let taken = codec.write(&self.input)?;
            if taken == 0 {
                return Err(undecodable("decompression failed."));
            }
            self.input.advance(taken);
            self.unflushed = true;
        }
        Ok(take_output(codec))
    }

    fn finish(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(mut codec) = self.codec.take() else { return Ok(None) };
        codec.finish()?;
        Ok(take_output(&mut codec))
    }

    fn flush(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(codec) = self.codec.as_mut().filter(|_| self.unflushed) else { return Ok(None) };
        self.unflushed = false;
        codec.flush()?;
        Ok(take_output(codec))
    }

    fn charged<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, BodyError>) -> Result<T, BodyError> {
        let Some(meter) = self.meter.clone() else { return work(self) };
        if meter.is_over() {
            return Err(BodyError::Disconnected);
        }
        let started = Instant::now();
        let outcome = work(self);
        meter.charge(started.elapsed());
        outcome
    }
}

fn take_output(codec: &mut Codec) -> Option<Bytes> {
    let output = std::mem::take(codec.output());
    (!output.is_empty()).then(|| output.into())
}

impl http_body::Body for Coded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if !this.input.is_empty()
                && let Some(piece) = this.charged(Self::step).transpose()
            {
                return Poll::Ready(Some(piece.map(Frame::data)));
            }
            let next = match this.source.poll_next(context) {
                // The source pauses: what was written before is not kept from the reader.
                Poll::Pending => match this.charged(Self::flush).transpose() {
                    Some(piece) => return Poll::Ready(Some(piece.map(Frame::data))),
                    None => return Poll::Pending,
                },
                Poll::Ready(next) => next,
            };
            match next {
                Some(Ok(chunk)) => this.input = chunk,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let last = this.charged(Self::finish).transpose();
                    return Poll::Ready(last.map(|piece| piece.map(Frame::data)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("write to memory");
        encoder.finish().expect("write to memory")
    }

    async fn read(body: Body) -> Result<Bytes, BodyError> {
        body.collect(1 << 20).await
    }

    fn body(bytes: impl Into<Bytes>) -> Body {
        Body::Bytes(bytes.into())
    }

    #[tokio::test]
    async fn what_was_encoded_is_decoded() {
        let text = Bytes::from("some text ".repeat(30_000));
        assert_eq!(read(decoded(encoded(body(text.clone()), None), None)).await, Ok(text));
    }

    #[tokio::test]
    async fn several_members_are_one_body() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(read(decoded(body(two), None)).await, Ok(Bytes::from_static(b"one two")));
    }

    #[tokio::test]
    async fn what_is_no_gzip_is_refused() {
        let whole = gzip(b"text");
        let cut = whole[..whole.len() - 3].to_vec();
        let ended = "Gzip compressed stream ended prematurely.";
        let broken = "Gzip decompression failed.";
        let trailing = [whole, b"garbage".to_vec()].concat();
        for (bytes, message) in
            [(cut, ended), (b"this is no gzip".to_vec(), broken), (trailing, broken), (Vec::new(), ended)]
        {
            let error = read(decoded(body(bytes), None)).await.expect_err(message);
            assert_eq!(error, BodyError::Undecodable(message.into()));
        }
    }

    /// 64 MiB in some 64 KiB: never more than a piece of it is in memory.
    #[tokio::test]
    async fn a_bomb_comes_in_pieces() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let Body::Stream(mut stream) = decoded(body(bomb), None) else { panic!("a stream") };
        let mut total = 0;
        while let Some(chunk) = stream.next().await {
            let length = chunk.expect("a piece").len();
            assert!(length <= 2 * PIECE, "a piece of {length} bytes");
            total += length;
        }
        assert_eq!(total, 64 << 20);
    }

    #[tokio::test]
    async fn who_has_no_budget_left_decodes_nothing() {
        let meter = Arc::new(Meter::new(std::time::Duration::ZERO));
        meter.charge(std::time::Duration::from_millis(1));
        let outcome = read(decoded(body(gzip(b"text")), Some(meter))).await;
        assert_eq!(outcome, Err(BodyError::Disconnected));
    }

    /// A reader gets what was written, although more will come.
    #[tokio::test]
    async fn a_pause_flushes() {
        let (mut sink, stream) = atoll_host::body::channel(1 << 10);
        sink.try_send(Bytes::from_static(b"now")).expect("room");
        let Body::Stream(mut stream) = decoded(encoded(stream.into(), None), None) else { panic!("a stream") };
        assert_eq!(stream.next().await, Some(Ok(Bytes::from_static(b"now"))));
        sink.finish();
        assert_eq!(stream.next().await, None);
    }

    #[test]
    fn only_gzip_alone_is_gzip() {
        let says = |pairs: &[&str]| says_gzip(&pairs.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert!(says(&["a", "b", "content-encoding", "gzip"]));
        assert!(!says(&["content-encoding", "gzip, br"]));
        assert!(!says(&["content-encoding", "gzip", "content-encoding", "br"]));
        assert!(!says(&["content-encoding", "GZIP"]));
        assert!(!says(&[]));
    }
}
