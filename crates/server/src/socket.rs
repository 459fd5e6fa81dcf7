//! A client's connection that can be watched while it is read from and written to.

use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::ingress::Framing;

/// How often to look whether a client is still there while bytes of it wait to be read.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Who is at the other end of a connection; clones are the same one.
#[derive(Clone)]
pub(crate) struct Client(Arc<Connection>);

struct Connection {
    stream: TcpStream,
    /// The status with which the client is refused; 0: it is not.
    refusal: AtomicU16,
}

impl Client {
    /// Waits until the client has closed its side, also where nobody reads what it sent before.
    pub(crate) async fn closed(&self) {
        while let Ok(ready) = self.0.stream.ready(Interest::READABLE).await
            && !ready.is_read_closed()
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Nothing that it sends is taken any more; whatever it waits for, this status is the answer.
    pub(crate) fn refuse(&self, status: StatusCode) {
        self.0.refusal.store(status.as_u16(), Ordering::Relaxed);
    }

    /// The status with which it is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.0.refusal.load(Ordering::Relaxed)).ok()
    }
}

/// The connection to read from and to write to.
pub(crate) struct Socket {
    client: Client,
    framing: Framing,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let client = Client(Arc::new(Connection { stream, refusal: AtomicU16::new(0) }));
        Self { client, framing: Framing::default() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn poll_try(
        &self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&TcpStream) -> Result<usize>,
    ) -> Poll<Result<usize>> {
        let stream = &self.client.0.stream;
        loop {
            ready!(stream.poll_write_ready(context))?;
            match attempt(stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let stream = &this.client.0.stream;
        loop {
            ready!(stream.poll_read_ready(context))?;
            let mut done = Err(ErrorKind::WouldBlock.into());
            let _ = stream.try_io(Interest::READABLE, || {
                done = stream.try_read_buf(buffer);
                // Less than there is room for: all has been read, and the next poll need not try in order to know it.
                if buffer.remaining() > 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match done {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(_) => {
                    if !this.framing.read(&buffer.filled()[before..]) {
                        this.client.refuse(StatusCode::BAD_REQUEST);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.poll_try(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.poll_try(context, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        // It is closed when it is dropped, which follows at once.
        Poll::Ready(Ok(()))
    }
}
