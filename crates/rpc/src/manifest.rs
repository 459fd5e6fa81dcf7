//! The layer's manifest.

use atoll_isolate::{Extension, Native, Script, script, v8};

use crate::{client, object, paths, server};

/// RPC: classes of `cloudflare:workers`, stubs and dispatch.
pub static EXTENSION: Extension = Extension {
    name: "rpc",
    natives,
    scripts: SCRIPTS,
    globals: &[],
    bind: |_scope: &mut v8::PinScope<'_, '_>| {},
};

fn natives() -> Vec<Native> {
    [client::natives(), object::natives(), paths::natives(), server::natives()].concat()
}

const SCRIPTS: &[Script] = &[
    script!("rpc", "targets", eager),
    script!("rpc", "stubs", eager),
    script!("rpc", "services", eager),
    script!("rpc", "loopbacks"),
    script!("rpc", "values", eager),
    script!("rpc", "dispatch", eager),
];
