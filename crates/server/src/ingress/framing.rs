//! Where messages end, read along with what a client sends: hyper takes a `Transfer-Encoding` beside a `Content-Length`
//! and a length that is said twice, both of which a server in front may have read otherwise ("request smuggling"), and
//! tells of neither. Here they are noticed, as are chunks that are none.

/// Longest part of a line that is kept to look at; no line that counts is longer.
const LINE: usize = 256;

/// Reads a client's bytes as they come.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    state: State,
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head(Head),
    /// Bytes of a body that are to come.
    Body(u64),
    ChunkSize,
    /// Bytes of a chunk that are to come.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailers,
    /// Behind what is no message; the connection ends there.
    Lost,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

/// What the lines of a head have said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head {
    /// Whether the request line has come: empty lines before it are no end.
    begun: bool,
    lengths: u32,
    length: Option<u64>,
    codings: u32,
}

impl Framing {
    /// Reads on. False, once: where a message ends is ambiguous or broken.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Lost => return true,
                State::Body(left) | State::Chunk(left) => {
                    let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    bytes = &bytes[taken..];
                    *left -= taken as u64;
                    match self.state {
                        State::Body(0) => self.state = State::default(),
                        State::Chunk(0) => self.state = State::ChunkEnd,
                        _ => {}
                    }
                }
                _ => {
                    let end = memchr::memchr(b'\n', bytes);
                    let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
                    bytes = rest;
                    if !self.part_of_line(part, end.is_some()) {
                        self.state = State::Lost;
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Takes a part of a line, at whose end the line is looked at.
    fn part_of_line(&mut self, part: &[u8], ends: bool) -> bool {
        if ends && self.line.is_empty() {
            return self.end_of_line(part);
        }
        let room = LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        if !ends {
            return true;
        }
        let mut line = std::mem::take(&mut self.line);
        let fine = self.end_of_line(&line);
        line.clear();
        self.line = line;
        fine
    }

    fn end_of_line(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match &mut self.state {
            State::Head(head) if !head.begun => head.begun = !line.is_empty(),
            State::Head(head) if line.is_empty() => match head.body() {
                Some(state) => self.state = state,
                None => return false,
            },
            State::Head(head) => head.read(line),
            State::ChunkSize => match chunk_size(line) {
                Some(0) => self.state = State::Trailers,
                Some(size) => self.state = State::Chunk(size),
                None => return false,
            },
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return false,
            State::Trailers if line.is_empty() => self.state = State::default(),
            State::Trailers | State::Lost | State::Body(_) | State::Chunk(_) => {}
        }
        true
    }
}

impl Head {
    fn read(&mut self, line: &[u8]) {
        if !matches!(line[0] | 0x20, b'c' | b't') {
            return;
        }
        if let Some(value) = value_of(line, b"content-length:") {
            self.lengths += 1;
            self.length = decimal(value);
        } else if value_of(line, b"transfer-encoding:").is_some() {
            self.codings += 1;
        }
    }

    /// What follows the head; none: its length is said twice, is no number, or stands behind more white space than is
    /// kept of a line.
    fn body(self) -> Option<State> {
        match (self.lengths, self.codings) {
            (0, 0) => Some(State::default()),
            (0, 1) => Some(State::ChunkSize),
            (1, 0) => match self.length? {
                0 => Some(State::default()),
                length => Some(State::Body(length)),
            },
            _ => None,
        }
    }
}

/// The value of the line of this field, whose name has its colon and is in lower case.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Whether the bytes are fine, whole and in pieces of every size; and the state behind them.
    fn read(text: &str) -> (bool, State) {
        let outcome = |piece: usize| {
            let mut framing = Framing::default();
            let refused = text.as_bytes().chunks(piece).filter(|piece| !framing.read(piece)).count();
            assert!(refused <= 1, "it is told once");
            (refused == 0, framing.state)
        };
        let whole = outcome(text.len());
        for piece in 1..text.len().min(40) {
            assert_eq!(outcome(piece), whole, "{text:?} in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn messages_follow_each_other() {
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "\r\n\r\nGET / HTTP/1.1\nHost: a\n\n".to_owned(),
            format!("{HEAD}Content-Length: 5\r\n\r\nhe\r\no"),
            format!("{HEAD}content-length:0\r\n\r\n"),
            format!("{CHUNKED}5;x=\"1\"\r\nhe\r\no\r\nA \r\n0123456789\r\n0\r\nX: y\r\n\r\n"),
            format!("{HEAD}Content-Length-X: 5\r\nContent: 1\r\nX: {}\r\n\r\n", "y".repeat(1000)),
        ];
        for one in &requests {
            assert_eq!(read(one), (true, State::default()), "{one:?}");
            for two in &requests {
                assert_eq!(read(&format!("{one}{two}")), (true, State::default()), "{one:?}{two:?}");
            }
        }
    }

    #[test]
    fn a_length_that_is_said_twice_is_noticed() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "TRANSFER-ENCODING: chunked\r\nX: y\r\ncontent-length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(read(&format!("{HEAD}{fields}\r\n0\r\n\r\n")), (false, State::Lost), "{fields:?}");
        }
        // Also behind another request.
        let second =
            format!("{HEAD}Content-Length: 3\r\n\r\nabc{HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(read(&second), (false, State::Lost));
    }

    #[test]
    fn chunks_that_are_none_are_noticed() {
        for body in [
            "zz\r\n",
            "3\r\nhello\r\n",
            "\r\n",
            "-1\r\n",
            "+1\r\n",
            "fffffffffffffffff\r\n",
            "1 2\r\n",
            "0x1\r\n",
        ] {
            assert_eq!(read(&format!("{CHUNKED}{body}")), (false, State::Lost), "{body:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_length_is_noticed() {
        for fields in ["Content-Length: x\r\n", "Content-Length: 5, 5\r\n", "Content-Length: +5\r\n"] {
            assert_eq!(read(&format!("{HEAD}{fields}\r\n")), (false, State::Lost), "{fields:?}");
        }
        // In pieces, more of the line would have to be kept.
        let mut framing = Framing::default();
        let (start, end) = (format!("{HEAD}Content-Length:{}", " ".repeat(LINE)), "5\r\n\r\n");
        assert!(framing.read(start.as_bytes()) && !framing.read(end.as_bytes()));
    }
}
