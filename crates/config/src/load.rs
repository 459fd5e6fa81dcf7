//! Finds a project's files and fills in what its configuration leaves out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::dotenv;
use crate::error::ConfigError;
use crate::node::{Node, Span};
use crate::project::{Loaded, Project};
use crate::reader::{MAX_NAME_CHARS, Reader};
use crate::schema::{self, Declared};
use crate::source::{SourceFile, Warnings};
use crate::{json_syntax, toml_syntax};

/// The names under which a folder's configuration is looked for; the first one is used.
const CONFIGURATION_FILES: [&str; 3] = ["wrangler.jsonc", "wrangler.json", "wrangler.toml"];

/// The scripts that are looked for if `main` is not set; the first one is used.
const MAIN_FILES: [&str; 6] =
    ["src/index.ts", "src/index.js", "src/index.mjs", "index.ts", "index.js", "index.mjs"];

/// The name of a Worker whose folder has no usable name.
const FALLBACK_NAME: &str = "worker";

/// Loads a project. `path` is a folder (with or without a configuration file), a configuration file (`.jsonc`,
/// `.json`, `.toml`) or a script (`.js`, `.mjs`, `.ts`, `.mts`, `.jsx`, `.tsx`), which is then `main` with default
/// settings; `None` is the current folder. Relative paths start at the current folder. `newest` is the newest compatibility
/// date whose changes are known, `YYYY-MM-DD`: the default, and what later dates are warned of.
///
/// # Errors
/// See [`ConfigError`]; the message names the file, and the place in it if the mistake is in the configuration.
pub fn load(path: Option<&Path>, newest: &str) -> Result<Loaded, ConfigError> {
    let given = path.unwrap_or_else(|| Path::new("."));
    let path = std::path::absolute(given).map_err(|source| unreadable(given, source))?;
    let mut warnings = Warnings::default();
    let target = find(path, &mut warnings)?;
    let (declared, main) = match &target.configuration {
        Some(file) => read_configuration(&target.dir, file, &mut warnings)?,
        None => (Declared::default(), target.script),
    };
    let main = match main {
        Some(main) => main,
        None => default_main(&target.dir)?,
    };
    let compatibility_date = declared.compatibility_date.clone().unwrap_or_else(|| {
        warnings
            .add(format!("no `compatibility_date` is set; {newest}, the newest that is supported, is used"));
        newest.to_owned()
    });
    // Dates of this form sort as text.
    if compatibility_date.as_str() > newest {
        warnings.add(format!(
            "`compatibility_date` is {compatibility_date}, but what changes after {newest} is not known to this version; \
             {newest}, the newest that is supported, is used"
        ));
    }
    let secrets = dotenv::read(&target.dir, &mut warnings, |name| declared.owner_of(name))?;
    let mut vars = declared.vars;
    for (name, value) in secrets.values {
        let value = serde_json::Value::String(value);
        match vars.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => vars.push((name, value)),
        }
    }
    let project = Project {
        name: declared.name.unwrap_or_else(|| default_name(&target.dir)),
        dir: target.dir,
        file: target.configuration,
        main,
        compatibility_date,
        compatibility_flags: declared.compatibility_flags,
        vars,
        services: declared.services,
        worker_loaders: declared.worker_loaders,
        no_bundle: declared.no_bundle,
        jsx_factory: declared.jsx_factory,
        jsx_fragment: declared.jsx_fragment,
        rules: declared.rules,
        atoll: declared.atoll,
    };
    Ok(Loaded { project, warnings: warnings.finish(), secret_files: secrets.files })
}

/// What a path turned out to be.
struct Target {
    dir: PathBuf,
    configuration: Option<PathBuf>,
    script: Option<PathBuf>,
}

fn find(path: PathBuf, warnings: &mut Warnings) -> Result<Target, ConfigError> {
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Err(ConfigError::NotFound { path }),
        Err(error) => return Err(unreadable(&path, error)),
    };
    if metadata.is_dir() {
        let configuration = configuration_in(&path, warnings)?;
        return Ok(Target { dir: path, configuration, script: None });
    }
    // Opening a pipe or a device could block for ever.
    let extension = if metadata.is_file() { extension(&path) } else { String::new() };
    let dir = path.parent().unwrap_or(&path).to_owned();
    match extension.as_str() {
        "jsonc" | "json" | "toml" => Ok(Target { dir, configuration: Some(path), script: None }),
        "js" | "mjs" | "ts" | "mts" | "jsx" | "tsx" => {
            Ok(Target { dir, configuration: None, script: Some(path) })
        }
        _ => Err(ConfigError::UnknownKind { path }),
    }
}

fn configuration_in(dir: &Path, warnings: &mut Warnings) -> Result<Option<PathBuf>, ConfigError> {
    let mut found = Vec::new();
    for name in CONFIGURATION_FILES {
        if is_file(&dir.join(name))? == Some(true) {
            found.push(name);
        }
    }
    if let [used, _, ..] = found.as_slice() {
        let all = found.join(", ");
        warnings.add(format!("the folder has several configuration files ({all}); `{used}` is used"));
    }
    Ok(found.first().map(|name| dir.join(name)))
}

/// Reads the configuration, and checks that the `main` it names exists.
fn read_configuration(
    dir: &Path,
    file: &Path,
    warnings: &mut Warnings,
) -> Result<(Declared, Option<PathBuf>), ConfigError> {
    let source = SourceFile::read(file)?;
    let document: Node = match extension(file).as_str() {
        "toml" => toml_syntax::parse(&source)?,
        _ => json_syntax::parse(&source, warnings)?,
    };
    let declared = schema::read(&document, &mut Reader::new(&source, warnings))?;
    let main = match &declared.main {
        Some((main, span)) => Some(declared_main(dir, main, span, &source)?),
        None => None,
    };
    Ok((declared, main))
}

fn declared_main(dir: &Path, main: &str, span: &Span, source: &SourceFile) -> Result<PathBuf, ConfigError> {
    let joined = dir.join(main);
    let path = std::path::absolute(&joined).map_err(|error| unreadable(&joined, error))?;
    let problem = match is_file(&path)? {
        Some(true) => return Ok(path),
        Some(false) => "is not a file",
        None => "does not exist",
    };
    Err(source.invalid(span, format!("`main` names {}, which {problem}", path.display())))
}

fn default_main(dir: &Path) -> Result<PathBuf, ConfigError> {
    for name in MAIN_FILES {
        let path = dir.join(name);
        if is_file(&path)? == Some(true) {
            return Ok(path);
        }
    }
    Err(ConfigError::NoMain { dir: dir.to_owned(), tried: MAIN_FILES.map(PathBuf::from).to_vec() })
}

/// Whether a path is a file; `None` if it does not exist.
fn is_file(path: &Path) -> Result<Option<bool>, ConfigError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.is_file())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Whether there is nothing at a path, as opposed to something that cannot be looked at.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

fn unreadable(path: &Path, source: io::Error) -> ConfigError {
    ConfigError::Read { path: path.to_owned(), source }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// The folder's name as a Worker's name.
fn default_name(dir: &Path) -> String {
    // A path such as `a/..` has no last name until it is resolved.
    let resolved = if dir.file_name().is_none() { fs::canonicalize(dir).ok() } else { None };
    let name = resolved.as_deref().unwrap_or(dir).file_name();
    let name = name.map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name
        .chars()
        .take(MAX_NAME_CHARS)
        .map(|character| if is_name_character(character) { character } else { '-' })
        .collect();
    match name.trim_matches('-') {
        "" => FALLBACK_NAME.to_owned(),
        name => name.to_owned(),
    }
}

fn is_name_character(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::default_name;

    #[test]
    fn a_folder_name_becomes_a_worker_name() {
        let cases = [
            ("/a/my-worker_2", "my-worker_2"),
            ("/a/My Worker", "my-worker"),
            ("/a/.hidden.", "hidden"),
            ("/a/čaj", "aj"),
            ("/a/日本", "worker"),
            ("/", "worker"),
        ];
        for (dir, expected) in cases {
            assert_eq!(default_name(Path::new(dir)), expected, "{dir}");
        }
    }
}
