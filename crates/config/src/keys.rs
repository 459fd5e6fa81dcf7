//! Which keys exist: those that are read, those of wrangler that are not supported yet, and a guess at what an
//! unknown one was meant to be.

/// The keys of one kind of object.
#[derive(Debug)]
pub(crate) struct KeySet {
    /// Keys that mean something here.
    pub(crate) read: &'static [&'static str],
    /// Keys that wrangler knows and that are ignored with a warning.
    pub(crate) unsupported: &'static [&'static str],
    /// Keys that are for other programs and are ignored without a word.
    pub(crate) silent: &'static [&'static str],
}

/// The document itself.
pub(crate) const PROJECT: KeySet = KeySet {
    read: &[
        "name",
        "main",
        "compatibility_date",
        "compatibility_flags",
        "vars",
        "services",
        "worker_loaders",
        "no_bundle",
        "jsx_factory",
        "jsx_fragment",
        "rules",
        "atoll",
    ],
    unsupported: UNSUPPORTED,
    silent: &["$schema"],
};

/// An element of `services`.
pub(crate) const SERVICE: KeySet = KeySet {
    read: &["binding", "service", "entrypoint", "props"],
    unsupported: &["environment", "remote"],
    silent: &[],
};

/// An element of `worker_loaders`.
pub(crate) const WORKER_LOADER: KeySet = KeySet { read: &["binding", "id"], unsupported: &[], silent: &[] };

/// An element of `rules`.
pub(crate) const RULE: KeySet =
    KeySet { read: &["type", "globs", "fallthrough"], unsupported: &[], silent: &[] };

/// The table `atoll`.
pub(crate) const ATOLL: KeySet =
    KeySet { read: &["outbound", "global_outbound"], unsupported: &[], silent: &[] };

/// The table `atoll.outbound`.
pub(crate) const OUTBOUND: KeySet = KeySet { read: &["allow"], unsupported: &[], silent: &[] };

/// The table `atoll.global_outbound`.
pub(crate) const SERVICE_TARGET: KeySet =
    KeySet { read: &["service", "entrypoint"], unsupported: &[], silent: &[] };

/// Top-level keys of wrangler, sorted, that are not in [`PROJECT`]: those of its `config-schema.json`, and some
/// that it had in earlier versions.
const UNSUPPORTED: &[&str] = &[
    "account_id",
    "ai",
    "ai_search",
    "ai_search_namespaces",
    "alias",
    "analytics_engine_datasets",
    "artifacts",
    "assets",
    "base_dir",
    "browser",
    "build",
    "cloudchamber",
    "compliance_region",
    "containers",
    "d1_databases",
    "data_blobs",
    "define",
    "dev",
    "dispatch_namespaces",
    "durable_objects",
    "env",
    "find_additional_modules",
    "first_party_worker",
    "flagship",
    "hyperdrive",
    "images",
    "keep_names",
    "keep_vars",
    "kv_namespaces",
    "legacy_env",
    "limits",
    "logfwdr",
    "logpush",
    "media",
    "migrations",
    "minify",
    "mtls_certificates",
    "node_compat",
    "observability",
    "pages_build_output_dir",
    "pipelines",
    "placement",
    "preserve_file_names",
    "preview_urls",
    "previews",
    "python_modules",
    "queues",
    "r2_buckets",
    "ratelimits",
    "route",
    "routes",
    "secrets",
    "secrets_store_secrets",
    "send_email",
    "send_metrics",
    "site",
    "stream",
    "streaming_tail_consumers",
    "tail_consumers",
    "text_blobs",
    "triggers",
    "tsconfig",
    "unsafe",
    "unsafe_hello_world",
    "upload_source_maps",
    "usage_model",
    "vectorize",
    "version_metadata",
    "vpc_networks",
    "vpc_services",
    "wasm_modules",
    "workers_dev",
    "workflows",
    "zone_id",
];

/// Longer keys than this are not compared: no key that exists comes near.
const MAX_COMPARED_CHARS: usize = 40;

impl KeySet {
    /// The key of this set that is most like an unknown one.
    pub(crate) fn nearest(&self, unknown: &str) -> Option<&'static str> {
        nearest(unknown, self.read.iter().chain(self.unsupported).copied())
    }
}

/// The name that is at most two edits away from an unknown one, the nearest first.
pub fn nearest<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let unknown: Vec<char> = unknown.chars().take(MAX_COMPARED_CHARS + 1).collect();
    // In a very short name two edits change everything.
    if unknown.len() < 4 || unknown.len() > MAX_COMPARED_CHARS {
        return None;
    }
    let names = names.filter(|name| name.len() <= 4 * MAX_COMPARED_CHARS);
    let nearest = names.map(|name| (edits(&unknown, name), name)).min_by_key(|(edits, _)| *edits);
    nearest.filter(|(edits, _)| *edits <= 2).map(|(_, name)| name)
}

/// The Levenshtein distance: how many characters must be added, removed or replaced.
fn edits(left: &[char], right: &str) -> usize {
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (index, wanted) in right.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, found) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(*found != wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[left.len()]
}

#[cfg(test)]
mod tests {
    use super::{PROJECT, UNSUPPORTED, edits};

    #[test]
    fn no_key_is_both_read_and_unsupported() {
        assert!(UNSUPPORTED.is_sorted());
        for key in UNSUPPORTED {
            assert!(!PROJECT.read.contains(key), "{key}");
        }
    }

    #[test]
    fn a_typing_error_finds_its_key() {
        assert_eq!(PROJECT.nearest("compatability_date"), Some("compatibility_date"));
        assert_eq!(PROJECT.nearest("kv_namespace"), Some("kv_namespaces"));
        assert_eq!(PROJECT.nearest("colour"), None);
        assert_eq!(PROJECT.nearest("nam"), None);
        assert_eq!(PROJECT.nearest(&"x".repeat(100_000)), None);
    }

    #[test]
    fn edits_are_counted() {
        let edits = |left: &str, right: &str| edits(&left.chars().collect::<Vec<_>>(), right);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }
}
