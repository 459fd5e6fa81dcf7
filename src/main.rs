//! `atoll`: the command line.

mod command_line;
mod logging;
mod serve;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = command_line::command().get_matches();
    match matches.subcommand() {
        Some(("serve", arguments)) => serve::run(arguments),
        Some(("test", arguments)) => test::run(arguments),
        _ => ExitCode::FAILURE,
    }
}
