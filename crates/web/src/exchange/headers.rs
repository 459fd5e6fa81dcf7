//! The header fields of one message.

use atoll_isolate::v8;
use http::HeaderMap;

use super::Invalid;

/// The largest size of one message's headers between Workers, in bytes, counted as HTTP/2 does (RFC 9113, section
/// 6.5.2): name, value and 32 more for each. (Less of it fits on a wire: `MAX_HEADER_BYTES` in `host/src/http.rs`.)
pub const MAX_HEADER_BYTES: usize = 1 << 20;

const EXTRA: usize = 32;

/// Header fields in order. Names are tokens in lower case and can come more than once; values have neither line ends nor
/// NUL, and no white space at their ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderList {
    /// Name, value, name, value.
    flat: Vec<String>,
}

impl HeaderList {
    /// The headers of a flat list: name, value, name, value. Names may have capitals, values white space around them.
    ///
    /// # Errors
    /// [`Invalid::HeaderName`], [`Invalid::HeaderValue`], [`Invalid::HeadersTooLarge`].
    pub fn new(mut flat: Vec<String>) -> Result<Self, Invalid> {
        let (pairs, rest) = flat.as_chunks_mut::<2>();
        if !rest.is_empty() {
            return Err(Invalid::HeaderName);
        }
        let mut room = MAX_HEADER_BYTES;
        for [name, value] in pairs {
            let size = name.len() + value.len() + EXTRA;
            room = room.checked_sub(size).ok_or(Invalid::HeadersTooLarge)?;
            check_name(name)?;
            check_value(value)?;
        }
        Ok(Self { flat })
    }

    /// The headers of a script's flat list.
    ///
    /// # Errors
    /// As [`new`](Self::new); each element must be a string.
    pub fn of(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Result<Self, Invalid> {
        let list = v8::Local::<v8::Array>::try_from(value).map_err(|_| Invalid::HeaderName)?;
        // Before anything is copied: an array can say any length, and texts can be as long as memory allows.
        let mut room = MAX_HEADER_BYTES;
        let most = 2 * MAX_HEADER_BYTES / EXTRA;
        if list.length() as usize > most {
            return Err(Invalid::HeadersTooLarge);
        }
        let mut flat = Vec::with_capacity(list.length() as usize);
        for index in 0..list.length() {
            let item =
                list.get_index(scope, index).and_then(|item| v8::Local::<v8::String>::try_from(item).ok());
            let text = item.ok_or(if index % 2 == 0 { Invalid::HeaderName } else { Invalid::HeaderValue })?;
            room = room.checked_sub(text.length()).ok_or(Invalid::HeadersTooLarge)?;
            flat.push(text.to_rust_string_lossy(scope));
        }
        Self::new(flat)
    }

    /// The headers of a message from a wire, whose parser has checked them.
    pub fn of_map(map: &HeaderMap) -> Self {
        let mut flat = Vec::with_capacity(2 * map.len());
        for (name, value) in map {
            flat.push(name.as_str().to_owned());
            flat.push(atoll_host::http::header_text(value.as_bytes()));
        }
        Self { flat }
    }

    /// Adds one of the runtime's own.
    pub(crate) fn push(&mut self, name: &'static str, value: String) {
        self.flat.extend([name.to_owned(), value]);
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.flat.as_chunks::<2>().0.iter().map(|[name, value]| (name.as_str(), value.as_str()))
    }

    /// The flat list: name, value, name, value.
    pub fn flat(&self) -> &[String] {
        &self.flat
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.flat.iter().map(String::len).sum()
    }

    /// Whether there is one of this name, which is in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.pairs().any(|(found, _)| found == name)
    }
}

const OTHER: u8 = 1;
const CAPITAL: u8 = 2;

/// What each byte is in a name: 0 where it may stand in one as it is.
static KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut i = 0;
    while i < allowed.len() {
        kinds[allowed[i] as usize] = 0;
        i += 1;
    }
    let mut capital = b'A';
    while capital <= b'Z' {
        kinds[capital as usize] = CAPITAL;
        capital += 1;
    }
    kinds
};

fn check_name(name: &mut str) -> Result<(), Invalid> {
    let kinds = name.bytes().fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)]);
    if name.is_empty() || kinds & OTHER != 0 {
        return Err(Invalid::HeaderName);
    }
    if kinds & CAPITAL != 0 {
        name.make_ascii_lowercase();
    }
    Ok(())
}

fn check_value(value: &mut String) -> Result<(), Invalid> {
    let ends = [value.bytes().next(), value.bytes().next_back()];
    if ends.iter().flatten().any(|byte| matches!(byte, b' ' | b'\t')) {
        *value = value.trim_matches([' ', '\t']).to_owned();
    }
    // Without a way out, so that it is done for many bytes at once.
    let broken = value.bytes().fold(false, |broken, byte| broken | matches!(byte, b'\0' | b'\r' | b'\n'));
    if broken { Err(Invalid::HeaderValue) } else { Ok(()) }
}
