//! Local secrets: `.dev.vars` or the `.env` files beside a configuration, as `wrangler dev` reads them.
//!
//! The syntax is that of the npm package `dotenv`: `NAME=value` or `export NAME=value` a line, values in `'`, `"` or
//! `` ` `` may have several lines, `\n` in `"` is a line break, `#` begins a comment. In `.env` files `$NAME`, `${NAME}`
//! and `${NAME:-default}` stand for other values, as with `dotenv-expand`.

use std::path::{Path, PathBuf};

use crate::error::ConfigError;
use crate::node::Span;
use crate::source::{MAX_FILE_BYTES, SourceFile, Warnings};

/// The files that are looked for; a later `.env` file goes before an earlier one.
const DEV_VARS: &str = ".dev.vars";
const ENV_FILES: [&str; 2] = [".env", ".env.local"];

/// What the files beside a configuration say.
#[derive(Default)]
pub(crate) struct Secrets {
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// Names and values in the order of the files; each name is there once.
    pub(crate) values: Vec<(String, String)>,
}

/// One `NAME=value`.
struct Entry {
    name: String,
    value: String,
    span: Span,
}

/// Reads the files in `dir`. `taken` says which binding already has a name that no secret may have.
pub(crate) fn read(
    dir: &Path,
    warnings: &mut Warnings,
    taken: impl Fn(&str) -> Option<&'static str>,
) -> Result<Secrets, ConfigError> {
    let mut secrets = Secrets::default();
    let dev_vars = dir.join(DEV_VARS);
    if dev_vars.is_file() {
        secrets.add(dev_vars, warnings, &taken)?;
        return Ok(secrets);
    }
    for name in ENV_FILES {
        let path = dir.join(name);
        if path.is_file() {
            secrets.add(path, warnings, &taken)?;
        }
    }
    secrets.expand()?;
    Ok(secrets)
}

impl Secrets {
    fn add(
        &mut self,
        path: PathBuf,
        warnings: &mut Warnings,
        taken: &impl Fn(&str) -> Option<&'static str>,
    ) -> Result<(), ConfigError> {
        let source = SourceFile::read(&path)?;
        let (entries, ignored) = parse(source.text());
        for span in ignored {
            let message = "this line is not of the form NAME=value and is ignored".to_owned();
            warnings.add_at(&source, &span, message);
        }
        for Entry { name, value, span } in entries {
            if let Some(owner) = taken(&name) {
                let message = format!("the name `{name}` is also that of a binding in `{owner}`");
                return Err(source.invalid(&span, message));
            }
            match self.values.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.values.push((name, value)),
            }
        }
        self.files.push(path);
        Ok(())
    }

    /// Puts values in the place of the names in values.
    fn expand(&mut self) -> Result<(), ConfigError> {
        let mut room = MAX_FILE_BYTES as usize;
        for index in 0..self.values.len() {
            let value = expanded(&self.values[index].1, &self.values, index, 0);
            let left = value.as_ref().and_then(|value| room.checked_sub(value.len()));
            let (Some(value), Some(left)) = (value, left) else {
                let path = self.files.last().cloned().unwrap_or_default();
                return Err(ConfigError::TooLarge { path, limit: MAX_FILE_BYTES });
            };
            room = left;
            self.values[index].1 = value;
        }
        Ok(())
    }
}

/// Deepest nesting of defaults in defaults.
const MAX_DEFAULTS: usize = 16;

/// `value` with the names in it replaced; those before `index` are replaced themselves already. None: it is larger than a
/// file may be.
fn expanded(value: &str, values: &[(String, String)], index: usize, depth: usize) -> Option<String> {
    let mut text = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        if text.len() > MAX_FILE_BYTES as usize {
            return None;
        }
        if rest[..at].ends_with('\\') {
            text.push_str(&rest[..at - 1]);
            text.push('$');
            rest = &rest[at + 1..];
            continue;
        }
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (expression, after) =
            match rest.strip_prefix('{').and_then(|inner| Some((inner, closing(inner)?))) {
                Some((inner, end)) => (&inner[..end], &inner[end + 1..]),
                None => {
                    let end =
                        rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    rest.split_at(end)
                }
            };
        rest = after;
        if expression.is_empty() {
            text.push('$');
            continue;
        }
        let (name, default) = match expression.find(":-").map(|at| (at, at + 2)) {
            Some((end, start)) => (&expression[..end], Some(&expression[start..])),
            None => (expression, None),
        };
        let known = values.iter().position(|(known, _)| known == name).filter(|known| *known != index);
        match known.map(|known| values[known].1.as_str()).filter(|value| !value.is_empty()) {
            Some(value) => text.push_str(value),
            None if depth < MAX_DEFAULTS => {
                text.push_str(&expanded(default.unwrap_or_default(), values, index, depth + 1)?);
            }
            None => {}
        }
    }
    text.push_str(rest);
    (text.len() <= MAX_FILE_BYTES as usize).then_some(text)
}

/// Where the `}` is that closes what `inner` is the inside of.
fn closing(inner: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The entries of a file, and the lines that are none.
fn parse(text: &str) -> (Vec<Entry>, Vec<Span>) {
    let (mut entries, mut ignored) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < text.len() {
        let line_end = text[at..].find(['\n', '\r']).map_or(text.len(), |end| at + end);
        let line = &text[at..line_end];
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            at = line_end + 1;
            continue;
        }
        match entry(text, at + (line.len() - line.trim_start().len())) {
            Some((entry, end)) => {
                entries.push(entry);
                at = end;
            }
            None => {
                ignored.push(at..line_end);
                at = line_end + 1;
            }
        }
    }
    (entries, ignored)
}

/// The entry that begins at `start`, and where the text goes on.
fn entry(text: &str, start: usize) -> Option<(Entry, usize)> {
    let mut rest = &text[start..];
    if let Some(after) = rest.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
        rest = after.trim_start_matches([' ', '\t']);
    }
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')));
    let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let spaced = rest.trim_start_matches([' ', '\t']);
    let rest = match spaced.strip_prefix('=') {
        Some(value) => value,
        None => rest.strip_prefix(':').filter(|value| value.starts_with([' ', '\t']))?,
    };
    if name.is_empty() {
        return None;
    }
    let value_start = text.len() - rest.trim_start_matches([' ', '\t']).len();
    let (value, end) = quoted(text, value_start).unwrap_or_else(|| plain(text, value_start));
    Some((Entry { name: name.to_owned(), value, span: start..value_start }, end))
}

/// A value in quotes, and where the next line begins. None: it is not closed, or something other than a comment follows.
fn quoted(text: &str, start: usize) -> Option<(String, usize)> {
    let quote = text[start..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let inner = &text[start + 1..];
    let mut escaped = false;
    let end = inner.find(|c: char| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })?;
    let after = start + 1 + end + 1;
    let line_end = text[after..].find(['\n', '\r']).map_or(text.len(), |end| after + end);
    let rest = text[after..line_end].trim();
    if !(rest.is_empty() || rest.starts_with('#')) {
        return None;
    }
    let value = &inner[..end];
    let value = if quote == '"' { value.replace("\\n", "\n").replace("\\r", "\r") } else { value.to_owned() };
    Some((value, line_end + 1))
}

/// A value without quotes, up to a comment or the end of its line.
fn plain(text: &str, start: usize) -> (String, usize) {
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |end| start + end);
    let line = &text[start..line_end];
    let value = line[..line.find('#').unwrap_or(line.len())].trim();
    (value.to_owned(), line_end + 1)
}

#[cfg(test)]
mod tests {
    use super::{Secrets, parse};

    fn values(text: &str) -> Vec<(String, String)> {
        parse(text).0.into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    #[test]
    fn the_syntax_of_dotenv() {
        let cases = [
            ("A=b", "b"),
            ("A = b c ", "b c"),
            ("export A=b", "b"),
            ("A: b", "b"),
            ("A=", ""),
            ("A='b # c' # d", "b # c"),
            ("A=b # c", "b"),
            ("A=b#c", "b"),
            ("A=\"b\\nc\"", "b\nc"),
            ("A='b\\nc'", "b\\nc"),
            ("A=`b'\"c`", "b'\"c"),
            ("A=\"b\nc\"", "b\nc"),
            ("A=\"b", "\"b"),
            ("A=b=c", "b=c"),
            ("  A=b\r", "b"),
            ("A=\"b\\\"c\"", "b\\\"c"),
            ("A='b' c", "'b' c"),
            ("A=\u{e9}", "\u{e9}"),
            ("A={\"b\":1}", "{\"b\":1}"),
        ];
        for (text, value) in cases {
            assert_eq!(values(text), [("A".to_owned(), value.to_owned())], "{text}");
        }
        assert_eq!(values("# a\n\nA=1\r\nB.c-d=2\n").len(), 2);
        let (entries, ignored) = parse("nothing\n=1\nA=1\n!\n");
        assert_eq!((entries.len(), ignored), (1, vec![0..7, 8..10, 15..16]));
    }

    #[test]
    fn names_in_values() {
        let expand = |text: &str| {
            let mut secrets = Secrets { values: values(text), ..Secrets::default() };
            secrets.expand().map(|()| secrets.values.pop().map(|(_, value)| value).unwrap_or_default())
        };
        let cases = [
            ("A=1\nB=${A}x$A-$C", "1x1-"),
            ("B=\\$A", "$A"),
            ("B=${C:-d}", "d"),
            ("A=1\nB=${C:-${A}}", "1"),
            ("B=$B", ""),
            ("B=5$", "5$"),
            ("B=${", "${"),
            ("B='$ x'", "$ x"),
        ];
        for (text, value) in cases {
            assert_eq!(expand(text).unwrap(), value, "{text}");
        }
        let mut doubling = "A0=xxxxxxxxxxxxxxxx\n".to_owned();
        for i in 1..60 {
            doubling.push_str(&format!("A{i}=$A{0}$A{0}\n", i - 1));
        }
        assert!(expand(&doubling).is_err());
    }
}
