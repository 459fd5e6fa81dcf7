//! The startup blob and the code cache of Atoll's isolates, made at build time from the manifests of all layers.

use std::sync::OnceLock;

use atoll_isolate::Startup;

pub mod weight;

static BLOB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/startup.bin"));
static CACHE: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/cache.rs"));

/// What isolates of this process are made from.
pub fn startup() -> &'static Startup {
    static STARTUP: OnceLock<&'static Startup> = OnceLock::new();
    STARTUP.get_or_init(|| Startup::new(atoll_loader::EXTENSIONS, BLOB, CACHE))
}

/// Size of the blob and of the code cache, in bytes.
pub fn sizes() -> (usize, usize) {
    (BLOB.len(), CACHE.iter().map(|(_, bytes)| bytes.len()).sum())
}
