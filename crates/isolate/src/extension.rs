//! What a layer adds to every isolate: its manifest. The snapshot is made from the list of all manifests, in order.

use v8::ExternalReference;

/// A native function that runtime JavaScript reaches as `natives.<name>`.
#[derive(Clone, Copy)]
pub struct Native {
    /// Property name on the `natives` object; unique over all extensions.
    pub name: &'static str,
    /// The callback, made with [`natives!`](crate::natives).
    pub callback: v8::FunctionCallback,
}

/// A JavaScript file of the runtime: the body of a strict function `(exports, require, natives, primordials)`.
#[derive(Clone, Copy)]
pub struct Script {
    /// The name that `require` takes, `crate/path` without `.js`.
    pub name: &'static str,
    /// The source. V8 uses it in place, also behind a snapshot: no heap has a copy.
    pub source: &'static Source,
    /// Whether it runs while the snapshot is made. Otherwise it is compiled, from the code cache, on first touch.
    pub eager: bool,
}

/// A lazy property of the global object: touched for the first time, its script is loaded.
#[derive(Clone, Copy)]
pub struct LazyGlobal {
    /// Property name on the global object and in the script's exports.
    pub name: &'static str,
    /// The script that exports it.
    pub script: &'static str,
    /// Only with this flag. The property is in the snapshot all the same: a layer that knows of flags takes it away.
    pub flag: Option<&'static str>,
}

/// A layer's manifest.
pub struct Extension {
    /// The layer's name, for messages.
    pub name: &'static str,
    /// Its native functions.
    pub natives: fn() -> Vec<Native>,
    /// Its scripts; eager ones run in this order.
    pub scripts: &'static [Script],
    /// Its lazy globals.
    pub globals: &'static [LazyGlobal],
    /// Called for each blank isolate after its context exists, to set up the layer's own slot.
    pub bind: fn(&mut v8::PinScope<'_, '_>),
}

/// Lists native functions for an [`Extension`]: `natives!["log" => log, "urlParse" => url_parse]`. One that panics
/// [throws](crate::guard).
#[macro_export]
macro_rules! natives {
    ($($name:literal => $function:path),* $(,)?) => {
        vec![$($crate::Native { name: $name, callback: $crate::guard::callback($function) }),*]
    };
}

/// Text that V8 uses in place; ASCII.
pub type Source = v8::OneByteConst;

/// Includes a file as a [`Source`].
#[macro_export]
macro_rules! include_source {
    ($path:expr) => {
        &const { $crate::v8::String::create_external_onebyte_const(include_bytes!($path)) }
    };
}

/// Declares a script of this crate: `script!("web", "headers", eager)`, read from `js/headers.js`.
#[macro_export]
macro_rules! script {
    ($layer:literal, $path:literal, eager) => {
        $crate::Script {
            name: concat!($layer, "/", $path),
            source: $crate::include_source!(concat!("../js/", $path, ".js")),
            eager: true,
        }
    };
    ($layer:literal, $path:literal) => {
        $crate::Script {
            name: concat!($layer, "/", $path),
            source: $crate::include_source!(concat!("../js/", $path, ".js")),
            eager: false,
        }
    };
}

/// Everything a process needs to make isolates: the manifests, the blob made from them, and the code cache.
pub struct Startup {
    /// All manifests, lowest layer first.
    pub extensions: &'static [&'static Extension],
    /// The startup blob; one for the whole process.
    pub blob: &'static [u8],
    /// Code cache by script name, for lazy scripts.
    pub cache: &'static [(&'static str, &'static [u8])],
    references: std::borrow::Cow<'static, [ExternalReference]>,
}

// SAFETY: the references are addresses of functions and static texts, which never change and may be read from any thread.
unsafe impl Sync for Startup {}
// SAFETY: as above.
unsafe impl Send for Startup {}

impl Startup {
    /// Puts the pieces together and leaks them: a process has one for its whole life.
    pub fn new(
        extensions: &'static [&'static Extension],
        blob: &'static [u8],
        cache: &'static [(&'static str, &'static [u8])],
    ) -> &'static Self {
        let references: &'static [ExternalReference] =
            Box::leak(external_references(extensions).into_boxed_slice());
        Box::leak(Box::new(Self { extensions, blob, cache, references: references.into() }))
    }

    pub(crate) fn references(&self) -> std::borrow::Cow<'static, [ExternalReference]> {
        self.references.clone()
    }

    pub(crate) fn script(&self, name: &str) -> Option<&'static Script> {
        self.extensions.iter().flat_map(|e| e.scripts).find(|s| s.name == name)
    }

    pub(crate) fn cache_of(&self, name: &str) -> Option<&'static [u8]> {
        self.cache.iter().find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
    }

    pub(crate) fn lazy_global(&self, name: &str) -> Option<&'static LazyGlobal> {
        self.extensions.iter().flat_map(|e| e.globals).find(|g| g.name == name)
    }
}

/// Every address that the blob can contain: the same list, in the same order, when it is made and when it is read.
pub(crate) fn external_references(extensions: &[&Extension]) -> Vec<ExternalReference> {
    let mut references = crate::realm::references();
    for extension in extensions {
        references.extend((extension.natives)().iter().map(|n| ExternalReference { function: n.callback }));
        references.extend(extension.scripts.iter().map(|script| source_reference(script.source)));
    }
    references.push(ExternalReference { pointer: std::ptr::null_mut() });
    references
}

/// The address of a source that the blob may refer to.
pub(crate) fn source_reference(source: &'static Source) -> ExternalReference {
    ExternalReference { pointer: std::ptr::from_ref(source).cast_mut().cast() }
}
