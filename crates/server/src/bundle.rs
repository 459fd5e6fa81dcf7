//! A project's modules: from the main module along its imports and what CommonJS modules require, or, with `no_bundle`, everything that the rules
//! name, as it lies.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use atoll_config::{ModuleKind, Project};
use atoll_isolate::modules::ModuleSource;
use atoll_typescript::{Form, Jsx, Request, requests};
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
    let files = Files { rules: Rules::new(project)?, jsx: jsx_of(project) };
    if project.no_bundle { files.as_they_lie(project) } else { files.along_imports(project) }
}

/// What JSX becomes in a project's modules.
fn jsx_of(project: &Project) -> Jsx {
    let mut jsx = Jsx::default();
    if let Some(factory) = &project.jsx_factory {
        jsx.factory.clone_from(factory);
    }
    if let Some(fragment) = &project.jsx_fragment {
        jsx.fragment.clone_from(fragment);
    }
    jsx
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    std::fs::read(path).map_err(|source| BundleError::Read { path: path.to_owned(), source })
}

fn text(path: &Path) -> Result<String, BundleError> {
    String::from_utf8(read(path)?).map_err(|_| BundleError::NotText(path.to_owned()))
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
}

fn name_of(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts = relative.components().filter(|part| !matches!(part, Component::RootDir));
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// How the files of a project become modules.
struct Files {
    rules: Rules,
    jsx: Jsx,
}

/// A file that imports lead to.
struct Found {
    path: PathBuf,
    source: ModuleSource,
}

/// A module asked for a file: the path that its specifier spells, and the file that this is.
struct Link {
    asked: PathBuf,
    target: PathBuf,
}

/// What the importing module says of a file.
#[derive(Clone, Copy, Default)]
struct Hint {
    /// `with { type: "json" }`.
    json: bool,
    main: bool,
}

impl Files {
    fn along_imports(&self, project: &Project) -> Result<Modules, BundleError> {
        let main = real(&project.main);
        let (mut files, mut links) = (Vec::new(), Vec::new());
        let mut seen = HashSet::from([main.clone()]);
        let mut queue = VecDeque::from([(main.clone(), Hint { main: true, ..Hint::default() })]);
        while let Some((path, hint)) = queue.pop_front() {
            if files.len() == MAX_MODULES {
                return Err(BundleError::TooMany(MAX_MODULES));
            }
            let (source, requests) = self.follow(&path, &real(&project.dir), hint)?;
            for request in requests {
                let Some(link) = resolve(&path, &request.specifier) else { continue };
                if seen.insert(link.target.clone()) {
                    let json = request.attribute.as_deref() == Some("json");
                    queue.push_back((link.target.clone(), Hint { json, main: false }));
                }
                links.push(link);
            }
            files.push(Found { path, source });
        }
        let paths = files.iter().map(|file| &file.path).chain(links.iter().map(|link| &link.asked));
        let root = root_of(project, paths);
        let mut aliases: Vec<(String, String)> = links
            .iter()
            .map(|link| (name_of(&root, &link.asked), name_of(&root, &link.target)))
            .filter(|(asked, name)| asked != name)
            .collect();
        aliases.sort_unstable();
        aliases.dedup();
        let main = name_of(&root, &main);
        let modules = files.into_iter().map(|file| (name_of(&root, &file.path), file.source)).collect();
        Ok(Modules { main, modules, aliases })
    }

    /// Reads a file; gives the module, and what it asks for.
    fn follow(
        &self,
        path: &Path,
        dir: &Path,
        hint: Hint,
    ) -> Result<(ModuleSource, Vec<Request>), BundleError> {
        let name = name_of(dir, path);
        let kind = self.rules.kind(&name);
        if hint.json || (kind.is_none() && has_ending(path, &["json"])) {
            return Ok((ModuleSource::Json(text(path)?), Vec::new()));
        }
        let form = match kind {
            Some(ModuleKind::CommonJS) => Form::CommonJs,
            Some(ModuleKind::ESModule) => Form::Module,
            Some(kind) => return Ok((self.source_of(kind, path)?, Vec::new())),
            None if hint.main => Form::Module,
            None => Form::Either,
        };
        let mut source = self.javascript(&name, path)?;
        let scan = requests(&source, form);
        // What an attribute says was looked at here, and the registry of paths knows none.
        for request in
            scan.requests.iter().rev().filter(|request| request.attribute.as_deref() == Some("json"))
        {
            erase(&mut source, &request.attributes_at);
        }
        let commonjs = form == Form::CommonJs || scan.commonjs;
        let source = if commonjs { ModuleSource::CommonJs(source) } else { ModuleSource::Esm(source) };
        Ok((source, scan.requests))
    }

    /// The text of a script, as JavaScript.
    fn javascript(&self, name: &str, path: &Path) -> Result<String, BundleError> {
        let source = text(path)?;
        if has_ending(path, &["ts", "mts", "cts", "tsx", "jsx"]) {
            return Ok(atoll_typescript::compile(name, &source, &self.jsx)?);
        }
        Ok(source)
    }

    fn source_of(&self, kind: ModuleKind, path: &Path) -> Result<ModuleSource, BundleError> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(match kind {
            ModuleKind::ESModule => ModuleSource::Esm(self.javascript(&name, path)?),
            ModuleKind::CommonJS => ModuleSource::CommonJs(self.javascript(&name, path)?),
            ModuleKind::Text => ModuleSource::Text(text(path)?),
            ModuleKind::Data => ModuleSource::Data(read(path)?),
            ModuleKind::CompiledWasm => ModuleSource::Wasm(read(path)?),
        })
    }

    fn as_they_lie(&self, project: &Project) -> Result<Modules, BundleError> {
        let root = project.main.parent().unwrap_or(&project.dir).to_owned();
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
                let kind = self.rules.kind(&name).or((name == main).then_some(ModuleKind::ESModule));
                let Some(kind) = kind else { continue };
                if found.modules.len() == MAX_MODULES {
                    return Err(BundleError::TooMany(MAX_MODULES));
                }
                if kind == ModuleKind::CompiledWasm {
                    found.aliases.push((format!("{name}?module"), name.clone()));
                }
                found.modules.push((name, self.source_of(kind, &path)?));
            }
        }
        Ok(found)
    }
}

/// The file itself where a path leads over symbolic links, as bundlers see it: a module is one, however it is reached.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| lexical(path))
}

/// The folder that module names are relative to: the project's, or, if its modules come from elsewhere too, the nearest
/// one above all of them.
fn root_of<'a>(project: &Project, paths: impl Iterator<Item = &'a PathBuf>) -> PathBuf {
    let (dir, main) = (real(&project.dir), real(&project.main));
    let mut root =
        if main.starts_with(&dir) { dir } else { main.parent().map(Path::to_owned).unwrap_or(dir) };
    for path in paths {
        while !path.starts_with(&root) && root.pop() {}
    }
    root
}

/// The file that a relative specifier means, endings tried as bundlers do. None: a built-in, a package, or not there;
/// the runtime says which when it is imported.
fn resolve(importer: &Path, specifier: &str) -> Option<Link> {
    if specifier.contains(':') {
        return None;
    }
    let asked = lexical(&importer.parent()?.join(specifier));
    let file = file_at(&asked).or_else(|| {
        // `x.wasm?module`: the query is none of the file's name.
        let path = specifier.split(['?', '#']).next().filter(|path| !path.is_empty())?;
        file_at(&lexical(&importer.parent()?.join(path)))
    })?;
    Some(Link { asked, target: real(&file) })
}

const ENDINGS: [&str; 17] = [
    "",
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".mts",
    ".cjs",
    ".cts",
    ".json",
    "/index.ts",
    "/index.tsx",
    "/index.js",
    "/index.jsx",
    "/index.mjs",
    "/index.cjs",
    "/index.json",
];
/// TypeScript sources import each other by the names that they will have.
const WRITTEN_AS: [(&str, &str); 5] =
    [(".js", ".ts"), (".js", ".tsx"), (".jsx", ".tsx"), (".mjs", ".mts"), (".cjs", ".cts")];

fn file_at(path: &Path) -> Option<PathBuf> {
    let text = path.to_string_lossy();
    let ended = ENDINGS.iter().map(|ending| PathBuf::from(format!("{text}{ending}")));
    let written = WRITTEN_AS
        .iter()
        .filter_map(|(from, to)| Some(PathBuf::from(format!("{}{to}", text.strip_suffix(from)?))));
    ended.chain(written).find(|candidate| candidate.is_file())
}

/// Puts spaces in the place of a part of a text, lines stay.
fn erase(source: &mut String, range: &Range<usize>) {
    let blank: String = source[range.clone()]
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}') { c } else { ' ' })
        .collect();
    source.replace_range(range.clone(), &blank);
}

/// A path without `.` and `..`, without asking the disk.
fn lexical(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            part => result.push(part),
        }
    }
    result
}

/// The project's rules, then wrangler's defaults.
struct Rules(Vec<(GlobSet, ModuleKind)>);

const DEFAULT_RULES: &[(&[&str], ModuleKind)] = &[
    (&["**/*.txt", "**/*.html", "**/*.sql"], ModuleKind::Text),
    (&["**/*.bin"], ModuleKind::Data),
    (&["**/*.wasm", "**/*.wasm?module"], ModuleKind::CompiledWasm),
    (&["**/*.cjs", "**/*.cts"], ModuleKind::CommonJS),
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
