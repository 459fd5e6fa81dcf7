//! A server somewhere on the network: gives every request the same answer and remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Listens on a free port of 127.0.0.1. `head` is the status line and headers of the answer, without those that
    /// frame the body. The thread ends with the test's process.
    pub(crate) fn start(head: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                // A client that goes away in between is the business of the test that made it.
                let Some(request) = read_head(&mut reader) else { continue };
                seen.lock().expect("the list is whole").push(request);
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { address, requests }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of all requests until now, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("the list is whole").clone()
    }
}

/// Reads the head of a request that has no body; `None` if the connection ends before that.
fn read_head(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    Some(request.to_ascii_lowercase())
}
