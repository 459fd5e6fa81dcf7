//! Errors on both sides of the border: what the runtime throws into JavaScript, and what it reads out of exceptions.

use std::fmt;

use crate::realm;

/// The JavaScript class that an error becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// `Error`
    Error,
    /// `TypeError`
    Type,
    /// `RangeError`
    Range,
    /// `SyntaxError`
    Syntax,
    /// `DOMException` with this name, for example `DataCloneError`
    Dom(&'static str),
}

impl ErrorClass {
    /// The class's name in JavaScript.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::Type => "TypeError",
            Self::Range => "RangeError",
            Self::Syntax => "SyntaxError",
            Self::Dom(name) => name,
        }
    }
}

/// An error that becomes a JavaScript exception of a class, with a message that guests can see. What a guest gave may be in it:
/// it is cut after 65,536 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsError {
    /// Its class.
    pub class: ErrorClass,
    /// Its message.
    pub message: String,
}

impl JsError {
    /// An `Error`.
    pub fn error(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Error, message: bounded(message.into()) }
    }

    /// A `TypeError`.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Type, message: bounded(message.into()) }
    }

    /// A `RangeError`.
    pub fn range_error(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Range, message: bounded(message.into()) }
    }

    /// A `DOMException` with a name.
    pub fn dom(name: &'static str, message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Dom(name), message: bounded(message.into()) }
    }

    /// The exception object, made in the current context.
    pub fn to_value<'s>(&self, scope: &mut v8::PinScope<'s, '_>) -> v8::Local<'s, v8::Value> {
        let message = string(scope, &self.message);
        match self.class {
            ErrorClass::Error => v8::Exception::error(scope, message),
            ErrorClass::Type => v8::Exception::type_error(scope, message),
            ErrorClass::Range => v8::Exception::range_error(scope, message),
            ErrorClass::Syntax => v8::Exception::syntax_error(scope, message),
            ErrorClass::Dom(name) => crate::realm::dom_exception(scope, message, name)
                .unwrap_or_else(|| v8::Exception::error(scope, message)),
        }
    }

    /// Throws it.
    pub fn throw(&self, scope: &mut v8::PinScope<'_, '_>) {
        let exception = self.to_value(scope);
        scope.throw_exception(exception);
    }
}

impl fmt::Display for JsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsError {}

/// A JavaScript string; text that V8 cannot hold (over 512 MB) becomes empty.
pub fn string<'s>(scope: &v8::PinScope<'s, '_>, text: &str) -> v8::Local<'s, v8::String> {
    v8::String::new(scope, text).unwrap_or_else(|| v8::String::empty(scope))
}

/// What an uncaught exception says, read without running guest code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExceptionReport {
    /// The message, as V8 prints it: `Uncaught TypeError: x is not a function`, without `Uncaught `.
    pub message: String,
    /// Script name, 1-based line and column, where known.
    pub location: Option<(String, u32, u32)>,
    /// The line of source.
    pub source_line: Option<String>,
    /// The `stack` property, where it is a string.
    pub stack: Option<String>,
    /// The innermost frames, without those of the runtime's own scripts.
    frames: Vec<Frame>,
    /// Whether the message begins with the name of a class of the language or the platform.
    names_class: bool,
}

/// One frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    /// Empty: code at top level, or a function without a name.
    function: String,
    script: String,
    line: u32,
    column: u32,
}

impl Frame {
    fn is_own(&self) -> bool {
        self.script.is_empty() || self.script.starts_with(OWN_SCRIPTS)
    }

    fn place(&self) -> String {
        format!("{}:{}:{}", self.script, self.line, self.column)
    }
}

impl ExceptionReport {
    /// Reads an exception and, where there is one, the message object that was made when it was thrown.
    pub fn read(
        scope: &mut v8::PinScope<'_, '_>,
        exception: v8::Local<v8::Value>,
        message: Option<v8::Local<v8::Message>>,
    ) -> Self {
        let message = message.unwrap_or_else(|| v8::Exception::create_message(scope, exception));
        let text = message.get(scope);
        let text = start_of(scope, text, MAX_MESSAGE);
        let (text, names_class) = match realm::describe_dom_exception(scope, exception) {
            // V8 takes name and message from data properties only.
            Some(described) => (described, true),
            None => {
                let text = text.strip_prefix("Uncaught ").unwrap_or(&text);
                (text.to_owned(), exception.is_native_error() && names_class(text))
            }
        };
        let name = message
            .get_script_resource_name(scope)
            .filter(|n| n.is_string())
            .and_then(|n| v8::Local::<v8::String>::try_from(n).ok())
            .map(|n| start_of(scope, n, MAX_NAME));
        let location = match (name, message.get_line_number(scope)) {
            (Some(name), Some(line)) if line > 0 => {
                Some((name, line as u32, message.get_start_column() as u32 + 1))
            }
            _ => None,
        };
        let source_line = message.get_source_line(scope).map(|line| start_of(scope, line, MAX_SOURCE_LINE));
        let frames = frames_of(scope, exception);
        let stack = frames.as_ref().map(|frames| stack_text(&text, frames));
        let frames = frames.unwrap_or_default();
        // Thrown by the runtime's own scripts: what counts is the guest's line that called them, if any did.
        let inner = location.as_ref().is_some_and(|(name, ..)| name.starts_with(OWN_SCRIPTS));
        let (location, source_line) = if inner {
            let caller = frames.first();
            (caller.map(|frame| (frame.script.clone(), frame.line, frame.column)), None)
        } else {
            (location, source_line)
        };
        Self { message: text, location, source_line, stack, frames, names_class }
    }

    /// For the log: the stack, where there is one.
    pub fn to_log(&self) -> String {
        self.stack.clone().unwrap_or_else(|| self.to_text())
    }

    /// Like [`Self::to_text`], always with a class: as in the reference, what is none of the known errors is an `Error`.
    pub fn to_text_with_class(&self) -> String {
        let class = if self.names_class { "" } else { "Error: " };
        format!("{class}{}", self.to_text())
    }

    /// Message, frames, of the innermost the source line with a caret: several lines for people.
    pub fn to_text(&self) -> String {
        let mut text = self.message.clone();
        let mut frames =
            self.frames.iter().take(MAX_FRAMES_IN_TEXT).map(|frame| match frame.function.as_str() {
                "" => format!("\n  at {}", frame.place()),
                function => format!("\n  at {} in {function}", frame.place()),
            });
        let thrown = self.location.as_ref().map(|(name, line, column)| format!("{name}:{line}:{column}"));
        let innermost = self.frames.first().map(Frame::place);
        match (frames.next(), &thrown) {
            (Some(frame), _) => text.push_str(&frame),
            (None, Some(place)) => text.push_str(&format!("\n  at {place}")),
            (None, None) => {}
        }
        if innermost.is_none() || innermost == thrown {
            text.push_str(&self.excerpt());
        }
        text.extend(frames);
        text
    }

    /// The line of source with a caret below the place, where both are known and the line is not too long.
    fn excerpt(&self) -> String {
        let source = self.source_line.as_deref().filter(|line| !line.trim().is_empty() && line.len() <= 400);
        let (Some(source), Some((.., column))) = (source, &self.location) else { return String::new() };
        let before = source.chars().take(*column as usize - 1);
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("\n    {source}\n    {indent}^")
    }
}

/// The classes of errors that the language has.
const CLASSES: [&str; 12] = [
    "Error",
    "AggregateError",
    "CompileError",
    "EvalError",
    "LinkError",
    "RangeError",
    "ReferenceError",
    "RuntimeError",
    "SuppressedError",
    "SyntaxError",
    "TypeError",
    "URIError",
];

/// Whether the description of an error begins with the name of a class of the language.
fn names_class(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    CLASSES.contains(&name) && (rest.is_empty() || rest.starts_with(": "))
}

/// How the names of the runtime's own scripts begin.
pub(crate) const OWN_SCRIPTS: &str = "atoll:";

/// The frames that V8 captured. Never reads the `stack` property: that can be a getter of the guest's, or run its
/// `Error.prepareStackTrace`.
fn frames_of(scope: &mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>) -> Option<Vec<Frame>> {
    if !exception.is_native_error() {
        return None;
    }
    let trace = v8::Exception::get_stack_trace(scope, exception)?;
    let mut frames = Vec::new();
    for index in 0..trace.get_frame_count().min(MAX_FRAMES) {
        let Some(frame) = trace.get_frame(scope, index) else { break };
        let (function, script) = (frame.get_function_name(scope), frame.get_script_name(scope));
        let mut part = |name: Option<v8::Local<v8::String>>| {
            name.map(|name| start_of(scope, name, MAX_NAME)).unwrap_or_default()
        };
        let (function, script) = (part(function), part(script));
        let (line, column) = (frame.get_line_number() as u32, frame.get_column() as u32);
        frames.push(Frame { function, script, line, column });
    }
    frames.retain(|frame| !frame.is_own());
    Some(frames)
}

/// Message and frames, as `stack` shows them.
fn stack_text(message: &str, frames: &[Frame]) -> String {
    let mut text = message.to_owned();
    for frame in frames {
        text.push_str(&match frame.function.as_str() {
            "" => format!("\n    at {}", frame.place()),
            function => format!("\n    at {function} ({})", frame.place()),
        });
    }
    text
}

/// The start of a text, which guests choose and may make as long as they have memory for.
pub fn start_of(scope: &mut v8::PinScope<'_, '_>, text: v8::Local<'_, v8::String>, most: usize) -> String {
    if text.length() <= most {
        return text.to_rust_string_lossy(scope);
    }
    let mut units = vec![0; most];
    text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
    format!("{}...", String::from_utf16_lossy(&units))
}

/// The start of a text that may have been put together with one of a guest's.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE));
        text.push_str("...");
    }
    text
}

/// UTF-16 units of what a report has, bytes of an error's message. A name is a function's or a script's.
pub const MAX_MESSAGE: usize = 65_536;
const MAX_NAME: usize = 1_024;
const MAX_SOURCE_LINE: usize = 4_096;

const MAX_FRAMES: usize = 20;
const MAX_FRAMES_IN_TEXT: usize = 10;
