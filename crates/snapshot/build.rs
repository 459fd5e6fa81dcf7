//! Makes the startup blob, and in a second process the code cache: V8 allows one startup blob for each process, and a
//! code cache belongs to the blob that it was made under.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use atoll_isolate::{Startup, engine, snapshot};

const STAGE: &str = "ATOLL_SNAPSHOT_STAGE";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let out = Path::new(&out);
    engine::initialize("");
    if env::var_os(STAGE).is_some() {
        return make_cache(out);
    }
    match snapshot::make_blob(atoll_loader::EXTENSIONS) {
        Ok(blob) => fs::write(out.join("startup.bin"), blob).expect("OUT_DIR can be written to"),
        Err(error) => panic!("the startup snapshot cannot be made: {error}"),
    }
    let program = env::current_exe().expect("a build script knows its own path");
    let status =
        Command::new(program).env(STAGE, "cache").status().expect("a build script can run itself again");
    assert!(status.success(), "the code cache cannot be made");
}

fn make_cache(out: &Path) {
    let blob = fs::read(out.join("startup.bin")).expect("the first stage wrote the blob");
    let startup = Startup::new(atoll_loader::EXTENSIONS, Vec::leak(blob), &[]);
    let mut table = String::from("&[\n");
    for (index, (name, bytes)) in snapshot::make_cache(startup).into_iter().enumerate() {
        let file = out.join(format!("cache-{index}.bin"));
        fs::write(&file, bytes).expect("OUT_DIR can be written to");
        table.push_str(&format!("    ({name:?}, include_bytes!({:?})),\n", file.display().to_string()));
    }
    table.push(']');
    fs::write(out.join("cache.rs"), table).expect("OUT_DIR can be written to");
}
