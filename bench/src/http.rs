//! A blocking HTTP/1.1 client (RFC 9112) for one keep-alive connection: what a benchmark and a test need to see on
//! the wire, and nothing that would hide it (no pool, no retry, no redirect).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A guard against a server that never answers, far above anything that is measured or tested.
const HANG_GUARD: Duration = Duration::from_secs(120);
const MAX_LINE: u64 = 64 * 1024;
const MAX_HEADERS: usize = 200;
const MAX_BODY: usize = 64 * 1024 * 1024;
/// The largest piece that one call of [`Connection::read_piece`] returns of a body with a known length.
const MAX_PIECE: u64 = 64 * 1024;

/// The head of a response, and how much of its body is still to come.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Bytes(u64),
    Chunks,
    UntilClose,
}

impl Head {
    /// The value of the first header with this name, in whatever case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A response that has been read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as text; bytes that are not UTF-8 become replacement characters.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection. Requests go out and responses come in strictly in turn.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG_GUARD))?;
        stream.set_write_timeout(Some(HANG_GUARD))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    pub(crate) fn get(&mut self, target: &str) -> io::Result<Response> {
        self.send("GET", target, &[], None)
    }

    /// Sends a request whose body, if any, has a known length, and reads the whole response.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        // One write, so that a small request is one packet.
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.write(&bytes)?;

        let mut head = self.read_head()?;
        let mut body = Vec::new();
        while let Some(piece) = self.read_piece(&mut head)? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_BODY {
                return Err(invalid(format!("the response body is larger than {MAX_BODY} bytes")));
            }
        }
        Ok(Response { head, body })
    }

    /// Writes bytes as they are: a part of a request that is sent piece by piece, or a broken one.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads the head of the next response; interim (1xx) responses before it are skipped.
    pub(crate) fn read_head(&mut self) -> io::Result<Head> {
        loop {
            let status = parse_status(&self.read_line()?)?;
            let headers = self.read_headers()?;
            if !(100..200).contains(&status) || status == 101 {
                let mut head = Head { status, headers, rest: Rest::UntilClose };
                head.rest = body_framing(&head)?;
                return Ok(head);
            }
        }
    }

    /// Reads the next piece of the body: one chunk as the server framed it, or what has arrived of a body with a
    /// known length. `None` is the end.
    pub(crate) fn read_piece(&mut self, head: &mut Head) -> io::Result<Option<Vec<u8>>> {
        match head.rest {
            Rest::Bytes(0) => Ok(None),
            Rest::Bytes(left) => {
                let piece = self.read_some(left.min(MAX_PIECE))?;
                if piece.is_empty() {
                    return Err(cut_off(format!("{left} bytes before the end of a response body")));
                }
                head.rest = Rest::Bytes(left - piece.len() as u64);
                Ok(Some(piece))
            }
            Rest::UntilClose => {
                let piece = self.read_some(MAX_PIECE)?;
                Ok(if piece.is_empty() { None } else { Some(piece) })
            }
            Rest::Chunks => {
                let piece = self.read_chunk()?;
                if piece.is_none() {
                    head.rest = Rest::Bytes(0);
                }
                Ok(piece)
            }
        }
    }

    fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)
            .map_err(|_| invalid(format!("a chunk size must be hexadecimal digits, got {line:?}")))?;
        if size > MAX_BODY {
            return Err(invalid(format!("a chunk of {size} bytes is larger than {MAX_BODY} bytes")));
        }
        if size == 0 {
            self.read_headers()?;
            return Ok(None);
        }
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        let end = self.read_line()?;
        if !end.is_empty() {
            return Err(invalid(format!("a chunk must end with an empty line, got {end:?}")));
        }
        Ok(Some(chunk))
    }

    /// One read of at most `limit` bytes; empty when the server has closed its side.
    fn read_some(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let available = self.stream.fill_buf()?;
        let taken = available.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let piece = available[..taken].to_vec();
        self.stream.consume(taken);
        Ok(piece)
    }

    fn read_headers(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| invalid(format!("a header line must contain a colon, got {line:?}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
            if headers.len() > MAX_HEADERS {
                return Err(invalid(format!("the response has more than {MAX_HEADERS} headers")));
            }
        }
    }

    /// One line without its end.
    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.by_ref().take(MAX_LINE).read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(cut_off(format!("in the middle of a line: {line:?}")));
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}

fn parse_status(line: &str) -> io::Result<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    rest.and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| invalid(format!("a response must begin with HTTP/1.1 and a status, got {line:?}")))
}

/// RFC 9112, section 6.3, for responses to methods other than HEAD and CONNECT.
fn body_framing(head: &Head) -> io::Result<Rest> {
    if matches!(head.status, 101 | 204 | 304) {
        return Ok(Rest::Bytes(0));
    }
    if head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(Rest::Chunks);
    }
    let Some(length) = head.header("content-length") else { return Ok(Rest::UntilClose) };
    match length.parse() {
        Ok(length) => Ok(Rest::Bytes(length)),
        Err(_) => Err(invalid(format!("Content-Length must be a whole number, got {length:?}"))),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn cut_off(place: String) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended {place}"))
}
