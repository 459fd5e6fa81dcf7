//! How many resizable `ArrayBuffer`s there may be: each splits the process's memory map, whose parts Linux counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_isolate::{Native, natives, v8};

/// In one isolate.
pub const IN_ISOLATE: usize = 250;

/// In the process: with the mappings of all isolates that it may have, still fewer than the 65,530 of Linux's default.
pub const IN_PROCESS: usize = 3_000;

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Resizable buffers of one isolate; lives in its slot.
#[derive(Default)]
struct Held(usize);

impl Drop for Held {
    fn drop(&mut self) {
        ALIVE.fetch_sub(self.0, Ordering::Relaxed);
    }
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["holdResizable" => hold, "releaseResizable" => release]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn held<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Held {
    if scope.get_slot::<Held>().is_none() {
        scope.set_slot(Held::default());
    }
    scope.get_slot_mut::<Held>().expect("set above")
}

/// `holdResizable()`: whether there may be one more; it is counted then.
fn hold<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let held = held(scope);
    let room = held.0 < IN_ISOLATE
        && ALIVE
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < IN_PROCESS).then_some(n + 1))
            .is_ok();
    held.0 += usize::from(room);
    rv.set_bool(room);
}

/// `releaseResizable()`: one was collected.
fn release<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, _rv: Return<'_>) {
    let held = held(scope);
    if held.0 > 0 {
        held.0 -= 1;
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}
