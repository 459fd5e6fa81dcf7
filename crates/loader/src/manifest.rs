//! The layer's manifest, and the built-in modules that Workers can import.

use atoll_isolate::modules::Builtin;
use atoll_isolate::{Extension, Native, Script, script, v8};

use crate::{binding, invocation};

/// Workers, their invocations, the loader binding.
pub static EXTENSION: Extension = Extension {
    name: "loader",
    natives,
    scripts: SCRIPTS,
    globals: &[],
    bind: |_scope: &mut v8::PinScope<'_, '_>| {},
};

fn natives() -> Vec<Native> {
    [binding::natives(), invocation::natives()].concat()
}

const SCRIPTS: &[Script] = &[
    script!("loader", "worker", eager),
    script!("loader", "loader"),
    script!("loader", "code"),
    script!("loader", "events"),
    script!("loader", "with-env"),
    script!("loader", "trace"),
    script!("loader", "tracing"),
    script!("loader", "workers-module", eager),
    script!("loader", "sockets-module"),
    script!("loader", "email-module"),
    script!("loader", "workflows-module"),
    script!("loader", "node-module"),
];

const fn builtin(specifier: &'static str, script: &'static str, default: Option<&'static str>) -> Builtin {
    Builtin { specifier, script, default }
}

/// Built-ins of every Worker.
pub(crate) const BUILTINS: &[Builtin] = &[
    builtin("cloudflare:workers", "loader/workers-module", None),
    builtin("cloudflare:sockets", "loader/sockets-module", None),
    builtin("cloudflare:email", "loader/email-module", None),
    builtin("cloudflare:workflows", "loader/workflows-module", None),
    builtin("cloudflare:node", "loader/node-module", None),
];

/// Built-ins under `nodejs_compat`.
pub(crate) const NODE_BUILTINS: &[Builtin] = &[
    builtin("node:assert", "web/node/assert", Some("default")),
    builtin("node:assert/strict", "web/node/assert", Some("strict")),
    builtin("node:util", "web/node/util", Some("default")),
];
