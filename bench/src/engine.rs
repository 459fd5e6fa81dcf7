//! The two servers that are compared, Atoll and workerd or an earlier build of Atoll: where their binaries come from,
//! and a running one.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::error::{BenchError, During};
use crate::http::Connection;
use crate::options::Options;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Atoll,
    Workerd,
    /// Another build of Atoll, which `--against` names.
    Earlier,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Atoll => "Atoll",
            Self::Workerd => "workerd",
            Self::Earlier => "earlier",
        }
    }
}

/// Binaries that are there and ready to start.
#[derive(Debug)]
pub(crate) struct Binaries {
    atoll: PathBuf,
    other: PathBuf,
    other_engine: Engine,
}

impl Binaries {
    /// Builds Atoll, and installs workerd from npm unless it is there already; neither where a path is given.
    pub(crate) fn prepare(options: &Options) -> Result<Self, BenchError> {
        let (other_engine, other) = match (&options.against, &options.workerd) {
            (Some(path), _) => (Engine::Earlier, path.clone()),
            (None, Some(path)) => (Engine::Workerd, path.clone()),
            (None, None) => (Engine::Workerd, install_workerd()?),
        };
        let atoll = match &options.atoll {
            Some(path) => path.clone(),
            None => build_atoll()?,
        };
        Ok(Self { atoll, other, other_engine })
    }

    /// The two that are compared, in the order in which they take their turns.
    pub(crate) fn engines(&self) -> [Engine; 2] {
        [Engine::Atoll, self.other_engine]
    }

    /// What each binary says of its version.
    pub(crate) fn version(&self, engine: Engine) -> Result<String, BenchError> {
        let path = self.path(engine);
        let output =
            Command::new(path).arg("--version").output().during(format!("run {}", path.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts a server of the benchmark's parent Worker and waits until it listens.
    pub(crate) fn start(&self, engine: Engine) -> Result<Server, BenchError> {
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("worker");
        let mut command = Command::new(self.path(engine));
        match engine {
            Engine::Atoll | Engine::Earlier => command.arg("serve").arg(worker).args(["--port", "0"]),
            // The port that was chosen is printed as JSON on file descriptor 1, the standard output.
            Engine::Workerd => command
                .arg("serve")
                .arg(worker.join("config.capnp"))
                .args(["--experimental", "--control-fd=1"]),
        };
        Server::spawn(engine, &mut command)
    }

    fn path(&self, engine: Engine) -> &Path {
        match engine {
            Engine::Atoll => &self.atoll,
            Engine::Workerd | Engine::Earlier => &self.other,
        }
    }
}

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    fn spawn(engine: Engine, command: &mut Command) -> Result<Self, BenchError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().during(format!("start {program}"))?;
        let found = child.stdout.take().and_then(read_address);
        let Some(address) = found else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(BenchError::NoAddress { engine: engine.name() });
        };
        Ok(Self { engine, address, child })
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> Result<Connection, BenchError> {
        Connection::open(self.address).during(format!("connect to {}", self.engine.name()))
    }

    /// One request that must be answered with 200: a failed operation must not pass for a fast one.
    pub(crate) fn ask(&self, connection: &mut Connection, target: &str) -> Result<(), BenchError> {
        let response = connection.get(target).during(format!("ask {} for {target}", self.engine.name()))?;
        if response.status() != 200 {
            return Err(BenchError::Answer {
                engine: self.engine.name(),
                target: target.to_owned(),
                status: response.status(),
                body: response.text(),
            });
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines until one tells the port, and leaves a thread behind that empties the pipe from then on.
fn read_address(stdout: impl Read + Send + 'static) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stdout).lines();
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| address_in(&line))?;
    thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(address)
}

/// The address in a line like `... http://127.0.0.1:PORT ...` (Atoll) or
/// `{"event":"listen","socket":"http","port":PORT}` (workerd).
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once("http://127.0.0.1:").or_else(|| line.split_once("\"port\":"))?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(SocketAddr::from(([127, 0, 0, 1], digits.parse().ok()?)))
}

fn build_atoll() -> Result<PathBuf, BenchError> {
    eprintln!("Building Atoll ...");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).args(["build", "--release", "--package", "atoll"]).current_dir(root))?;
    // This program lies in the target directory, in the folder of its own profile: Atoll is in the one beside it.
    let own = std::env::current_exe().during("find this program")?;
    let target = own.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
    Ok(target.join("release").join(format!("atoll{}", std::env::consts::EXE_SUFFIX)))
}

/// Installs the npm package into `bench/.workerd`, which git ignores. Its install script would only replace a small
/// start script by the real binary, which is used here from the start.
fn install_workerd() -> Result<PathBuf, BenchError> {
    let system = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-64",
        ("linux", "aarch64") => "linux-arm64",
        (os, arch) => {
            return Err(BenchError::Unsupported(format!(
                "the benchmark reads /proc and so needs Linux, not {os} on {arch}"
            )));
        }
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".workerd");
    let binary = folder.join(format!("node_modules/@cloudflare/workerd-{system}/bin/workerd"));
    if !binary.exists() {
        eprintln!("Installing workerd ...");
        std::fs::create_dir_all(&folder).during(format!("make {}", folder.display()))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "workerd", "--prefix"])
            .arg(&folder);
        // The standard output is kept for the result.
        run(npm.stdout(Stdio::null()))?;
    }
    if !binary.exists() {
        return Err(BenchError::Unsupported(format!("npm installed workerd, but not {}", binary.display())));
    }
    Ok(binary)
}

fn run(command: &mut Command) -> Result<(), BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().during(format!("run {program}"))?;
    if status.success() { Ok(()) } else { Err(BenchError::Program { program, status }) }
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn addresses_are_found_in_what_servers_print() {
        let port = |line| address_in(line).map(|address| address.port());
        assert_eq!(port("Listening on http://127.0.0.1:4321"), Some(4321));
        assert_eq!(port("bench: http://127.0.0.1:80/ (ready)"), Some(80));
        assert_eq!(port(r#"{"event":"listen","socket":"http","port":41235}"#), Some(41235));
        assert_eq!(port(r#"{"event":"listen-inspector"}"#), None);
        assert_eq!(port("http://127.0.0.1:99999"), None);
    }
}
