//! A project's modules: from the main module along its static imports, or, with `no_bundle`, everything that the rules
//! name, as it lies.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use atoll_config::{ModuleKind, Project};
use atoll_isolate::modules::ModuleSource;
use globset::{Glob, GlobSet, GlobSetBuilder};

/// Modules of a project.
pub struct Modules {
    /// Name of the main module.
    pub main: String,
    /// All modules by name.
    pub modules: Vec<(String, ModuleSource)>,
    /// Names that imports use which leave endings out: (alias, name).
    pub aliases: Vec<(String, String)>,
}

/// Why modules could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not UTF-8 text.
    #[error("the module {} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// TypeScript that does not parse.
    #[error("{0}")]
    Syntax(#[from] atoll_typescript::SyntaxError),
    /// A glob of a rule.
    #[error("the rule's glob {glob:?} is not valid: {message}")]
    Glob {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        message: String,
    },
    /// More than a project may have.
    #[error("the project has more than {0} modules")]
    TooMany(usize),
}

const MAX_MODULES: usize = 10_000;

/// Gathers a project's modules.
///
/// # Errors
/// [`BundleError`], naming the file.
pub fn gather(project: &Project) -> Result<Modules, BundleError> {
    if project.no_bundle { as_they_lie(project) } else { along_imports(project) }
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    std::fs::read(path).map_err(|source| BundleError::Read { path: path.to_owned(), source })
}

fn text(path: &Path) -> Result<String, BundleError> {
    String::from_utf8(read(path)?).map_err(|_| BundleError::NotText(path.to_owned()))
}

fn is_typescript(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "ts" || e == "mts")
}

/// The folder that module names are relative to.
fn root(project: &Project) -> PathBuf {
    let folder = project.main.parent().unwrap_or(&project.dir);
    if project.main.starts_with(&project.dir) { project.dir.clone() } else { folder.to_owned() }
}

fn name_of(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    relative.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn along_imports(project: &Project) -> Result<Modules, BundleError> {
    let root = root(project);
    let rules = Rules::new(project)?;
    let mut found = Modules { main: name_of(&root, &project.main), modules: Vec::new(), aliases: Vec::new() };
    let mut names: HashMap<PathBuf, String> = HashMap::new();
    let mut queue = VecDeque::from([project.main.clone()]);
    names.insert(project.main.clone(), found.main.clone());
    while let Some(path) = queue.pop_front() {
        if found.modules.len() == MAX_MODULES {
            return Err(BundleError::TooMany(MAX_MODULES));
        }
        let name = names[&path].clone();
        let kind = rules.kind(&name).unwrap_or(ModuleKind::ESModule);
        if kind != ModuleKind::ESModule {
            found.modules.push((name, source_of(kind, &path)?));
            continue;
        }
        if path.extension().is_some_and(|e| e == "json") {
            found.modules.push((name, ModuleSource::Json(text(&path)?)));
            continue;
        }
        let mut source = text(&path)?;
        if is_typescript(&path) {
            source = atoll_typescript::strip(&name, &source)?;
        }
        for specifier in atoll_typescript::imports(&name, &source) {
            let Some(target) = resolve(&path, &specifier) else { continue };
            let target_name = name_of(&root, &target);
            let asked = asked_name(&name, &specifier);
            if asked != target_name {
                found.aliases.push((asked, target_name.clone()));
            }
            if names.insert(target.clone(), target_name).is_none() {
                queue.push_back(target);
            }
        }
        found.modules.push((name, ModuleSource::Esm(source)));
    }
    Ok(found)
}

/// The file that a relative specifier means, endings tried as bundlers do. None: a built-in, a package, or not there;
/// the runtime says which when it is imported.
fn resolve(importer: &Path, specifier: &str) -> Option<PathBuf> {
    if specifier.contains(':') {
        return None;
    }
    let base = lexical(&importer.parent()?.join(specifier));
    let mut candidates = vec![base.clone()];
    let base_text = base.to_string_lossy().into_owned();
    for ending in [".ts", ".js", ".mjs", ".mts", ".json", "/index.ts", "/index.js"] {
        candidates.push(PathBuf::from(format!("{base_text}{ending}")));
    }
    // TypeScript sources import each other by the names that they will have.
    if let Some(stem) = base_text.strip_suffix(".js") {
        candidates.push(PathBuf::from(format!("{stem}.ts")));
    }
    if let Some(stem) = base_text.strip_suffix(".mjs") {
        candidates.push(PathBuf::from(format!("{stem}.mts")));
    }
    candidates.into_iter().find(|c| c.is_file())
}

/// A path without `.` and `..`, without asking the disk.
fn lexical(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                result.pop();
            }
            part => result.push(part),
        }
    }
    result
}

/// The name that the runtime will look for.
fn asked_name(importer: &str, specifier: &str) -> String {
    let folder = importer.rfind('/').map_or("", |end| &importer[..end]);
    atoll_isolate::modules::normalise(&format!("{folder}/{specifier}"))
}

fn source_of(kind: ModuleKind, path: &Path) -> Result<ModuleSource, BundleError> {
    Ok(match kind {
        ModuleKind::ESModule if is_typescript(path) => {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            ModuleSource::Esm(atoll_typescript::strip(&name, &text(path)?)?)
        }
        ModuleKind::ESModule => ModuleSource::Esm(text(path)?),
        ModuleKind::CommonJS => ModuleSource::CommonJs(text(path)?),
        ModuleKind::Text => ModuleSource::Text(text(path)?),
        ModuleKind::Data => ModuleSource::Data(read(path)?),
        ModuleKind::CompiledWasm => ModuleSource::Wasm(read(path)?),
    })
}

fn as_they_lie(project: &Project) -> Result<Modules, BundleError> {
    let root = project.main.parent().unwrap_or(&project.dir).to_owned();
    let rules = Rules::new(project)?;
    let main = name_of(&root, &project.main);
    let mut found = Modules { main: main.clone(), modules: Vec::new(), aliases: Vec::new() };
    let mut folders = VecDeque::from([root.clone()]);
    while let Some(folder) = folders.pop_front() {
        let entries = std::fs::read_dir(&folder)
            .map_err(|source| BundleError::Read { path: folder.clone(), source })?;
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if hidden || path.ends_with("node_modules") {
                continue;
            }
            if path.is_dir() {
                folders.push_back(path);
                continue;
            }
            let name = name_of(&root, &path);
            let kind = if name == main {
                Some(rules.kind(&name).unwrap_or(ModuleKind::ESModule))
            } else {
                rules.kind(&name)
            };
            if let Some(kind) = kind {
                if found.modules.len() == MAX_MODULES {
                    return Err(BundleError::TooMany(MAX_MODULES));
                }
                found.modules.push((name, source_of(kind, &path)?));
            }
        }
    }
    Ok(found)
}

/// The project's rules, then wrangler's defaults.
struct Rules(Vec<(GlobSet, ModuleKind)>);

const DEFAULT_RULES: &[(&[&str], ModuleKind)] = &[
    (&["**/*.txt", "**/*.html", "**/*.sql"], ModuleKind::Text),
    (&["**/*.bin"], ModuleKind::Data),
    (&["**/*.wasm", "**/*.wasm?module"], ModuleKind::CompiledWasm),
    (&["**/*.cjs"], ModuleKind::CommonJS),
];

impl Rules {
    fn new(project: &Project) -> Result<Self, BundleError> {
        let mut sets = Vec::new();
        for rule in &project.rules {
            sets.push((glob_set(rule.globs.iter().map(String::as_str))?, rule.kind));
        }
        for (globs, kind) in DEFAULT_RULES {
            sets.push((glob_set(globs.iter().copied())?, *kind));
        }
        Ok(Self(sets))
    }

    fn kind(&self, name: &str) -> Option<ModuleKind> {
        self.0.iter().find(|(globs, _)| globs.is_match(name)).map(|(_, kind)| *kind)
    }
}

fn glob_set<'a>(globs: impl Iterator<Item = &'a str>) -> Result<GlobSet, BundleError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let invalid = |message: String| BundleError::Glob { glob: glob.to_owned(), message };
        set.add(Glob::new(glob).map_err(|e| invalid(e.kind().to_string()))?);
    }
    set.build().map_err(|e| BundleError::Glob { glob: String::new(), message: e.to_string() })
}
