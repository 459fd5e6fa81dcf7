//! Tests of the allow list: its forms, what each permits, and properties of the parser.

use proptest::prelude::*;

use super::*;

fn policy(entries: &[&str]) -> AddressPolicy {
    AddressPolicy::parse(entries).expect("a valid allow list")
}

fn sockets(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|text| text.parse().expect("address and port")).collect()
}

fn admits(entries: &[&str], host: &str, address: &str) -> bool {
    policy(entries).admit(host, sockets(&[address])).is_ok()
}

#[test]
fn without_entries_only_public_addresses_are_admitted() {
    let public = sockets(&["8.8.8.8:80", "[2606:4700::1]:80"]);
    assert_eq!(AddressPolicy::public_only().admit("example.com", public.clone()), Ok(public));
    assert_eq!(
        AddressPolicy::public_only()
            .admit("Example.com.", sockets(&["[::ffff:10.0.0.1]:80", "127.0.0.1:80"])),
        Err(NetworkError::Refused {
            host: "Example.com.".into(),
            address: "10.0.0.1".parse().expect("an address"),
            reason: SpecialUse::Private,
        })
    );
}

#[test]
fn of_a_mixed_name_only_the_public_addresses_are_used() {
    let mixed = sockets(&["127.0.0.1:443", "8.8.8.8:443", "[fe80::1]:443"]);
    assert_eq!(AddressPolicy::public_only().admit("mixed.example", mixed), Ok(sockets(&["8.8.8.8:443"])));
}

#[test]
fn name_without_addresses_is_a_resolution_error() {
    let result = AddressPolicy::public_only().admit("none.example", []);
    assert!(matches!(result, Err(NetworkError::Dns { host, .. }) if host == "none.example"));
}

#[test]
fn addresses_and_blocks_permit_addresses_under_any_name() {
    assert!(admits(&["127.0.0.1"], "localhost", "127.0.0.1:80"));
    assert!(admits(&["127.0.0.1"], "127.0.0.1", "[::ffff:127.0.0.1]:80"));
    assert!(admits(&["::ffff:127.0.0.1"], "a.example", "127.0.0.1:80"));
    assert!(!admits(&["127.0.0.1"], "a.example", "127.0.0.2:80"));
    assert!(admits(&["10.0.0.0/8"], "a.example", "10.255.0.1:80"));
    assert!(!admits(&["10.0.0.0/8"], "a.example", "172.16.0.1:80"));
    assert!(admits(&["::ffff:10.0.0.0/104"], "a.example", "10.1.2.3:80"));
    assert!(admits(&["fd00::/8"], "a.example", "[fd12::1]:80"));
    assert!(admits(&["0.0.0.0/0"], "a.example", "127.0.0.1:80"));
    assert!(!admits(&["0.0.0.0/0"], "a.example", "[::1]:80"));
    assert!(admits(&["::/0"], "a.example", "[::1]:80"));
    // A translated address leads somewhere else than its IPv4 part says it does: it needs an entry of its
    // own.
    assert!(!admits(&["10.0.0.0/8"], "a.example", "[64:ff9b::a00:1]:80"));
}

#[test]
fn names_and_suffixes_permit_whatever_they_resolve_to() {
    assert!(admits(&["db.internal"], "db.internal", "10.0.0.1:80"));
    assert!(admits(&["DB.Internal."], "db.internal.", "10.0.0.1:80"));
    assert!(!admits(&["db.internal"], "x.db.internal", "10.0.0.1:80"));
    assert!(admits(&["*.internal"], "db.internal", "10.0.0.1:80"));
    assert!(admits(&["*.internal"], "a.b.internal", "10.0.0.1:80"));
    assert!(!admits(&["*.internal"], "internal", "10.0.0.1:80"));
    assert!(!admits(&["*.internal"], "evilinternal", "10.0.0.1:80"));
    assert!(!admits(&["*.internal"], ".internal", "10.0.0.1:80"));
    assert!(admits(&["b\u{fc}cher.example"], "xn--bcher-kva.example", "10.0.0.1:80"));
}

#[test]
fn ports_narrow_an_entry_down() {
    for (entry, host, right, wrong) in [
        ("127.0.0.1:8080", "localhost", "127.0.0.1:8080", "127.0.0.1:80"),
        ("[::1]:8080", "localhost", "[::1]:8080", "[::1]:80"),
        ("db.internal:8080", "db.internal", "10.0.0.1:8080", "10.0.0.1:80"),
        ("*.internal:8080", "db.internal", "10.0.0.1:8080", "10.0.0.1:80"),
    ] {
        assert!(admits(&[entry], host, right), "{entry}");
        assert!(!admits(&[entry], host, wrong), "{entry}");
    }
    assert!(admits(&["[::1]"], "localhost", "[::1]:80"));
}

#[test]
fn wrong_entries_say_what_is_wrong() {
    use AllowEntryProblem as Problem;
    let host_name = |text: &str| Problem::HostName(text.into());
    for (entry, expected) in [
        ("", Problem::Empty),
        ("10.0.0/8", Problem::BlockAddress("10.0.0".into())),
        ("host/8", Problem::BlockAddress("host".into())),
        ("10.0.0.0/33", Problem::PrefixLength { prefix: "33".into(), max: 32 }),
        ("10.0.0.0/+8", Problem::PrefixLength { prefix: "+8".into(), max: 32 }),
        ("10.0.0.0/", Problem::PrefixLength { prefix: String::new(), max: 32 }),
        ("10.0.0.0/8:80", Problem::PrefixLength { prefix: "8:80".into(), max: 32 }),
        ("fd00::/129", Problem::PrefixLength { prefix: "129".into(), max: 128 }),
        ("10.1.2.3/8", Problem::NotABlock { expected: "10.0.0.0/8".into() }),
        ("fd00::1/8", Problem::NotABlock { expected: "fd00::/8".into() }),
        ("10.0.0.1:0", Problem::Port("0".into())),
        ("10.0.0.1:65536", Problem::Port("65536".into())),
        ("host:+80", Problem::Port("+80".into())),
        ("host:", Problem::Port(String::new())),
        ("fd00::1::2", Problem::Ipv6),
        ("[fd00::1", Problem::Ipv6),
        ("[10.0.0.1]:80", Problem::Ipv6),
        ("[fd00::1]80", Problem::Ipv6),
        ("127.1", Problem::ShortIpv4 { expected: "127.0.0.1".into() }),
        ("0x7f000001", Problem::ShortIpv4 { expected: "127.0.0.1".into() }),
        ("*", Problem::Wildcard),
        ("a.*.example", Problem::Wildcard),
        ("*.*.example", Problem::Wildcard),
        ("*.", host_name("")),
        ("a b", host_name("a b")),
        (" localhost", host_name(" localhost")),
        ("a..b", host_name("a..b")),
        ("%6c", host_name("%6c")),
        ("user@host", host_name("user@host")),
        ("http://host", host_name("http://host")),
    ] {
        assert_eq!(AllowEntry::parse(entry), Err(expected), "{entry:?}");
    }
    assert_eq!(AllowEntry::parse(&"a".repeat(MAX_ENTRY_BYTES + 1)), Err(Problem::TooLong));
    assert_eq!(AllowEntry::parse(&"a".repeat(64)), Err(host_name(&"a".repeat(64))));
}

#[test]
fn wrong_lists_name_the_entry() {
    let error = AddressPolicy::parse(&["127.0.0.1", "http://x"]).expect_err("a wrong entry");
    assert!(
        error.to_string().starts_with("the entry \"http://x\" of the outbound allow list is wrong"),
        "{error}"
    );
    let many = vec!["127.0.0.1"; MAX_ENTRIES + 1];
    assert_eq!(
        AddressPolicy::parse(&many).expect_err("too many"),
        InvalidAllowList::TooMany { count: MAX_ENTRIES + 1 }
    );
}

/// Texts near the grammar, where random ones would hardly ever be valid.
fn near_entries() -> impl Strategy<Value = String> {
    "(\\*\\.)?[\\[\\]a-fx0-9.:_-]{0,24}(/[0-9+]{0,4})?(:[0-9]{0,6})?"
}

proptest! {
    #[test]
    fn parse_takes_any_text(text in any::<String>()) {
        let _ = AllowEntry::parse(&text);
    }

    #[test]
    fn what_was_read_is_written_in_a_form_that_reads_the_same(text in near_entries()) {
        if let Ok(entry) = AllowEntry::parse(&text) {
            prop_assert_eq!(AllowEntry::parse(&entry.to_string()), Ok(entry));
        }
    }

    #[test]
    fn every_address_can_be_permitted_alone_and_in_its_block(
        bits in any::<u32>(),
        prefix in 0u8..=32,
        port in 1u16..,
    ) {
        let address = IpAddr::V4(bits.into());
        let block = format!("{}/{prefix}", mask(address, prefix));
        for entry in [address.to_string(), format!("{address}:{port}"), block] {
            let entry = AllowEntry::parse(&entry).expect("a valid entry");
            prop_assert!(entry.permits("any.example", address, port));
        }
    }

    #[test]
    fn block_permits_exactly_the_addresses_with_its_prefix(
        bits in any::<u128>(),
        other in any::<u128>(),
        prefix in 0u8..=128,
        shared in 0u32..=128,
    ) {
        // The highest bit keeps the block out of ::ffff:0:0/96, which counts as IPv4.
        let bits = bits | (1 << 127);
        let common = !u128::MAX.checked_shr(shared).unwrap_or(0);
        let address = IpAddr::V6(((bits & common) | (other & !common)).into());
        let block = mask(IpAddr::V6(bits.into()), prefix);
        let entry = AllowEntry::parse(&format!("{block}/{prefix}")).expect("a valid entry");
        prop_assert_eq!(entry.permits("any.example", address, 1), mask(address, prefix) == block);
    }
}
