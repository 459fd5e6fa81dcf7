//! The registry of paths: names are slash paths without a leading slash.

/// A module name in its one form: no `.` or `..` parts, no leading slash.
pub fn normalise(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        step(&mut parts, part);
    }
    parts.join("/")
}

/// Whether a specifier names a built-in outright.
fn is_absolute(specifier: &str) -> bool {
    ["node:", "cloudflare:", "workerd:", "atoll:"].iter().any(|scheme| specifier.starts_with(scheme))
}

/// What `specifier` means in the module `importer`. None: the path leaves the bundle.
pub(super) fn resolve(specifier: &str, importer: &str) -> Option<String> {
    if is_absolute(specifier) {
        return Some(specifier.to_owned());
    }
    let folder = importer.rfind('/').map_or("", |end| &importer[..end]);
    let folder = if specifier.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in specifier.split('/') {
        if !step(&mut parts, part) {
            return None;
        }
    }
    Some(parts.join("/"))
}

/// Goes one part along a path. False: above the root.
fn step<'a>(parts: &mut Vec<&'a str>, part: &'a str) -> bool {
    match part {
        "" | "." => true,
        ".." => parts.pop().is_some(),
        part => {
            parts.push(part);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_are_paths_from_the_importers_folder() {
        let name = |specifier, importer| resolve(specifier, importer).unwrap();
        assert_eq!(name("./b.js", "lib/a.js"), "lib/b.js");
        assert_eq!(name("b.js", "lib/a.js"), "lib/b.js");
        assert_eq!(name("../b.js", "lib/a.js"), "b.js");
        assert_eq!(name("/b.js", "lib/deep/a.js"), "b.js");
        assert_eq!(name("node:assert", "lib/a.js"), "node:assert");
        assert_eq!(normalise("./a//b/../c.js"), "a/c.js");
        assert_eq!(normalise("/../c.js"), "c.js");
    }

    #[test]
    fn a_specifier_cannot_leave_the_bundle() {
        assert_eq!(resolve("../../b.js", "lib/a.js"), None);
    }
}
