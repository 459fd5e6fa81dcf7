//! V8's serialisation format, as far as it must be understood to know what bytes claim before V8 believes them.
//!
//! V8 makes arrays as long as their bytes say, and fills them with holes: ten bytes make an array of 32 million slots,
//! which ends the isolate that reads them. A writer can say so honestly, with `new Array(3e7)`, so the reader counts.

/// What a pass begins with: the format's version. Another one may mean other things by the same tags.
const HEADER: [u8; 2] = [0xff, 16];

/// Empty slots that the arrays of one value may have together: 32 MiB, as much as the largest message has bytes.
pub(super) const MAX_HOLES: u64 = 8 << 20;

/// Arrays that are longer are dictionaries in V8: their holes take no memory.
const MAX_FAST_LENGTH: u64 = 32 << 20;

/// What is wrong with a pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not what V8 would have written.
    Malformed,
    /// Its arrays have more than [`MAX_HOLES`].
    Holes,
}

/// What is being read: each value inside another is one entry deeper.
enum Frame {
    /// Values until this tag, then so many numbers.
    Until(u8, u8),
    /// So many elements, then properties.
    Elements(u64),
    /// What is left of an error's parts, of which each may be missing.
    Error(&'static [u8]),
    /// One value, then a number.
    Flags,
}

struct Walk<'a> {
    rest: &'a [u8],
    frames: Vec<Frame>,
    holes: u64,
    elements: u64,
    size: u64,
    /// Whether an error was among the values so far.
    error: bool,
}

/// Walks over a pass. What it lets through V8 may still refuse, but not answer with memory that nobody sent.
pub(super) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    let mut walk = Walk::of(bytes).ok_or(Refusal::Malformed)?;
    walk.value()?;
    while let Some(frame) = walk.frames.pop() {
        walk.go_on(frame)?;
    }
    Ok(())
}

/// Steps after which a walk for errors looks whether there is any reason to go on: most values are over by then.
const LONG_WALK: usize = 64;

/// Whether a pass that V8 has just written holds an error.
pub(super) fn has_error(bytes: &[u8]) -> bool {
    let Some(mut walk) = Walk::of(bytes) else { return false };
    let mut going_on = walk.value();
    let mut steps = 0;
    while let (Ok(()), false, Some(frame)) = (going_on, walk.error, walk.frames.pop()) {
        steps += 1;
        if steps == LONG_WALK && !may_hold_error(walk.rest) {
            return false;
        }
        going_on = walk.go_on(frame);
    }
    walk.error
}

/// Whether any bytes look like the beginning of an error: its tag, its class, and its first part.
fn may_hold_error(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'r', bytes).any(|at| match &bytes[at + 1..] {
        [b'E' | b'R' | b'F' | b'S' | b'T' | b'U', rest @ ..] | rest => {
            matches!(rest, [b'.' | b'c', ..] | [b'm' | b's', b'"' | b'c' | 0, ..])
        }
    })
}

impl<'a> Walk<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&HEADER)?;
        let size = bytes.len() as u64;
        Some(Self { rest, frames: Vec::new(), holes: 0, elements: 0, size, error: false })
    }

    /// One step of what is not finished; it puts itself back unless it is over.
    fn go_on(&mut self, frame: Frame) -> Result<(), Refusal> {
        match frame {
            Frame::Until(end, numbers) => {
                if self.peek()? == end {
                    self.byte()?;
                    return (0..numbers).try_for_each(|_| self.number().map(drop));
                }
                self.frames.push(Frame::Until(end, numbers));
                self.value()
            }
            Frame::Elements(0) => {
                self.frames.push(Frame::Until(b'$', 2));
                Ok(())
            }
            Frame::Elements(left) => {
                self.frames.push(Frame::Elements(left - 1));
                if self.peek()? == b'-' { self.byte().map(drop) } else { self.value() }
            }
            Frame::Error(parts) => {
                let part = self.byte()?;
                if part == b'.' {
                    return Ok(());
                }
                let place = parts.iter().position(|known| *known == part).ok_or(Refusal::Malformed)?;
                self.frames.push(Frame::Error(&parts[place + 1..]));
                self.value()
            }
            Frame::Flags => self.number().map(drop),
        }
    }

    /// A value, or its beginning: what is inside it is left to the frames.
    fn value(&mut self) -> Result<(), Refusal> {
        self.peek()?;
        match self.byte()? {
            b'?' => {
                self.number()?;
                return self.value();
            }
            b'_' | b'0' | b'T' | b'F' | b'y' | b'x' => {}
            b'I' | b'U' | b'\\' => drop(self.number()?),
            b'N' | b'D' | b'n' => self.skip(8)?,
            b'Z' | b'z' => {
                let length = self.number()? >> 1;
                self.skip(length)?;
            }
            b'"' | b'c' | b'S' => self.counted()?,
            b'^' => {
                self.number()?;
                self.view()?;
            }
            b'B' | b'C' => {
                let length = self.size()?;
                self.skip(length)?;
                self.view()?;
            }
            b'~' => {
                let length = self.size()?;
                self.size()?;
                self.skip(length)?;
                self.view()?;
            }
            b's' => return self.value(),
            b'R' => {
                self.frames.push(Frame::Flags);
                return self.value();
            }
            b'o' => self.frames.push(Frame::Until(b'{', 1)),
            b';' => self.frames.push(Frame::Until(b':', 1)),
            b'\'' => self.frames.push(Frame::Until(b',', 1)),
            b'r' => {
                self.error = true;
                if matches!(self.rest.first(), Some(b'E' | b'R' | b'F' | b'S' | b'T' | b'U')) {
                    self.byte()?;
                }
                self.frames.push(Frame::Error(b"msc"));
            }
            b'A' => self.dense()?,
            b'a' => self.sparse()?,
            _ => return Err(Refusal::Malformed),
        }
        Ok(())
    }

    fn dense(&mut self) -> Result<(), Refusal> {
        let length = self.number()?;
        self.elements += length;
        // An element has at least one byte: nobody wrote arrays that claim more together.
        if self.elements > self.size {
            return Err(Refusal::Malformed);
        }
        self.frames.push(Frame::Elements(length));
        Ok(())
    }

    fn sparse(&mut self) -> Result<(), Refusal> {
        let length = self.number()?;
        if length <= MAX_FAST_LENGTH {
            self.holes += length;
        }
        if self.holes > MAX_HOLES {
            return Err(Refusal::Holes);
        }
        self.frames.push(Frame::Until(b'@', 2));
        Ok(())
    }

    /// A view comes right behind its buffer, or behind a reference to it: kind, offset, length, flags.
    fn view(&mut self) -> Result<(), Refusal> {
        if self.peek().ok() != Some(b'V') {
            return Ok(());
        }
        self.byte()?;
        if self.byte()? >= 0x80 {
            return Err(Refusal::Malformed);
        }
        self.size()?;
        self.size()?;
        self.number().map(drop)
    }

    fn counted(&mut self) -> Result<(), Refusal> {
        let length = self.number()?;
        self.skip(length)
    }

    /// The next tag; zeros before it are padding.
    fn peek(&mut self) -> Result<u8, Refusal> {
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied().ok_or(Refusal::Malformed)
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        let (byte, rest) = self.rest.split_first().ok_or(Refusal::Malformed)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn skip(&mut self, length: u64) -> Result<(), Refusal> {
        let length = usize::try_from(length).map_err(|_| Refusal::Malformed)?;
        self.rest = self.rest.get(length..).ok_or(Refusal::Malformed)?;
        Ok(())
    }

    /// A number of 32 bits, seven in a byte, the lowest first. V8 would cut longer ones off, each kind at its own place;
    /// it never writes them.
    fn number(&mut self) -> Result<u64, Refusal> {
        self.size().ok().filter(|value| u32::try_from(*value).is_ok()).ok_or(Refusal::Malformed)
    }

    /// A number of 64 bits that fits into 63.
    fn size(&mut self) -> Result<u64, Refusal> {
        let mut value = 0;
        for position in 0..9 {
            let byte = self.byte()?;
            if byte == 0 && position > 0 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Refusal::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_value(value: &[u8]) -> Result<(), Refusal> {
        check(&[&HEADER[..], value].concat())
    }

    #[test]
    fn values_as_v8_writes_them_pass() {
        let values: [&[u8]; 9] = [
            b"_",
            b"\"\x03abc",
            b"o\"\x01aI\x02\"\x01bA\x02-T$\0\x02{\x02",
            b"A\x02I\0I\x02\"\x01xF$\x01\x02",
            b"a\x05I\x02N\0\0\0\0\0\0\0\0@\x01\x05",
            b";I\0T:\x02",
            b"rTm\"\x01es\"\x01sc^\0.",
            b"R\"\x01a\x02",
            b"B\x02abVB\0\x02\0",
        ];
        for value in values {
            assert_eq!(check_value(value), Ok(()), "{value:?}");
        }
    }

    #[test]
    fn an_error_is_found_wherever_it_is_and_text_is_none() {
        let has_error = |value: &[u8]| has_error(&[&HEADER[..], value].concat());
        assert!(has_error(b"rTm\"\x01es\"\x01s."));
        assert!(has_error(b"A\x02\"\x02rso\"\x01arm\"\x01e.{\x01$\0\x02"));
        assert!(has_error(b";I\0r.:\x02"));
        assert!(!has_error(b"\"\x04rsrm"));
        assert!(!has_error(b"o\"\x02rsI\x02{\x01"));
        let list = |last: &[u8]| [b"A\xc8\x01", &b"I\x02".repeat(199)[..], last, b"$\0\xc8\x01"].concat();
        assert!(has_error(&list(b"rTm\"\x01es\"\x01s.")));
        assert!(has_error(&list(b"r.")));
        assert!(!has_error(&list(b"\"\x05rs\"\x01s")));
        assert!(!has_error(&list(b"\"\x05other")));
    }

    #[test]
    fn what_is_cut_off_or_claims_more_than_there_is_is_malformed() {
        let values: [&[u8]; 8] = [
            b"",
            b"I",
            b"\"\x05abc",
            b"A\x7f_",
            b"o\"\x01aI\x02",
            b"B\xff\xff\xff\xff\x0fab",
            b"!",
            b"A\x01A\xff\x01_",
        ];
        for value in values {
            assert_eq!(check_value(value), Err(Refusal::Malformed), "{value:?}");
        }
        assert_eq!(check(b"\xff\x0f_"), Err(Refusal::Malformed));
        assert_eq!(check(b"_"), Err(Refusal::Malformed));
    }

    #[test]
    fn holes_are_counted_over_all_arrays_unless_v8_keeps_a_dictionary() {
        let array = |length: u32| {
            let mut number = Vec::new();
            let mut rest = length;
            while rest >= 0x80 {
                number.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            number.push(rest as u8);
            [&b"a"[..], &number, b"@\0", &number].concat()
        };
        let pair = |a: u32, b: u32| [b"A\x02", &array(a)[..], &array(b), b"$\0\x02"].concat();
        let most = MAX_HOLES as u32;
        assert_eq!(check_value(&array(most)), Ok(()));
        assert_eq!(check_value(&array(most + 1)), Err(Refusal::Holes));
        assert_eq!(check_value(&pair(most / 2, most / 2)), Ok(()));
        assert_eq!(check_value(&pair(most, 1)), Err(Refusal::Holes));
        assert_eq!(check_value(&pair(u32::MAX, u32::MAX)), Ok(()));
    }
}
