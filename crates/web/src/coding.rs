//! Content codings of response bodies: gzip and Brotli, undone where a Worker reads a body and done where one
//! leaves for a wire. Both work piece by piece, so that memory is bounded however much a few bytes inflate to; time
//! is charged to a meter, and memory to a budget.

mod codec;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use atoll_host::body::{Body, BodyError, ByteStream};
use atoll_isolate::{Meter, v8};
use bytes::{Buf, Bytes};
use http_body::Frame;

use crate::context;
use crate::exchange::HeaderList;
use crate::inbox::{Charge, Inbox};
use codec::Codec;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
}

/// How the bytes of a response's body relate to its `Content-Encoding`.
pub enum Coding {
    /// They are what would be on a wire: whoever reads them decodes, whoever passes them on need not.
    Applied,
    /// They are plain, whatever the header says: whoever sends them over a wire encodes, at this cost.
    Pending(Format, Payer),
}

/// Who pays for coding.
#[derive(Clone, Default)]
pub struct Payer {
    /// For the time. Without one it is the reader who is charged.
    pub meter: Option<Arc<Meter>>,
    /// For the memory.
    pub budget: Option<Arc<Inbox>>,
}

impl Payer {
    /// The current invocation and its Worker.
    pub fn current(scope: &mut v8::PinScope<'_, '_>) -> Self {
        let id = context::current(scope);
        Self { meter: context::meter(scope, id), ..Self::reader(scope) }
    }

    /// The current Worker's memory, and whoever reads.
    pub(crate) fn reader(scope: &mut v8::PinScope<'_, '_>) -> Self {
        Self { meter: None, budget: Some(crate::held::budget(scope)) }
    }
}

/// The one coding that headers say, if it is one that the running Worker knows.
pub fn format_of(scope: &mut v8::PinScope<'_, '_>, headers: &HeaderList) -> Option<Format> {
    let format = stated(headers)?;
    let known =
        format == Format::Gzip || context::environment(scope).flags.iter().any(|flag| flag == BROTLI_FLAG);
    known.then_some(format)
}

const BROTLI_FLAG: &str = "brotli_content_encoding";

fn stated(headers: &HeaderList) -> Option<Format> {
    let mut codings = headers.pairs().filter(|(name, _)| *name == "content-encoding").map(|(_, value)| value);
    let format = match codings.next()? {
        "gzip" => Format::Gzip,
        "br" => Format::Brotli,
        _ => return None,
    };
    codings.next().is_none().then_some(format)
}

/// What a body in this coding holds.
pub fn decoded(body: Body, format: Format, payer: Payer) -> Body {
    coded(body, payer, || Codec::decoder(format))
}

/// A body in this coding.
pub fn encoded(body: Body, format: Format, payer: Payer) -> Body {
    coded(body, payer, || Codec::encoder(format))
}

fn coded(body: Body, payer: Payer, codec: impl FnOnce() -> Codec) -> Body {
    let source = match body {
        Body::Empty => return Body::Empty,
        Body::Stream(stream) => stream,
        body => ByteStream::from_http_body(body),
    };
    Body::Stream(ByteStream::from_http_body(Coded {
        source,
        input: Bytes::new(),
        codec: Some(codec()),
        unflushed: false,
        worked: Duration::ZERO,
        payer,
        memory: None,
    }))
}

/// A piece of output is given once it has this size.
const PIECE: usize = 64 * 1024;

/// Input of one call of a codec. Some 2 ms at worst: Brotli's input can be little but new tables.
const INPUT: usize = 4 * 1024;

/// After so much time in a codec, which has given a MiB or nothing at all, other tasks of the thread have their turn.
const SLICE: Duration = Duration::from_millis(1);

struct Coded {
    source: ByteStream,
    /// What is left of the chunk that came last.
    input: Bytes,
    /// None once the source has ended.
    codec: Option<Codec>,
    /// Whether the codec may hold back bytes that the reader could have.
    unflushed: bool,
    /// Time in the codec since the last pause.
    worked: Duration,
    payer: Payer,
    /// What is charged for the codec's memory, and its bytes.
    memory: Option<(Charge, usize)>,
}

impl Coded {
    fn has_work(&self) -> bool {
        !self.input.is_empty() || self.codec.as_ref().is_some_and(Codec::has_more)
    }

    /// Works off the chunk that came last, until there is a piece of output or it is time for a pause.
    fn step(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(codec) = &mut self.codec else { return Ok(None) };
        let (started, before) = (Instant::now(), self.worked);
        while (!self.input.is_empty() || codec.has_more())
            && codec.output().len() < PIECE
            && self.worked < SLICE
        {
            let piece = &self.input[..self.input.len().min(INPUT)];
            let taken = codec.write(piece)?;
            self.input.advance(taken);
            self.unflushed = true;
            self.worked = before + started.elapsed();
        }
        let output = take_output(codec);
        self.pay_for_memory()?;
        Ok(output)
    }

    fn finish(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(mut codec) = self.codec.take() else { return Ok(None) };
        codec.finish()?;
        self.memory = None;
        Ok(take_output(&mut codec))
    }

    fn flush(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(codec) = self.codec.as_mut().filter(|_| self.unflushed) else { return Ok(None) };
        self.unflushed = false;
        codec.flush()?;
        Ok(take_output(codec))
    }

    /// The codec's memory is charged when it has it: how much a decoder needs is said by its input.
    fn pay_for_memory(&mut self) -> Result<(), BodyError> {
        let (Some(budget), Some(codec)) = (&self.payer.budget, &self.codec) else { return Ok(()) };
        let needed = codec.memory() + PIECE;
        let refused = |error: crate::fetcher::RemoteError| BodyError::Refused(error.message);
        match &mut self.memory {
            None => self.memory = Some((budget.take(needed).map_err(refused)?, needed)),
            Some((charge, paid)) if *paid < needed => {
                charge.grow(needed - *paid).map_err(refused)?;
                *paid = needed;
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn charged<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, BodyError>) -> Result<T, BodyError> {
        let Some(meter) = self.payer.meter.clone() else { return work(self) };
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
            if this.worked >= SLICE {
                this.worked = Duration::ZERO;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.has_work() {
                match this.charged(Self::step).transpose() {
                    Some(piece) => return Poll::Ready(Some(piece.map(Frame::data))),
                    None => continue,
                }
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
mod tests;
