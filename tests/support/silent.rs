//! A server somewhere on the network that never ends an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::wait_until;

/// Accepts requests, begins an answer where the path asks for it, and never ends one.
pub(crate) struct Silent {
    address: SocketAddr,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Silent {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (on_begin, on_end) = (begun.clone(), ended.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (begun, ended) = (on_begin.clone(), on_end.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    let mut line = String::new();
                    // A connection that is made ahead and never used is not of interest.
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if line.contains("/body") {
                        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning";
                        reader.get_mut().write_all(head).expect("begin the answer");
                    }
                    begun.fetch_add(1, Ordering::SeqCst);
                    // Until the other side closes the connection, or resets it.
                    let _ = reader.read_to_end(&mut Vec::new());
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, begun, ended }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many requests have come, and so many of their connections are closed.
    pub(crate) fn wait_for(&self, what: &str, begun: usize, ended: usize) {
        let is = |count: &AtomicUsize, expected| count.load(Ordering::SeqCst) == expected;
        wait_until(&format!("{begun} requests have begun ({what})"), || is(&self.begun, begun));
        wait_until(&format!("{ended} connections are closed ({what})"), || is(&self.ended, ended));
    }

    /// Whether the connections of all requests until now are closed.
    pub(crate) fn are_closed(&self) -> bool {
        self.begun.load(Ordering::SeqCst) == self.ended.load(Ordering::SeqCst)
    }
}
