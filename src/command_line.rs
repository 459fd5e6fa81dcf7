//! Arguments and help.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

const EXAMPLES: &str = "Examples:
  atoll serve                      serve the project in this folder
  atoll serve examples/agent       serve another folder
  atoll serve app auth             serve two projects that bind to each other
  atoll test conformance/rpc-calls run a project's tests";

const SERVE_EXAMPLES: &str = "Examples:
  atoll serve
  atoll serve examples/agent --port 3000
  atoll serve app/wrangler.jsonc auth/wrangler.jsonc
  atoll serve src/index.ts --host 0.0.0.0
  atoll serve --admin 127.0.0.1:9090    metrics at http://127.0.0.1:9090/metrics";

const TEST_EXAMPLES: &str = "Examples:
  atoll test conformance/rpc-calls
  atoll test app auth --filter login
  atoll test app --json
  atoll test app --v8-flags \"--expose-gc\"";

fn projects() -> Arg {
    Arg::new("projects")
        .value_name("DIR | FILE")
        .num_args(0..)
        .value_parser(value_parser!(PathBuf))
        .help("Folders, wrangler configurations or scripts; the first is the main one [default: this folder]")
}

fn v8_flags() -> Arg {
    Arg::new("v8-flags")
        .long("v8-flags")
        .value_name("FLAGS")
        .allow_hyphen_values(true)
        .help("Flags for V8, for example \"--expose-gc\"")
}

fn admin_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "give an IP address and a port, as in 127.0.0.1:9090 or [::1]:9090".to_owned())
}

fn max_isolates() -> Arg {
    Arg::new("max-isolates")
        .long("max-isolates")
        .value_name("N")
        .default_value("3000")
        .value_parser(value_parser!(u32).range(2..))
        .help("Isolates in the process at once, blank ones included; above 3000 vm.max_map_count must be raised")
}

/// The command line's definition.
pub(crate) fn command() -> Command {
    Command::new("atoll")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-hosted runtime for dynamic workers: Workers that load Workers")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("serve")
                .about("Serve projects over HTTP")
                .after_help(SERVE_EXAMPLES)
                .arg(projects())
                .arg(
                    Arg::new("host")
                        .long("host")
                        .value_name("ADDRESS")
                        .default_value("127.0.0.1")
                        .value_parser(value_parser!(IpAddr))
                        .help("Address to listen on"),
                )
                .arg(
                    Arg::new("port")
                        .long("port")
                        .short('p')
                        .value_name("PORT")
                        .default_value("8787")
                        .value_parser(value_parser!(u16))
                        .help("Port to listen on; 0 picks a free one and prints it"),
                )
                .arg(
                    Arg::new("admin")
                        .long("admin")
                        .value_name("ADDRESS:PORT")
                        .value_parser(admin_address)
                        .help("Where to serve /metrics for Prometheus; port 0 picks a free one [default: nowhere]"),
                )
                .arg(
                    Arg::new("max-connections")
                        .long("max-connections")
                        .value_name("N")
                        .default_value("10000")
                        .value_parser(value_parser!(u32).range(1..))
                        .help("Connections of clients at once; each is a file descriptor, so see ulimit -n"),
                )
                .arg(max_isolates())
                .arg(v8_flags()),
        )
        .subcommand(
            Command::new("test")
                .about("Run a project's tests: exports with a test(controller, env, ctx) handler")
                .after_help(TEST_EXAMPLES)
                .arg(projects())
                .arg(
                    Arg::new("filter")
                        .long("filter")
                        .value_name("TEXT")
                        .help("Run tests whose names contain TEXT"),
                )
                .arg(
                    Arg::new("timeout")
                        .long("timeout")
                        .value_name("MS")
                        .default_value("60000")
                        .value_parser(value_parser!(u64).range(1..))
                        .help("Time limit for each test, in milliseconds"),
                )
                .arg(
                    Arg::new("json")
                        .long("json")
                        .action(ArgAction::SetTrue)
                        .help("One JSON object a line on stdout"),
                )
                .arg(max_isolates())
                .arg(v8_flags()),
        )
}
