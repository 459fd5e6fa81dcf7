//! The project as the rest of the system sees it: plain data, checked and complete.

use std::path::PathBuf;

use crate::error::Warning;

/// What [`load`](crate::load) gives back: the project, and what its author should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The project.
    pub project: Project,
    /// What was ignored or assumed, in the order in which it was noticed; at most 101 entries.
    pub warnings: Vec<Warning>,
    /// The files beside the configuration whose secrets are among the project's [`vars`](Project::vars): `.dev.vars`, or
    /// `.env` and `.env.local`.
    pub secret_files: Vec<PathBuf>,
}

/// A Worker and its configuration. Everything that the file leaves out has its default here.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// The Worker's name (`name`). Default: the folder's name, reduced to `a-z`, `0-9`, `-` and `_`.
    pub name: String,
    /// The project's folder, absolute; relative paths of the configuration start here.
    pub dir: PathBuf,
    /// The configuration file, absolute; `None` if there is none and all settings are defaults.
    pub file: Option<PathBuf>,
    /// The script that exports the Worker (`main`), absolute, an existing file. It may be outside of
    /// [`dir`](Self::dir).
    pub main: PathBuf,
    /// `compatibility_date`, `YYYY-MM-DD`. Default: the newest that is known.
    pub compatibility_date: String,
    /// `compatibility_flags` in the order of the file; whether the flags exist is not checked here.
    pub compatibility_flags: Vec<String>,
    /// `vars` in the order of the file, then local secrets, which replace `vars` of the same name. A string becomes a text binding, everything else a JSON binding.
    pub vars: Vec<(String, serde_json::Value)>,
    /// `services`: bindings to other Workers.
    pub services: Vec<ServiceBinding>,
    /// `worker_loaders`: Worker Loader bindings.
    pub worker_loaders: Vec<LoaderBinding>,
    /// `no_bundle`: modules are taken as they are. Default: `false`.
    pub no_bundle: bool,
    /// `jsx_factory`: what JSX elements become calls of. Default: `React.createElement`.
    pub jsx_factory: Option<String>,
    /// `jsx_fragment`: what `<>` stands for. Default: `React.Fragment`.
    pub jsx_fragment: Option<String>,
    /// `rules`: how files are imported, first match first.
    pub rules: Vec<Rule>,
    /// The table `atoll`: settings that wrangler does not have.
    pub atoll: AtollSettings,
}

/// One entry of `services`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceBinding {
    /// The name of the property on `env`; unique among all bindings of the project.
    pub binding: String,
    /// The name of the Worker that is called; not empty.
    pub service: String,
    /// The named entrypoint of that Worker; `None` is its default export.
    pub entrypoint: Option<String>,
    /// What the entrypoint sees as `ctx.props`; always a JSON object.
    pub props: Option<serde_json::Value>,
}

/// One entry of `worker_loaders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderBinding {
    /// The name of the property on `env`; unique among all bindings of the project.
    pub binding: String,
    /// Bindings with the same id share one cache of isolates; without an id the cache is the binding's own.
    pub id: Option<String>,
}

/// One entry of `rules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// How a file that matches is imported (`type`).
    pub kind: ModuleKind,
    /// The patterns of file names, relative to the project's folder; not parsed here.
    pub globs: Vec<String>,
    /// Whether later rules of the same kind, and the built-in ones, still apply. Default: `false`.
    pub fallthrough: bool,
}

/// How a file is imported; the values of `rules[].type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModuleKind {
    /// `ESModule`: an ECMAScript module.
    ESModule,
    /// `CommonJS`: a CommonJS module.
    CommonJS,
    /// `Text`: the default export is a string.
    Text,
    /// `Data`: the default export is an `ArrayBuffer`.
    Data,
    /// `CompiledWasm`: the default export is a `WebAssembly.Module`.
    CompiledWasm,
}

impl ModuleKind {
    /// Every kind, in the order in which messages list them.
    pub const ALL: [ModuleKind; 5] =
        [Self::ESModule, Self::CommonJS, Self::Text, Self::Data, Self::CompiledWasm];

    /// The kind's name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ESModule => "ESModule",
            Self::CommonJS => "CommonJS",
            Self::Text => "Text",
            Self::Data => "Data",
            Self::CompiledWasm => "CompiledWasm",
        }
    }
}

/// The table `atoll`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtollSettings {
    /// `atoll.outbound.allow`: destinations that outbound connections may reach although their address is not
    /// public. Each is, in lower case, one of: an IP address, a CIDR block without host bits, a host name,
    /// `host:port` (IPv6 addresses in brackets), or `*.suffix`. Default: none.
    pub outbound_allow: Vec<String>,
    /// `atoll.global_outbound`: the service that answers the Worker's `fetch()` calls instead of the network.
    pub global_outbound: Option<ServiceTarget>,
}

/// A Worker and one of its entrypoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceTarget {
    /// The name of the Worker; not empty.
    pub service: String,
    /// The named entrypoint; `None` is the default export.
    pub entrypoint: Option<String>,
}
