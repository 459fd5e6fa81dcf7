//! Signals: what is running is finished, nothing new is taken on, and the exit code says that all is well.

mod support;

use std::net::TcpStream;

use support::http::{Connection, Head};
use support::{Project, Server, example, wait_until};

const ECHO: &str = "export default { fetch(request) { return new Response(request.body); } };";

/// A request that is surely running: its first piece has come back, and it waits for the next.
fn begin_echo(server: &Server) -> (Connection, Head) {
    let mut connection = server.connect();
    let begin = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    connection.write(begin).expect("send the beginning");
    let mut head = connection.read_head().expect("read the head");
    assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(b"first".to_vec()));
    (connection, head)
}

fn drains_on(signal: libc::c_int) {
    let project = Project::worker(ECHO);
    let server = Server::start(project.path());
    let (mut connection, mut head) = begin_echo(&server);

    server.signal(signal);
    wait_until("the server refuses new connections", || TcpStream::connect(server.address()).is_err());

    connection.write(b"4\r\nlast\r\n0\r\n\r\n").expect("send the rest");
    assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(b"last".to_vec()));
    assert_eq!(connection.read_piece(&mut head).expect("read the end"), None);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_interrupt_lets_a_running_request_finish() {
    drains_on(libc::SIGINT);
}

#[test]
fn a_termination_lets_a_running_request_finish() {
    drains_on(libc::SIGTERM);
}

#[test]
fn an_idle_connection_does_not_keep_the_server() {
    let server = Server::start(example("hello"));
    let mut connection = server.connect();
    assert_eq!(connection.get("/").expect("get an answer").status(), 200);
    server.signal(libc::SIGINT);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_server_that_never_answered_ends_as_well() {
    let server = Server::start(example("hello"));
    server.signal(libc::SIGINT);
    assert_eq!(server.wait().code(), Some(0));
}

/// Who presses Ctrl-C twice means it.
#[test]
fn a_second_interrupt_does_not_wait() {
    let project = Project::worker(ECHO);
    let server = Server::start(project.path());
    let (_connection, _head) = begin_echo(&server);
    server.signal(libc::SIGINT);
    wait_until("the server refuses new connections", || TcpStream::connect(server.address()).is_err());
    server.signal(libc::SIGINT);
    assert!(!server.wait().success(), "what was cut off must not look like a clean end");
}
