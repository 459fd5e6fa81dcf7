//! Specifiers to names.

/// A module name in its one form: no `.` or `..` parts, no leading slash.
pub fn normalise(name: &str) -> String {
    join("", name)
}

/// Whether a specifier names a built-in outright.
pub(super) fn is_absolute(specifier: &str) -> bool {
    ["node:", "cloudflare:", "workerd:", "atoll:"].iter().any(|scheme| specifier.starts_with(scheme))
}

/// What `specifier` means in the module `importer`.
pub(super) fn resolve(specifier: &str, importer: &str) -> String {
    if is_absolute(specifier) {
        return specifier.to_owned();
    }
    let folder = importer.rfind('/').map_or("", |end| &importer[..end]);
    join(if specifier.starts_with('/') { "" } else { folder }, specifier)
}

fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_are_paths_from_the_importers_folder() {
        assert_eq!(resolve("./b.js", "lib/a.js"), "lib/b.js");
        assert_eq!(resolve("b.js", "lib/a.js"), "lib/b.js");
        assert_eq!(resolve("../b.js", "lib/a.js"), "b.js");
        assert_eq!(resolve("../../../b.js", "lib/a.js"), "b.js");
        assert_eq!(resolve("/b.js", "lib/deep/a.js"), "b.js");
        assert_eq!(resolve("node:assert", "lib/a.js"), "node:assert");
        assert_eq!(normalise("./a//b/../c.js"), "a/c.js");
    }
}
