//! One connection that HTTP is spoken on: its set-up for either version, and what one request on it came to.

use std::error::Error;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::payload::Upload;

/// Largest head of a response, in bytes; for HTTP/1.1 also the read buffer.
pub const MAX_RESPONSE_HEAD: u32 = 64 * 1024;

/// Most fields in the head of a response.
pub const MAX_RESPONSE_FIELDS: usize = 1000;

/// Most requests at once on one HTTP/2 connection.
pub(super) const MAX_STREAMS: usize = 64;

/// How much of one answer a server may send over HTTP/2 before it is asked for.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all answers of a connection: so much that those which nobody reads leave room for all others.
const CONNECTION_WINDOW: u32 = MAX_STREAMS as u32 * STREAM_WINDOW;

/// What is assumed of an HTTP/2 server that has not yet said how many requests it takes at once; an odd number, by
/// which the assumption is told from what the server says.
const UNTOLD_STREAMS: usize = 63;

/// What requests are sent with over a connection.
pub(super) enum Channel {
    Http1(http1::SendRequest<Upload>, Arc<Traffic>),
    Http2(http2::SendRequest<Upload>, Arc<Allowance>),
}

/// Bytes that went over a connection, to tell what a server can have seen and said.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// Bytes received and sent so far.
    fn so_far(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// Starts HTTP on a connection, whose task runs on the current runtime.
pub(super) async fn start(io: Connection) -> hyper::Result<Channel> {
    let traffic = io.traffic.clone();
    if io.is_http2() {
        let (channel, mut connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNTOLD_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_RESPONSE_HEAD)
            // Without a sign of life a dead connection would take every later request to its host with it.
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(15))
            .handshake(TokioIo::new(io))
            .await?;
        // How it ends, those who use it are told.
        let allowance = Arc::new(Allowance(AtomicUsize::new(UNTOLD_STREAMS)));
        let told = allowance.clone();
        tokio::spawn(poll_fn(move |context| {
            let ended = Pin::new(&mut connection).poll(context).map(drop);
            told.0.store(connection.current_max_send_streams(), Ordering::Relaxed);
            ended
        }));
        return Ok(Channel::Http2(channel, allowance));
    }
    let (channel, connection) = http1::Builder::new()
        .max_buf_size(MAX_RESPONSE_HEAD as usize)
        .max_headers(MAX_RESPONSE_FIELDS)
        .handshake(TokioIo::new(io))
        .await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Channel::Http1(channel, traffic))
}

/// How many requests an HTTP/2 server takes at once.
pub(super) struct Allowance(AtomicUsize);

impl Allowance {
    /// Whether the server has said it.
    pub(super) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed) != UNTOLD_STREAMS
    }

    /// What it has said, or what is assumed of it.
    pub(super) fn streams(&self) -> usize {
        self.0.load(Ordering::Relaxed).clamp(1, MAX_STREAMS)
    }
}

/// Why there is no answer, and what that means for another try.
pub(super) struct Failure {
    pub(super) error: hyper::Error,
    /// The server has certainly not begun to work on the request.
    pub(super) unseen: bool,
    /// The server refused it for now: too many at once.
    pub(super) refused: bool,
    /// The connection was lost before anything of an answer came.
    pub(super) silent: bool,
}

/// Sends a request on a connection of its own and gives the head of its answer.
pub(super) async fn send_alone(
    channel: &mut http1::SendRequest<Upload>,
    traffic: &Traffic,
    request: http::Request<Upload>,
) -> Result<http::Response<Incoming>, Failure> {
    let (received, sent) = traffic.so_far();
    channel.try_send_request(request).await.map_err(|failed| {
        let now = traffic.so_far();
        let mut failure = failure(failed);
        failure.silent &= now.0 == received;
        failure.unseen |= failure.silent && now.1 == sent;
        failure
    })
}

/// The same on a connection that others share.
pub(super) async fn send_shared(
    channel: &mut http2::SendRequest<Upload>,
    request: http::Request<Upload>,
) -> Result<http::Response<Incoming>, Failure> {
    channel.try_send_request(request).await.map_err(failure)
}

fn failure(mut failed: TrySendError<http::Request<Upload>>) -> Failure {
    let unsent = failed.take_message().is_some();
    let error = failed.into_error();
    let h2 = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    let refused = h2.is_some_and(|e| e.is_remote() && e.reason() == Some(h2::Reason::REFUSED_STREAM));
    // A server that goes away names the last request that it has looked at; only later ones get this error.
    let left_out = h2.is_some_and(|error| error.is_remote() && error.is_go_away());
    let reset = h2.is_some_and(h2::Error::is_reset);
    Failure { unseen: unsent || refused || left_out, refused, silent: !reset && is_lost(&error), error }
}

/// Whether the connection ended, as opposed to one that goes on with something wrong on it.
pub(super) fn is_lost(error: &hyper::Error) -> bool {
    let ended =
        error.is_incomplete_message() || error.is_closed() || error.is_canceled() || error.is_timeout();
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    ended
        || causes.any(|cause| {
            use io::ErrorKind::{
                BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
            };
            let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            let h2 = cause.downcast_ref::<h2::Error>().and_then(h2::Error::get_io).map(io::Error::kind);
            io.or(h2).is_some_and(|kind| {
                matches!(
                    kind,
                    BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
                )
            })
        })
}

/// The bytes below HTTP, counted.
pub(super) struct Connection {
    io: Io,
    traffic: Arc<Traffic>,
    _open: Open,
}

/// Counts a connection until it is closed.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(super) fn plain(tcp: TcpStream, open: Open) -> Self {
        Self { io: Io::Plain(tcp), traffic: Arc::default(), _open: open }
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>, open: Open) -> Self {
        Self { io: Io::Tls(Box::new(tls)), traffic: Arc::default(), _open: open }
    }

    /// Whether both ends agreed on HTTP/2 in the TLS handshake.
    fn is_http2(&self) -> bool {
        match &self.io {
            Io::Plain(_) => false,
            Io::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()),
        }
    }

    fn count_sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.traffic.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.io {
            Io::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Io::Tls(io) => Pin::new(io).poll_read(context, buffer),
        };
        this.traffic.received.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.io {
            Io::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Io::Tls(io) => Pin::new(io).poll_write(context, bytes),
        };
        this.count_sent(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_flush(context),
            Io::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(context),
            Io::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(context, slices),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(context, slices),
        };
        this.count_sent(written)
    }
}
