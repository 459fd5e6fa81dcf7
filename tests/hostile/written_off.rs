//! What only a border between processes can contain; the README's threat model names each of these. V8 neither stops
//! some built-ins nor survives some allocations: a process then goes on without the thread. Each case says what holds
//! today all the same: its caller is answered, neighbours are too, and the process lives. That the thread is gone until
//! the process ends is the part that waits for the border.

use crate::support::wait_until;
use crate::*;

/// Rows as in `hostile!`, each on a server of its own, that lose a thread today: marked as needing a border.
macro_rules! needs_a_process_boundary {
    ($module:ident, $check:path; $($(#[$comment:meta])* $name:ident: $child:expr => $outcome:expr;)*) => {
        mod $module {
            use super::*;

            $(
                $(#[$comment])*
                #[test]
                fn $name() {
                    let (_project, server) = start();
                    attacked(&server, "call", &$child, &$outcome);
                    $check(&server);
                }
            )*
        }
    };
}

fn greedy(body: &str) -> Child {
    attack(body).cpu_ms(30_000)
}

/// A call of a method of `Array.prototype` on something of an endless length.
fn endless(method: &str, arguments: &str) -> Child {
    attack(&format!("return Array.prototype.{method}.call({{ length: 2 ** 53 - 2 }}{arguments});"))
}

needs_a_process_boundary! {
    v8_gives_up, lives;

    keys_of_one_object: greedy("const o = {}; for (;;) o[Symbol()] = 1;") => MEMORY;
    names_of_one_object: greedy("const o = {}; for (let i = 0; ; i++) o['k' + i] = i;") => MEMORY;
    a_map_of_numbers: greedy("const all = new Map(); for (let i = 0.5; ; i++) all.set(i, i);") => MEMORY;
    a_filled_array: greedy("return new Array(1e8).fill().length;") => MEMORY;
    a_long_property_name: greedy("await host.echo({ ['x'.repeat(1e8)]: 1 }); return 'sent';") => MEMORY;
    a_long_property_name_of_the_result: greedy("return { ['x'.repeat(1e8)]: 1 };") => MEMORY;
    a_sort_of_an_endless_length: endless("sort", "") => MEMORY;
    a_copy_that_is_sorted: attack("return [].toSorted.call({ length: 2 ** 32 - 1 });") => MEMORY;
    keys_of_a_buffer: greedy("return Object.keys(new Uint8Array(1e8)).length;") => MEMORY;
    a_hundred_million_arguments: greedy(
        "return String.fromCharCode.apply(null, new Uint8Array(1e8)).length;"
    ) => MEMORY;
    text_that_is_encoded: greedy("return new TextEncoder().encode('x'.repeat(5e8)).length;") => MEMORY;
    text_in_a_blob: greedy("return (await new Blob(['x'.repeat(5e8)]).text()).length;") => MEMORY;
    a_long_method_name: greedy("return host['x'.repeat(5e8)]();") => Error("");
    a_long_text_thrown: greedy("throw 'x'.repeat(5e8);") => Error("");
    a_long_text_that_is_read: greedy("const s = 'x'.repeat(5e8); return s.charCodeAt(s.length - 1);") => Answer;
    a_long_text_logged: greedy("console.log('x'.repeat(5e8)); return 'logged';") => Answer;
    a_long_text_in_parameters: greedy("return new URLSearchParams('x'.repeat(5e8)).size;") => Answer;
    text_in_a_header: greedy(
        "const h = new Headers(); h.set('x', 'y'.repeat(5e8)); return new Headers(h).get('x').length;"
    ) => Error("");
    /// V8 makes no array of as many elements, and checks for it late.
    a_long_text_that_is_split: greedy("return 'a'.repeat(2 ** 28).split('').length;") => MEMORY;
    many_matches: greedy("return 'a'.repeat(2 ** 28).match(/a/g).length;") => MEMORY;
    /// More than the allocator of V8's libraries gives at once.
    a_normalisation_that_grows: greedy(
        "return '\\ufdfa'.repeat(2 ** 25).normalize('NFKD').length;"
    ) => MEMORY;
    a_list_of_long_texts: greedy(
        "return new Intl.ListFormat('en').format(Array(20).fill('\\u00e4'.repeat(2 ** 28))).length;"
    ) => Error("");
}

needs_a_process_boundary! {
    v8_does_not_stop, loses_its_thread;

    index_of: endless("indexOf", ", 1") => CPU;
    last_index_of: endless("lastIndexOf", ", 1") => CPU;
    includes: endless("includes", ", 1") => CPU;
    reverse: endless("reverse", "") => CPU;
    copy_within: endless("copyWithin", ", 1") => CPU;
    every: endless("every", ", () => true") => CPU;
    reduce: endless("reduce", ", () => 1, 1") => CPU;
    shift: endless("shift", "") => CPU;
    unshift: endless("unshift", ", 1") => CPU;
    splice: endless("splice", ", 1, 1") => CPU;
    flat: endless("flat", "") => CPU;
    slice: attack("return Array.prototype.slice.call({ length: 2 ** 32 - 2 }, 1);") => CPU;
}

needs_a_process_boundary! {
    v8_stops_late, lives;

    json_of_100_megabytes: attack("return JSON.parse('[' + '1,'.repeat(5e7) + '1]').length;") => CPU;
    keys_of_a_buffer: attack("return Object.keys(new Uint8Array(3e7)).length;") => CPU;
    a_search_in_text: attack("return 'a'.repeat(2 ** 28).indexOf('a'.repeat(2 ** 20) + 'b');") => CPU;
    normalisation: attack("return '\\u0344'.repeat(2 ** 25).normalize('NFKD').length;") => CPU;
    a_large_number_as_text: attack("return (1n << 500000000n).toString().length;") => CPU;
    a_clone: attack("return structuredClone(new Array(2e7).fill(1.5)).length;") => CPU;
    /// The numbers come in an order that no run of the sort makes use of.
    a_sort: attack(
        "const a = []; let x = 1;
         for (let i = 0; i < 5e6; i++) a.push(x = (x * 1103515245 + 12345) & 0x3fffffff);
         return a.sort().length;"
    ).cpu_ms(1000) => CPU;
    a_sort_of_a_buffer: attack(
        "const a = new Float32Array(3e7); for (let i = 0; i < 3e7; i++) a[i] = Math.sin(i);
         return a.sort().length;"
    ).cpu_ms(1000) => CPU;
    a_sort_of_64_million_bytes: attack(
        "const a = new Uint8Array(64e6); for (;;) { a[0]++; a.sort(); }"
    ) => CPU;
}

/// Nothing beyond what [`attacked`] has seen already.
fn lives(_server: &Server) {}

/// The call goes on, at the lowest priority.
fn loses_its_thread(server: &Server) {
    assert_eq!(at_lowest_priority(server), 1, "threads that do not come back");
}

/// A process that has written many threads off is of little use: it takes no more requests, answers those that it has,
/// and ends with a code of its own, so that whoever watches over it starts another.
#[test]
fn a_process_that_lost_many_threads_drains_and_ends() {
    const CHILDREN: usize = 18;
    const LOST_THREADS: i32 = 75;
    let (_project, server) = start();
    let hostile = endless("indexOf", ", 1").cpu_ms(100);
    let patient = attack("await scheduler.wait(5000); return 'patient';");
    thread::scope(|scope| {
        let under_way = scope.spawn(|| run(&server, "call", &patient));
        wait_until("the patient request is under way", || server.get("/calls").text() == "1");
        let answers: Vec<_> = (0..CHILDREN).map(|_| scope.spawn(|| run(&server, "call", &hostile))).collect();
        for answer in answers {
            CPU.check(&answer.join().expect("the request is answered"));
        }
        Value("patient").check(&under_way.join().expect("the request is answered"));
    });
    assert_eq!(server.wait().code(), Some(LOST_THREADS));
}
