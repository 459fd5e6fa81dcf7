//! The entries of `atoll.outbound.allow`: what they may look like, and their one spelling.

use std::net::{IpAddr, Ipv6Addr};

/// Why an entry is refused. The messages follow the entry's key: "`atoll.outbound.allow[0]` …".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("must be a host, not a URL; leave out \"://\" and what stands before it")]
    Url,
    #[error(
        "may have a `*` only as its first label, as in \"*.example.com\", and then neither a port nor a prefix \
         length"
    )]
    Wildcard,
    #[error("has \"{0}\" before the `/`, which is not an IP address")]
    CidrAddress(String),
    #[error("has the prefix length \"{given}\"; it must be a number from 0 to {most}")]
    CidrLength { given: String, most: u8 },
    #[error("has bits set behind its prefix length; did you mean \"{0}\"?")]
    CidrHostBits(String),
    #[error("has the port \"{0}\"; it must be a number from 1 to 65535")]
    Port(String),
    #[error("must have an IPv6 address between the brackets, as in \"[::1]:8080\"")]
    Brackets,
    #[error("looks like an IPv6 address, but is not one; with a port, write it as \"[::1]:8080\"")]
    Ipv6,
    #[error("looks like an IPv4 address, but is not four numbers from 0 to 255, as in \"10.0.0.1\"")]
    Ipv4,
    #[error(
        "has the host name \"{0}\"; it must be labels of 1 to 63 letters, digits, `-` or `_` with dots between, \
         at most 253 characters in all; write other letters in Punycode (\"xn--…\")"
    )]
    HostName(String),
}

/// Checks an entry and returns it in lower case, with addresses in their usual form: an IP address, a CIDR block,
/// a host name, `host:port` or `*.suffix`.
pub(crate) fn normalise(entry: &str) -> Result<String, EntryError> {
    if entry.contains("://") {
        return Err(EntryError::Url);
    }
    if entry.contains('*') {
        return wildcard(entry);
    }
    if let Some((address, length)) = entry.split_once('/') {
        return cidr(address, length);
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if let Some(rest) = entry.strip_prefix('[') {
        return bracketed(rest);
    }
    match entry.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(EntryError::Ipv6),
        Some((host, port)) => Ok(format!("{}:{}", host_or_ipv4(host)?, parse_port(port)?)),
        None => host_name(entry),
    }
}

fn wildcard(entry: &str) -> Result<String, EntryError> {
    match entry.strip_prefix("*.") {
        Some(suffix) if !suffix.contains(['*', ':', '/']) => Ok(format!("*.{}", host_name(suffix)?)),
        _ => Err(EntryError::Wildcard),
    }
}

fn cidr(address: &str, length: &str) -> Result<String, EntryError> {
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(EntryError::CidrAddress(address.to_owned()));
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = digits(length).and_then(|text| text.parse::<u8>().ok()).filter(|bits| *bits <= most);
    let Some(bits) = bits else {
        return Err(EntryError::CidrLength { given: length.to_owned(), most });
    };
    let network = network(address, bits);
    let block = format!("{network}/{bits}");
    if network == address { Ok(block) } else { Err(EntryError::CidrHostBits(block)) }
}

/// The address with everything behind the first `bits` bits set to zero.
fn network(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// What follows a `[`: an IPv6 address, `]`, and perhaps a port.
fn bracketed(rest: &str) -> Result<String, EntryError> {
    let (address, port) = rest.split_once(']').ok_or(EntryError::Brackets)?;
    let address: Ipv6Addr = address.parse().map_err(|_| EntryError::Brackets)?;
    match port.strip_prefix(':') {
        Some(port) => Ok(format!("[{address}]:{}", parse_port(port)?)),
        None if port.is_empty() => Ok(address.to_string()),
        None => Err(EntryError::Brackets),
    }
}

fn parse_port(port: &str) -> Result<u16, EntryError> {
    let number = digits(port).and_then(|text| text.parse::<u16>().ok()).filter(|number| *number != 0);
    number.ok_or_else(|| EntryError::Port(port.to_owned()))
}

/// Number parsers accept a sign, which has no place here.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

fn host_or_ipv4(host: &str) -> Result<String, EntryError> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => host_name(host),
    }
}

fn host_name(text: &str) -> Result<String, EntryError> {
    // The dot of the DNS root says nothing that matters here.
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(EntryError::HostName(text.to_owned()));
    }
    // The URL Standard takes a host that ends in a number for an IPv4 address, so such a name could never match.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if hexadecimal || digits(last).is_some() {
        return Err(EntryError::Ipv4);
    }
    Ok(name)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::{EntryError, normalise};

    #[test]
    fn every_form_is_accepted_and_gets_one_spelling() {
        let cases = [
            ("10.0.0.1", "10.0.0.1"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("[::1]", "::1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.0.0.1/32", "10.0.0.1/32"),
            ("FD00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::1/128", "::1/128"),
            ("Localhost", "localhost"),
            ("db_1.Internal.example.", "db_1.internal.example"),
            ("localhost:8080", "localhost:8080"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("[FD00::1]:80", "[fd00::1]:80"),
            ("*.Internal.Example", "*.internal.example"),
        ];
        for (entry, expected) in cases {
            assert_eq!(normalise(entry).as_deref(), Ok(expected), "{entry}");
        }
    }

    #[test]
    fn everything_else_says_why_not() {
        use EntryError::*;
        let length = |given: &str, most| CidrLength { given: given.to_owned(), most };
        let cases = [
            ("http://a", Url),
            ("*", Wildcard),
            ("a.*.b", Wildcard),
            ("*.a.*", Wildcard),
            ("*.a:80", Wildcard),
            ("a.example/8", CidrAddress("a.example".to_owned())),
            ("10.0.0.0/33", length("33", 32)),
            ("10.0.0.0/+8", length("+8", 32)),
            ("10.0.0.0/", length("", 32)),
            ("::/129", length("129", 128)),
            ("10.0.0.1/8", CidrHostBits("10.0.0.0/8".to_owned())),
            ("fd00::1/64", CidrHostBits("fd00::/64".to_owned())),
            ("a:0", Port("0".to_owned())),
            ("a:65536", Port("65536".to_owned())),
            ("a:", Port(String::new())),
            ("[::1", Brackets),
            ("[10.0.0.1]:80", Brackets),
            ("[::1]80", Brackets),
            ("::1::2", Ipv6),
            ("10.0.0.256", Ipv4),
            ("10.0.0.256:80", Ipv4),
            ("1.2.3", Ipv4),
            ("a.0x1f", Ipv4),
            ("a..b", HostName("a..b".to_owned())),
            (".", HostName(".".to_owned())),
            (":80", HostName(String::new())),
            ("müller.example", HostName("müller.example".to_owned())),
            ("a b", HostName("a b".to_owned())),
        ];
        for (entry, expected) in cases {
            assert_eq!(normalise(entry), Err(expected), "{entry}");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert_eq!(normalise(&long), Err(HostName(long.clone())));
        let long = ["abcdefg"; 32].join(".");
        assert_eq!(normalise(&long), Err(HostName(long.clone())));
    }
}
