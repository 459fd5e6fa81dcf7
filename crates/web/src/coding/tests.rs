use std::io::Write;
use std::time::Duration;

use super::*;
use crate::inbox::InboxLimits;

const FORMATS: [(Format, &str); 2] = [(Format::Gzip, "Gzip"), (Format::Brotli, "Brotli")];

fn compressed(format: Format, bytes: &[u8]) -> Vec<u8> {
    match format {
        Format::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).expect("write to memory");
            encoder.finish().expect("write to memory")
        }
        Format::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 22);
            encoder.write_all(bytes).expect("write to memory");
            encoder.into_inner()
        }
    }
}

async fn read(body: Body) -> Result<Bytes, BodyError> {
    body.collect(1 << 20).await
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Body::Bytes(bytes.into())
}

fn free() -> Payer {
    Payer::default()
}

/// Bytes that compress little, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn what_was_encoded_is_decoded() {
    for (format, _) in FORMATS {
        for bytes in [b"some text ".repeat(30_000), noise(300_000), b"x".to_vec()] {
            let whole = decoded(encoded(body(bytes.clone()), format, free()), format, free());
            assert_eq!(read(whole).await, Ok(bytes.into()));
        }
    }
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    for (format, _) in FORMATS {
        let text = b"some text ".repeat(300);
        let (mut sink, stream) = atoll_host::body::channel(1 << 20);
        for byte in compressed(format, &text) {
            sink.try_send(Bytes::copy_from_slice(&[byte])).expect("room");
        }
        sink.finish();
        assert_eq!(read(decoded(stream.into(), format, free())).await, Ok(text.into()));
    }
}

#[tokio::test]
async fn several_gzip_members_are_one_body() {
    let two = [compressed(Format::Gzip, b"one "), compressed(Format::Gzip, b"two")].concat();
    assert_eq!(read(decoded(body(two), Format::Gzip, free())).await, Ok(Bytes::from_static(b"one two")));
}

#[tokio::test]
async fn what_is_in_another_coding_is_refused() {
    for (format, name) in FORMATS {
        let whole = compressed(format, b"text");
        let cut = whole[..whole.len() - 3].to_vec();
        let ended = format!("{name} compressed stream ended prematurely.");
        let broken = format!("{name} decompression failed.");
        let trailing = [whole, b"trailing garbage".to_vec()].concat();
        let other = b"\xfethis is neither of them, and long enough that each of them sees it".to_vec();
        for (bytes, message) in [(cut, &ended), (Vec::new(), &ended), (other, &broken), (trailing, &broken)] {
            let error = read(decoded(body(bytes), format, free())).await.expect_err(message);
            assert_eq!(error, BodyError::Undecodable(message.clone()));
        }
    }
}

/// 64 MiB in some 64 KiB: never more than a piece of it is in memory.
#[tokio::test]
async fn a_bomb_comes_in_pieces() {
    for (format, _) in FORMATS {
        let bomb = compressed(format, &vec![0; 64 << 20]);
        let Body::Stream(mut stream) = decoded(body(bomb), format, free()) else { panic!("a stream") };
        let mut total = 0;
        while let Some(chunk) = stream.next().await {
            let length = chunk.expect("a piece").len();
            assert!(length <= 2 * PIECE, "a piece of {length} bytes");
            total += length;
        }
        assert_eq!(total, 64 << 20);
    }
}

/// Input that gives nothing must not keep a thread: each member costs more than its bytes.
#[test]
fn empty_members_come_with_pauses() {
    let members = compressed(Format::Gzip, b"").repeat(100_000);
    let bytes = [members, compressed(Format::Gzip, b"text")].concat();
    let Body::Stream(mut stream) = decoded(body(bytes), Format::Gzip, free()) else { panic!("a stream") };
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut pauses = 0;
    let outcome = loop {
        match stream.poll_next(&mut context) {
            Poll::Pending => pauses += 1,
            Poll::Ready(outcome) => break outcome,
        }
    };
    assert_eq!(outcome, Some(Ok(Bytes::from_static(b"text"))));
    assert!(pauses > 5, "{pauses} pauses");
}

#[tokio::test]
async fn who_has_no_budget_left_decodes_nothing() {
    let meter = Arc::new(Meter::new(Duration::ZERO));
    meter.charge(Duration::from_millis(1));
    let payer = Payer { meter: Some(meter), budget: None };
    let outcome = read(decoded(body(compressed(Format::Gzip, b"text")), Format::Gzip, payer)).await;
    assert_eq!(outcome, Err(BodyError::Disconnected));
}

/// Each Brotli stream may want a window of megabytes.
#[tokio::test]
async fn memory_of_decoders_is_counted() {
    let budget = Inbox::of_bodies("shop".into(), InboxLimits { bytes: 6 << 20, messages: 10 });
    let payer = || Payer { meter: None, budget: Some(budget.clone()) };
    let large = compressed(Format::Brotli, &noise(5 << 20));
    let error = read(decoded(body(large), Format::Brotli, payer())).await.expect_err("too large a window");
    assert!(error.to_string().contains("at most 6 MiB may be"), "{error}");
    let small = compressed(Format::Brotli, b"text");
    assert_eq!(read(decoded(body(small), Format::Brotli, payer())).await, Ok(Bytes::from_static(b"text")));
    assert!(budget.take((6 << 20) - 1024).is_ok(), "all was given back");
}

/// A reader gets what was written, although more will come.
#[tokio::test]
async fn a_pause_flushes() {
    for (format, _) in FORMATS {
        let (mut sink, stream) = atoll_host::body::channel(1 << 10);
        let Body::Stream(mut stream) = decoded(encoded(stream.into(), format, free()), format, free()) else {
            panic!("a stream")
        };
        for text in ["one", "two"] {
            sink.try_send(Bytes::from(text)).expect("room");
            assert_eq!(stream.next().await, Some(Ok(Bytes::from(text))));
        }
        sink.finish();
        assert_eq!(stream.next().await, None);
    }
}

#[test]
fn one_known_coding_alone_counts() {
    let says = |pairs: &[&str]| {
        let flat = pairs.iter().map(|text| (*text).to_owned()).collect();
        stated(&HeaderList::new(flat).expect("valid headers"))
    };
    assert_eq!(says(&["a", "b", "content-encoding", "gzip"]), Some(Format::Gzip));
    assert_eq!(says(&["content-encoding", "br"]), Some(Format::Brotli));
    assert_eq!(says(&["content-encoding", "gzip, br"]), None);
    assert_eq!(says(&["content-encoding", "gzip", "content-encoding", "br"]), None);
    assert_eq!(says(&["content-encoding", "GZIP"]), None);
    assert_eq!(says(&[]), None);
}
