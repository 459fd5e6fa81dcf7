//! Which files are found, and what is filled in for what is missing.

mod fixture;

use std::path::Path;

use atoll_config::{ConfigError, MAX_FILE_BYTES};
use fixture::{Folder, NEWEST, QUIET, load};

const DATE_WARNING: &str =
    "no `compatibility_date` is set; 2026-11-17, the newest that is supported, is used";

#[test]
fn a_folder_without_a_configuration_has_defaults() {
    let folder = Folder::new(&[("My Project/src/index.ts", "")]);
    let loaded = load(Some(&folder.join("My Project"))).unwrap();
    let project = loaded.project;
    assert_eq!(project.name, "my-project");
    assert_eq!(project.dir, folder.join("My Project"));
    assert_eq!(project.file, None);
    assert_eq!(project.main, folder.join("My Project/src/index.ts"));
    assert_eq!(project.compatibility_date, NEWEST);
    assert!(project.compatibility_flags.is_empty() && project.vars.is_empty() && project.rules.is_empty());
    assert!(project.services.is_empty() && project.worker_loaders.is_empty() && !project.no_bundle);
    assert!(project.atoll.outbound_allow.is_empty() && project.atoll.global_outbound.is_none());
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].to_string(), DATE_WARNING);
}

#[test]
fn the_usual_scripts_are_looked_for_in_order() {
    let folder = Folder::new(&[]);
    for name in ["index.mjs", "index.js", "index.ts", "src/index.mjs", "src/index.js", "src/index.ts"] {
        folder.write(name, b"");
        assert_eq!(folder.load().unwrap().project.main, folder.join(name));
    }
}

#[test]
fn without_any_script_the_error_lists_what_was_tried() {
    let folder = Folder::new(&[("index.tsx", ""), ("index.js/keep", "")]);
    let error = folder.load().unwrap_err();
    assert!(matches!(error, ConfigError::NoMain { .. }));
    let expected = format!(
        "{}: there is no script to run; set `main` or add one of: src/index.ts, src/index.js, src/index.mjs, \
         index.ts, index.js, index.mjs",
        folder.path().display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn of_several_configurations_the_first_is_used_with_a_warning() {
    let json = format!("{{{QUIET}}}");
    let toml = "name = \"t\"\nmain = \"w.js\"\ncompatibility_date = \"2026-01-01\"";
    let folder = Folder::new(&[("w.js", ""), ("wrangler.toml", toml)]);
    assert_eq!(folder.project().file, Some(folder.join("wrangler.toml")));

    folder.write("wrangler.json", json.as_bytes());
    let loaded = folder.load().unwrap();
    assert_eq!(loaded.project.file, Some(folder.join("wrangler.json")));
    let warning =
        "the folder has several configuration files (wrangler.json, wrangler.toml); `wrangler.json` is used";
    assert_eq!(loaded.warnings[0].to_string(), warning);

    folder.write("wrangler.jsonc", json.as_bytes());
    let loaded = folder.load().unwrap();
    assert_eq!(loaded.project.file, Some(folder.join("wrangler.jsonc")));
    assert!(loaded.warnings[0].message.ends_with("`wrangler.jsonc` is used"));
}

#[test]
fn a_configuration_file_can_be_named_itself() {
    let text = format!("{{{QUIET}}}");
    let folder = Folder::new(&[("w.js", ""), ("wrangler.toml", "not toml"), ("other.json", text.as_str())]);
    let project = load(Some(&folder.join("other.json"))).unwrap().project;
    assert_eq!(project.file, Some(folder.join("other.json")));
    assert_eq!((project.dir.as_path(), project.main), (folder.path(), folder.join("w.js")));
}

#[test]
fn a_script_is_a_project_with_defaults() {
    for name in ["a.js", "a.mjs", "a.ts", "a.mts", "a.jsx", "a.tsx"] {
        let folder = Folder::new(&[("p/wrangler.jsonc", "not json")]);
        folder.write(&format!("p/{name}"), b"");
        let loaded = load(Some(&folder.join("p").join(name))).unwrap();
        assert_eq!(loaded.project.main, folder.join("p").join(name));
        assert_eq!((loaded.project.name.as_str(), loaded.project.file), ("p", None));
        assert_eq!(loaded.project.dir, folder.join("p"));
        assert_eq!(loaded.warnings.len(), 1);
        assert_eq!(loaded.warnings[0].message, DATE_WARNING);
    }
}

#[test]
fn other_paths_are_refused() {
    let folder = Folder::new(&[("a.py", ""), ("noextension", "")]);
    for name in ["a.py", "noextension"] {
        let path = folder.join(name);
        let expected = format!(
            "{}: this is not a project; expected a folder, a configuration file (.jsonc, .json, .toml) or a \
             script (.js, .mjs, .ts, .mts, .jsx, .tsx)",
            path.display()
        );
        assert_eq!(load(Some(&path)).unwrap_err().to_string(), expected);
    }
    for name in ["missing", "missing.toml", "a.py/below"] {
        let path = folder.join(name);
        let error = load(Some(&path)).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: there is no such file or folder", path.display()));
    }
    assert!(matches!(load(Some(Path::new(""))), Err(ConfigError::Read { .. })));
}

#[test]
fn no_path_is_the_current_folder() {
    // Tests run in the crate's own folder, which has no script to run.
    let Err(ConfigError::NoMain { dir, .. }) = load(None) else { panic!("expected NoMain") };
    assert_eq!(dir, std::env::current_dir().unwrap());
}

#[test]
fn main_is_relative_to_the_configuration_and_may_be_outside() {
    let text = r#"{"main": "./../shared/./w.ts", "compatibility_date": "2026-01-01"}"#;
    let folder = Folder::new(&[("shared/w.ts", ""), ("p/wrangler.json", text)]);
    let project = load(Some(&folder.join("p"))).unwrap().project;
    assert_eq!(project.main, folder.join("p/../shared/w.ts"));
    assert_eq!(project.name, "p");
}

#[test]
fn a_main_that_is_not_there_is_an_error_naming_the_file() {
    let folder = Folder::jsonc("{\n  \"main\": \"src/x.ts\"\n}");
    let path = folder.join("src/x.ts");
    assert_eq!(folder.complaint(), format!("2:11 `main` names {}, which does not exist", path.display()));
    folder.write("src/x.ts/file", b"");
    assert_eq!(folder.complaint(), format!("2:11 `main` names {}, which is not a file", path.display()));
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let mut text = format!("{{{QUIET}}}").into_bytes();
    text.resize(MAX_FILE_BYTES as usize, b' ');
    let folder = Folder::new(&[("w.js", "")]);
    folder.write("wrangler.jsonc", &text);
    assert_eq!(folder.project().name, "w");

    text.push(b' ');
    folder.write("wrangler.jsonc", &text);
    let error = folder.load().unwrap_err();
    assert!(matches!(error, ConfigError::TooLarge { limit: MAX_FILE_BYTES, .. }));
    let expected = format!(
        "{}: the file is larger than 1048576 bytes, the most that a configuration may have",
        folder.join("wrangler.jsonc").display()
    );
    assert_eq!(error.to_string(), expected);
}
