//! Whatever the bytes of a message say, its reader gets a value or a `DataCloneError`.

mod reader;
mod writer;

use std::sync::Arc;

use atoll_isolate::values::{Capability, Message};
use reader::{Outcome, Reader};

/// Values of every kind that can cross, host objects among them.
const CORPUS: &str = r#"[
  null, true, 1, -1, 2 ** 40, 0.5, NaN, 10n ** 40n, "text", "\u{1F600}", "x".repeat(5000),
  new Date(0), /a(b)+/gi, new Map([[1, { a: [1, 2] }], ["k", new Set([1, "2"])]]),
  Object(1), Object("s"), Object(true), Object(1n),
  [1, , 3], [1.5, 2.5], Object.assign([1, 2], { extra: true }), new Array(100),
  new ArrayBuffer(16), new Uint8Array([1, 2, 3]), new Float64Array(4), new DataView(new ArrayBuffer(8), 2, 4),
  new Uint8Array(new ArrayBuffer(4, { maxByteLength: 64 })), new BigInt64Array(2).subarray(1),
  (() => { const o = { list: [] }; o.self = o; o.list.push(o, o.list); return o; })(),
  { a: { b: { c: { d: [[[[1]]]] } } }, text: "v", 7: "index" },
  new Error("e"), Object.assign(new TypeError("t", { cause: new RangeError("c") }), { code: 7 }),
  new DOMException("m", "AbortError"), new Headers([["a", "1"], ["set-cookie", "x=y"], ["a", "2"]]),
  new Request("https://example.com/p?q", { method: "POST", body: "text", headers: { a: "b" } }),
  new Request("https://example.com/", { signal: AbortSignal.abort(new Error("why")) }),
  new Response("text", { status: 404, headers: { c: "d" } }), new Response(null, { status: 204 }),
  new Blob(["bytes"], { type: "text/plain" }), new File(["bytes"], "name.txt", { type: "text/plain", lastModified: 5 }),
  AbortSignal.abort("reason"), new AbortController().signal, new AggregateError([new Error("a"), 1], "m"), new Response("stream").body, new WritableStream({}),
  () => 1, { call() { return 1; }, deep: [() => 2, new Headers(), { blob: new Blob(["b"]) }] },
  [new Response("a"), new Response("b"), () => 3],
]"#;

/// The seed of this run: `ATOLL_SEED`, or by the clock.
fn seed() -> u64 {
    match std::env::var("ATOLL_SEED") {
        Ok(text) => text.parse().expect("ATOLL_SEED is a number"),
        Err(_) => fastrand::u64(..),
    }
}

#[derive(Clone)]
struct Case {
    passes: Vec<Vec<u8>>,
    caps: Vec<Capability>,
}

impl Case {
    fn of(message: &Message) -> Self {
        let passes = message.passes().iter().map(|pass| pass.to_vec()).collect();
        Self { passes, caps: message.capabilities().to_vec() }
    }

    fn message(&self) -> Message {
        Message::from_parts(self.passes.iter().map(|pass| Arc::from(&pass[..])).collect(), self.caps.clone())
    }
}

fn random_bytes(random: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let length = random.usize(..=most);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Numbers that lengths and indices are best replaced by: huge, or just off, as V8 writes them.
const NUMBERS: [&[u8]; 7] = [
    &[0],
    &[0x7f],
    &[0xff, 0xff, 0x03],
    &[0x80, 0x80, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x10],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

fn mutate_bytes(random: &mut fastrand::Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.usize(..=bytes.len());
    let end = random.usize(at..=bytes.len().min(at + 16));
    match random.u8(..8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
        1 if at < bytes.len() => bytes[at] = random.u8(..),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].repeat(random.usize(1..=8));
            bytes.splice(at..at, copy);
        }
        5 => {
            let from = random.usize(..=other.len());
            bytes.splice(at..end, other[from..other.len().min(from + 64)].iter().copied());
        }
        6 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())];
            bytes.splice(at..bytes.len().min(at + 1), number.iter().copied());
        }
        _ => {
            let tag = *random.choice(b"_0TFINZDS\"c^o{Aa@$R;':,BVr\\?-~tu\x00yxnzspwm").unwrap_or(&b'_');
            bytes.insert(at, tag);
        }
    }
}

fn mutate(random: &mut fastrand::Rng, case: &mut Case, other: &Case) {
    match random.u8(..12) {
        0 => case.caps.clear(),
        1 => random.shuffle(&mut case.caps),
        2 => case.caps.insert(0, reader::capability(random.u8(..))),
        3 => case.caps.extend(other.caps.iter().cloned()),
        4 => case.passes.push(other.passes.last().cloned().unwrap_or_default()),
        5 => {
            let length = case.passes.len();
            case.passes.resize(length.saturating_sub(1), Vec::new());
        }
        _ if !case.passes.is_empty() => {
            let index = random.usize(..case.passes.len());
            let donor = other.passes.get(random.usize(..other.passes.len().max(1))).map_or(&[][..], |p| p);
            mutate_bytes(random, &mut case.passes[index], donor);
        }
        _ => {}
    }
}

fn check(reader: &Reader, seed: u64, round: u32, case: &Case) -> Outcome {
    let outcome = reader.read(case.message());
    if let Outcome::Other(what) = &outcome {
        panic!(
            "{what}\nATOLL_SEED={seed}, round {round}, passes {:?}, {} capabilities",
            case.passes,
            case.caps.len()
        );
    }
    outcome
}

#[test]
fn random_and_mutated_messages_do_no_more_than_a_data_clone_error() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut reader = Reader::new();
    let mut values = 0;
    let mut corpus: Vec<Case> = Vec::new();
    const ROUNDS: u32 = 20_000;
    for round in 0..ROUNDS {
        if round % 500 == 0 {
            // Capabilities are taken by whoever reads them: each round of messages needs its own.
            reader.clear();
            corpus = writer::write(&reader, CORPUS).iter().map(Case::of).collect();
        }
        let mut case = corpus[random.usize(..corpus.len())].clone();
        let other = corpus[random.usize(..corpus.len())].clone();
        match random.u8(..10) {
            0 => case.passes = (0..random.usize(1..4)).map(|_| random_bytes(&mut random, 64)).collect(),
            1 => {
                // Behind a valid header more of the reader is reached.
                let body = random_bytes(&mut random, 64);
                case.passes = vec![[&[0xff, 0x10][..], &body].concat()];
            }
            _ => (0..random.u32(1..6)).for_each(|_| mutate(&mut random, &mut case, &other)),
        }
        values += u32::from(check(&reader, seed, round, &case) == Outcome::Value);
    }
    assert!(values > ROUNDS / 50, "only {values} messages could be read: the test reaches too little");
}

#[test]
fn messages_that_were_written_are_read() {
    let reader = Reader::new();
    for message in writer::write(&reader, CORPUS) {
        assert_eq!(reader.read(message), Outcome::Value);
    }
}

/// Descriptors `[kind, payload]` in a pass of their own, whose object the first pass refers to.
fn described(reader: &Reader, descriptors: &str, caps: Vec<Capability>) -> Outcome {
    let list = writer::write(reader, &format!("[{descriptors}]"));
    // A list of arguments is `[descriptors]`; only the list itself is wanted.
    let pass = unwrapped(list[0].passes()[0].to_vec());
    let value = vec![0xff, 0x10, b'\\', 0];
    reader.read(Message::from_parts(vec![value.into(), pass.into()], caps))
}

/// `[x]` as V8 writes it, without the list around `x`.
fn unwrapped(bytes: Vec<u8>) -> Vec<u8> {
    let (header, body) = bytes.split_at(2);
    let body = body.strip_prefix(b"A\x01").and_then(|b| b.strip_suffix(b"$\0\x01"));
    [header, body.expect("a list of one")].concat()
}

#[test]
fn hostile_descriptors_are_refused() {
    let reader = Reader::new();
    let payloads = [
        "undefined",
        "null",
        "0",
        "1",
        "-1",
        "1.5",
        "4294967296",
        "NaN",
        "'text'",
        "{}",
        "[]",
        "[0]",
        "[[]]",
        "['x']",
        "['stub', 0]",
        "['stub', ['stub', 0]]",
        "[0, ['disposable', [0, 0]]]",
        "['a', 1]",
        "new Array(4e9)",
        "{ bytes: 1, type: 'a' }",
        "{ bytes: new Uint16Array(1), type: 'a' }",
        "{ bytes: new Uint8Array(1), type: 1 }",
        "{ method: 1, url: 'a', headers: [], body: null, redirect: 'manual' }",
        "{ method: 'GET', url: 'a', headers: ['a'], body: null, redirect: 'manual' }",
        "{ method: 'GET', url: 'a', headers: [], body: 9, redirect: 'manual' }",
        "{ method: 'GET', url: 'a', headers: [], body: null, redirect: 'manual', signal: {} }",
        "{ status: 'x', statusText: '', headers: [], body: null, url: '' }",
        "{ status: 200, statusText: '', headers: new Array(4e9), body: null, url: '' }",
        "{ status: 200, statusText: '', headers: [], body: -1, url: '' }",
        "[true, 0]",
        "[false, 0]",
        "['a', 'b', false, { own: new Array(4e9), nested: [] }]",
        "['a', 'b', false, { own: [], nested: ['c', { list: new Array(4e9) }] }]",
        "['a', 'b', false, { thrown: 1 }]",
        "(() => { const e = ['a', 'b', false, { own: [], nested: [] }]; e[3].nested.push('c', { error: e }); return e; })()",
        "(() => { let e = ['a', 'b', false, undefined]; for (let i = 0; i < 60; i++) {
            e = ['a', 'b', false, { own: [], nested: ['c', { error: e }, 'd', { error: e }] }]; } return e; })()",
        "(() => { const d = ['disposable', []]; d[1] = [0, d]; return d[1]; })()",
    ];
    let kinds = [
        "undefined",
        "7",
        "{}",
        "'nothing'",
        "'toString'",
        "'__proto__'",
        "'Headers'",
        "'Request'",
        "'Response'",
        "'Blob'",
        "'File'",
        "'ReadableStream'",
        "'WritableStream'",
        "'AbortSignal'",
        "'DOMException'",
        "'stub'",
        "'service'",
        "'disposable'",
        "'disposed'",
        "'Error'",
    ];
    // What is well-formed by chance: an empty header list, a signal with a reason.
    let fine = |kind: &str, payload: &str| match kind {
        "'Headers'" => matches!(payload, "[]"),
        "'AbortSignal'" => payload == "[true, 0]",
        // A stub that can do nothing has no payload to check.
        "'disposed'" => true,
        _ => false,
    };
    for kind in kinds {
        for payload in payloads {
            for caps in [0, 1, 3] {
                // Only what nobody knows: each index is of the wrong kind, or out of range.
                let caps = (0..caps).map(|_| reader::capability(3)).collect();
                let outcome = described(&reader, &format!("[[{kind}, {payload}]]"), caps);
                let wanted = if fine(kind, payload) { Outcome::Value } else { Outcome::DataCloneError };
                assert_eq!(outcome, wanted, "[{kind}, {payload}]");
            }
        }
    }
    for descriptors in
        ["7", "null", "{}", "[]", "[7]", "[null]", "[[]]", "[['Headers']]", "[['Headers', [], 1]]", "[,]"]
    {
        assert_eq!(described(&reader, descriptors, Vec::new()), Outcome::DataCloneError, "{descriptors}");
    }
}

#[test]
fn a_capability_is_taken_once() {
    let reader = Reader::new();
    let body = || vec![reader::capability(0)];
    let one = "['ReadableStream', 0]";
    assert_eq!(described(&reader, &format!("[{one}]"), body()), Outcome::Value);
    assert_eq!(described(&reader, &format!("[{one}, {one}]"), body()), Outcome::DataCloneError);
}

#[test]
fn a_limit_is_named_to_whoever_reads() {
    let reader = Reader::with_handles(10);
    let streams: Vec<_> = (0..11).map(|index| format!("['ReadableStream', {index}]")).collect();
    let caps = (0..11).map(|_| reader::capability(0)).collect();
    match described(&reader, &format!("[{}]", streams.join(",")), caps) {
        Outcome::Other(text) => assert!(text.contains("10"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_without_passes_or_with_too_many_are_refused() {
    let reader = Reader::new();
    assert_eq!(reader.read(reader::message_of(&[])), Outcome::DataCloneError);
    let empty_list: Arc<[u8]> = [0xff, 0x10, b'A', 0, b'$', 0, 0].into();
    let value: Arc<[u8]> = [0xff, 0x10, b'_'].into();
    for (passes, wanted) in [(15, Outcome::Value), (16, Outcome::DataCloneError)] {
        let mut all = vec![value.clone()];
        all.extend(std::iter::repeat_n(empty_list.clone(), passes));
        assert_eq!(reader.read(Message::from_parts(all, Vec::new())), wanted);
    }
}

/// `value` in a message of one pass.
fn read_bytes(reader: &Reader, body: &[u8]) -> Outcome {
    let pass = [&[0xff, 0x10], body].concat();
    reader.read(Message::from_parts(vec![pass.into()], Vec::new()))
}

#[test]
fn lengths_that_nobody_sent_bytes_for_take_no_memory() {
    let reader = Reader::new();
    // Thirty million holes, many times.
    let sparse = [b'a', 0x80, 0x8e, 0xa7, 0x0e, b'@', 0, 0x80, 0x8e, 0xa7, 0x0e];
    assert_eq!(read_bytes(&reader, &sparse), Outcome::DataCloneError);
    let many = [&[b'A', 100][..], &sparse.repeat(100), &[b'$', 0, 100]].concat();
    assert_eq!(read_bytes(&reader, &many), Outcome::DataCloneError);
    // Arrays in arrays, each of which claims all that is left.
    let nested = [&[b'A', 0x80, 0x80, 0x04].repeat(1000)[..], &[b'_'; 0x10000]].concat();
    assert_eq!(read_bytes(&reader, &nested), Outcome::DataCloneError);
    for tag in *b"\"cSBZ~" {
        assert_eq!(read_bytes(&reader, &[tag, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0]), Outcome::DataCloneError);
    }
}

#[test]
fn depth_ends_in_an_error() {
    let reader = Reader::new();
    for depth in [100, 10_000, 1_000_000] {
        for (open, close) in
            [(&b"A\x01"[..], &b"$\0\x01"[..]), (b"o\"\x01a", b"{\x01"), (b";", b"_:\x02"), (b"rc", b".")]
        {
            let body = [&open.repeat(depth)[..], b"_", &close.repeat(depth)].concat();
            let wanted = if depth == 100 { Outcome::Value } else { Outcome::DataCloneError };
            let outcome = read_bytes(&reader, &body);
            assert!(
                outcome == wanted || depth == 10_000 && outcome == Outcome::Value,
                "{depth}: {outcome:?}"
            );
        }
    }
}
