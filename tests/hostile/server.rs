//! Servers that cases take over from each other: to start one takes longer than most cases. A case has its server to
//! itself, and a server that any case has harmed is not used again.

#![allow(clippy::print_stderr, reason = "what a failed test shows")]

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::support::{Project, Server};

/// After so many cases a server is replaced, so that what one leaves behind has few that can have left it.
const CASES: usize = 20;

static SHELF: Mutex<Shelf> = Mutex::new(Shelf { lent: 0, free: Vec::new() });

struct Shelf {
    lent: usize,
    free: Vec<Shared>,
}

struct Shared {
    server: Server,
    _project: Project,
    /// The names of the tests that used it, in their order.
    cases: Vec<String>,
}

fn shelf() -> MutexGuard<'static, Shelf> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server whose healthy child answers.
pub(crate) struct Lent {
    shared: Option<Shared>,
}

impl Lent {
    #[track_caller]
    pub(crate) fn take() -> Self {
        let mut shelf = shelf();
        shelf.lent += 1;
        let free = shelf.free.pop();
        drop(shelf);
        // From here on the count is given back, also where the start fails.
        let mut lent = Self { shared: free };
        let mut shared = lent.shared.take().unwrap_or_else(|| {
            let (project, server) = crate::start();
            Shared { server, _project: project, cases: Vec::new() }
        });
        shared.cases.push(thread::current().name().unwrap_or("a case").to_owned());
        lent.shared = Some(shared);
        lent
    }

    /// For the next case. A server that is dropped without this is ended.
    pub(crate) fn give_back(mut self) {
        let shared = self.shared.take().filter(|shared| shared.cases.len() < CASES);
        shelf().free.extend(shared);
    }
}

impl Deref for Lent {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.shared.as_ref().expect("taken by `give_back` only").server
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take().filter(|_| thread::panicking()) {
            eprintln!("this server ran, in this order: {}", shared.cases.join(", "));
        }
        let mut shelf = shelf();
        shelf.lent -= 1;
        // Nothing would drop what lies in a static when the last test is over.
        let unused = if shelf.lent == 0 { std::mem::take(&mut shelf.free) } else { Vec::new() };
        drop(shelf);
        drop(unused);
    }
}
