//! The binary as a user runs it: a served project, a command that ends, a project in a folder of its own.

#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::print_stderr, reason = "what a failed test shows")]

#[path = "../../bench/src/http.rs"]
pub(crate) mod http;
pub(crate) mod silent;
pub(crate) mod upstream;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::http::{Connection, Response};

/// How long anything may take before a test calls it hung. Far above what any of it takes.
const HANG_GUARD: Duration = Duration::from_secs(120);

/// Waits until `condition` holds; a test hangs no longer than the guard allows.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG_GUARD, "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// One of the projects in `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A project in a new folder, which is removed when this value is dropped.
pub(crate) struct Project {
    folder: PathBuf,
}

impl Project {
    /// Writes the given files: pairs of a path inside the folder and a text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static COUNTER: AtomicUsize = AtomicUsize::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("project-{}-{number}", std::process::id());
        let project = Self { folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name) };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// A Worker with this main module and nothing else in its configuration.
    pub(crate) fn worker(main: &str) -> Self {
        let configuration = r#"{ "name": "worker", "main": "index.js", "compatibility_date": "2026-07-01" }"#;
        Self::new(&[("wrangler.jsonc", configuration), ("index.js", main)])
    }

    /// A Worker with this main module and a Worker Loader, `env.LOADER`.
    pub(crate) fn loading_worker(main: &str) -> Self {
        let configuration = r#"{
            "name": "worker",
            "main": "index.js",
            "compatibility_date": "2026-07-01",
            "worker_loaders": [{ "binding": "LOADER" }]
        }"#;
        Self::new(&[("wrangler.jsonc", configuration), ("index.js", main)])
    }

    /// A copy of an example.
    pub(crate) fn copy_of(name: &str) -> Self {
        let project = Self::new(&[]);
        copy_folder(&example(name), project.path());
        project
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// The folder as an argument of a command.
    pub(crate) fn argument(&self) -> &str {
        self.folder.to_str().expect("the target folder's path is UTF-8")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.folder.join(path);
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("make the project's folder");
        fs::write(file, text).expect("write a file of the project");
    }

    /// Replaces the one occurrence of a text in a file.
    pub(crate) fn replace(&self, path: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.folder.join(path)).expect("read a file of the project");
        assert_eq!(text.matches(old).count(), 1, "{path} must contain {old:?} once:\n{text}");
        self.write(path, &text.replace(old, new));
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a folder");
    for entry in fs::read_dir(from).expect("list a folder") {
        let path = entry.expect("list a folder").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copy a file");
        }
    }
}

fn atoll() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
    command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command that has ended left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `atoll` with these arguments to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    let mut child = atoll().args(arguments).spawn().expect("start atoll");
    let stdout = Captured::from(child.stdout.take().expect("stdout is a pipe"));
    let stderr = Captured::from(child.stderr.take().expect("stderr is a pipe"));
    let status = wait_for(&mut child);
    Ended { status, stdout: stdout.all(), stderr: stderr.all() }
}

fn wait_for(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("wait for atoll") {
            return status;
        }
        if begun.elapsed() >= HANG_GUARD {
            let _ = child.kill();
            panic!("atoll did not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a process writes, collected line by line as it comes.
struct Captured {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Captured {
    fn from(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let mut text = shared.lock().expect("the text is whole");
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().expect("the text is whole").clone()
    }

    /// Everything; waits until the process has closed its end.
    fn all(self) -> String {
        self.reader.join().expect("read to the end");
        self.text.lock().expect("the text is whole").clone()
    }
}

/// `atoll serve` on a port of its own choice, ended when this value is dropped.
pub(crate) struct Server {
    child: Option<Child>,
    stdout: Captured,
    stderr: Captured,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(project: impl AsRef<Path>) -> Self {
        Self::start_all(&[project.as_ref()])
    }

    /// Serves several projects together; the first one answers HTTP.
    pub(crate) fn start_all(projects: &[&Path]) -> Self {
        Self::start_with(projects, &[])
    }

    /// As [`Server::start_all`], with further options.
    pub(crate) fn start_with(projects: &[&Path], options: &[&str]) -> Self {
        Self::start_in(projects, options, &[])
    }

    /// As [`Server::start_with`], with further environment variables.
    pub(crate) fn start_in(projects: &[&Path], options: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = atoll()
            .arg("serve")
            .args(projects)
            .args(["--port", "0"])
            .args(options)
            .envs(variables.iter().copied())
            .spawn()
            .expect("start atoll serve");
        let stdout = Captured::from(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Captured::from(child.stderr.take().expect("stderr is a pipe"));
        let begun = Instant::now();
        let address = loop {
            if let Some(address) = printed_address(&stdout.so_far()) {
                break address;
            }
            let ended = child.try_wait().expect("wait for atoll serve");
            if ended.is_some() || begun.elapsed() >= HANG_GUARD {
                let _ = child.kill();
                panic!("atoll serve printed no address ({ended:?}):\n{}{}", stdout.so_far(), stderr.so_far());
            }
            thread::sleep(Duration::from_millis(5));
        };
        Self { child: Some(child), stdout, stderr, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("the server has not been waited for").id()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address).expect("connect to atoll serve")
    }

    /// One request on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.connect().get(target).expect("get an answer")
    }

    /// What the server has written to stderr until now.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// All that the server has written until now, to stdout and to stderr.
    pub(crate) fn output(&self) -> String {
        self.stdout.so_far() + &self.stderr.so_far()
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        let process = libc::pid_t::try_from(self.process()).expect("a process id fits");
        // SAFETY: kill(2) touches no memory of ours. The process is our child and has not been waited for, so that
        // its id cannot have been given to another.
        let result = unsafe { libc::kill(process, signal) };
        assert_eq!(result, 0, "send signal {signal}");
    }

    /// Waits until the server ends by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server has not been waited for");
        wait_for(&mut child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("--- stderr of atoll serve\n{}---", self.stderr());
        }
    }
}

fn printed_address(stdout: &str) -> Option<SocketAddr> {
    let (_, after) = stdout.split_once("http://127.0.0.1:")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(SocketAddr::from(([127, 0, 0, 1], digits.parse().ok()?)))
}

/// The body as JSON.
pub(crate) fn json(response: &Response) -> serde_json::Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

/// Fails unless `text` contains each of `parts`.
#[track_caller]
pub(crate) fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected {part:?} in:\n{text}");
    }
}
