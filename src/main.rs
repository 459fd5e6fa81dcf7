//! `atoll`: the command line.

mod command_line;
mod logging;
mod serve;
mod test;

use std::process::ExitCode;

/// V8's library brings an allocator that takes the place of `malloc`, made to withstand misuse by C++. Our own memory
/// need not pay for that: a call between isolates makes and frees some twenty small blocks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = command_line::command().get_matches();
    match matches.subcommand() {
        Some(("serve", arguments)) => serve::run(arguments),
        Some(("test", arguments)) => test::run(arguments),
        _ => ExitCode::FAILURE,
    }
}
