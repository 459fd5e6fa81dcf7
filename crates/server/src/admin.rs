//! The address for operators: metrics for Prometheus, and whether the process lives. On a thread of its own, so that it
//! answers also while every lane is busy. It has no authentication: bind it where only operators are.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_loader::Runtime;
use atoll_loader::metrics::{CONTENT_TYPE, Kind, Metrics, Page};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::ServeError;

/// Connections served at once; others wait to be accepted.
const CONNECTIONS: usize = 64;

/// A connection that has sent no complete head after this long is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// An open listener that answers operators for as long as the process lives.
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    /// Listens on `address` (port 0: any free port) and tells about `runtime`.
    ///
    /// # Errors
    /// [`ServeError::System`], naming the address.
    pub fn open(runtime: Arc<Runtime>, address: SocketAddr) -> Result<Self, ServeError> {
        let refuse = |source| ServeError::System { what: format!("listen on {address}"), source };
        let listener = std::net::TcpListener::bind(address).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refuse)?;
        let listener = tokio.block_on(async { TcpListener::from_std(listener) }).map_err(refuse)?;
        std::thread::Builder::new()
            .name("atoll-admin".into())
            .spawn(move || tokio.block_on(accept(listener, runtime)))
            .map_err(refuse)?;
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, runtime: Arc<Runtime>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: connections that end will free some.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let runtime = runtime.clone();
        tokio::spawn(async move {
            serve(stream, runtime).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, runtime: Arc<Runtime>) {
    let handler = service_fn(move |request: Request<Incoming>| {
        let response = answer(&request, &runtime);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), handler);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "admin connection ended");
    }
}

fn answer(request: &Request<Incoming>, runtime: &Runtime) -> Response<Full<Bytes>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" | "/healthz" if !reads => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".into());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        "/metrics" => {
            let mut page = Page::default();
            Metrics::write(runtime, &mut page);
            write_process(&mut page);
            let mut response = text(StatusCode::OK, page.into_text());
            response.headers_mut().insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE));
            response
        }
        "/healthz" => text(StatusCode::OK, "ok\n".into()),
        _ => text(StatusCode::NOT_FOUND, "Not Found\n".into()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE_HEADER, plain);
    response
}

/// What the system knows of the process; left out where it does not say.
fn write_process(page: &mut Page) {
    if let Some(bytes) = resident_bytes() {
        let help = "Memory of the process that is resident.";
        page.single("process_resident_memory_bytes", Kind::Gauge, help, bytes as f64);
    }
    // The folder itself is open while it is read.
    if let Some(open) =
        std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1))
    {
        page.single("process_open_fds", Kind::Gauge, "Open file descriptors.", open as f64);
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
