//! Any bytes as a message: its reader gets a value or a `DataCloneError`, nothing else ever happens.
#![no_main]

#[path = "../../crates/snapshot/tests/value_reader/reader.rs"]
mod reader;

use std::cell::RefCell;

use reader::{Outcome, Reader};

thread_local! {
    static READER: RefCell<(Reader, u32)> = RefCell::new((Reader::new(), 0));
}

/// Messages after which what they left in the isolate is dropped.
const CLEAR_AFTER: u32 = 1000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    READER.with_borrow_mut(|(reader, count)| {
        if let Outcome::Other(what) = reader.read(reader::message_of(data)) {
            panic!("{what}");
        }
        *count += 1;
        if *count % CLEAR_AFTER == 0 {
            reader.clear();
        }
    });
});
