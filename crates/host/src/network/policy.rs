//! Which addresses requests may go to: the public ones, and what the operator's allow list adds.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::Host;

use super::NetworkError;
use super::address::{SpecialUse, is_in_block, special_use};

/// Most entries of an allow list: every connection looks through it.
const MAX_ENTRIES: usize = 1000;

/// Longest entry in bytes: a host name has at most 253 (RFC 1035), and there may be a `*.` and a port.
const MAX_ENTRY_BYTES: usize = 262;

/// One entry of the allow list: an exception from "public addresses only".
///
/// | form | permits |
/// |---|---|
/// | `10.1.2.3`, `fd00::1` | that address, under whatever name |
/// | `10.0.0.0/8`, `fd00::/8` | the addresses of that block |
/// | `db.internal` | whatever address that name resolves to |
/// | `*.internal` | whatever address a name below it resolves to (not `internal` itself) |
///
/// All but blocks can end with a port (`db.internal:8080`, `[fd00::1]:8080`) and then permit only that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowEntry {
    target: Target,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    Block { base: IpAddr, prefix: u8 },
    Host(String),
    Below(String),
}

/// What is wrong with an entry of the allow list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowEntryProblem {
    /// The entry is empty.
    #[error("it is empty; expected an IP address, a block such as 10.0.0.0/8, a host name or *.suffix")]
    Empty,
    /// The entry is longer than any host name.
    #[error("it is longer than {} bytes", MAX_ENTRY_BYTES)]
    TooLong,
    /// What stands before the slash is not an IP address.
    #[error("{0:?} is not an IP address; expected a block such as 10.0.0.0/8 or fd00::/8")]
    BlockAddress(String),
    /// What stands after the slash is not a prefix length.
    #[error("{prefix:?} is not a prefix length; expected a number from 0 to {max}")]
    PrefixLength {
        /// What stands there.
        prefix: String,
        /// The number of bits of such an address.
        max: u8,
    },
    /// The address of a block has bits beyond the prefix.
    #[error("the block starts at another address; expected {expected}")]
    NotABlock {
        /// The block that holds the given address.
        expected: String,
    },
    /// The port is not a port.
    #[error("{0:?} is not a port; expected a number from 1 to 65535")]
    Port(String),
    /// Brackets without an IPv6 address in them, or an IPv6 address and a port without brackets.
    #[error("it is not an IPv6 address; expected the form fd00::1 or, with a port, [fd00::1]:8080")]
    Ipv6,
    /// A number that browsers read as an IPv4 address, like `127.1`.
    #[error("an IPv4 address must be written in full; expected {expected}")]
    ShortIpv4 {
        /// The address in full.
        expected: String,
    },
    /// A `*` elsewhere than in `*.suffix`.
    #[error(
        "a * can only stand for all names below one, as in *.example.com; for all addresses use 0.0.0.0/0 and ::/0"
    )]
    Wildcard,
    /// Not a host name.
    #[error("{0:?} is not a host name; expected one such as db.example.com, without scheme, path or spaces")]
    HostName(String),
}

/// An allow list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAllowList {
    /// An entry is wrong.
    #[error("the entry {entry:?} of the outbound allow list is wrong: {problem}")]
    Entry {
        /// The entry, cut off if it is long.
        entry: String,
        /// What is wrong with it.
        problem: AllowEntryProblem,
    },
    /// There are too many entries.
    #[error("the outbound allow list has {count} entries; at most {} are possible", MAX_ENTRIES)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl AllowEntry {
    /// Reads one entry; see the table at [`AllowEntry`] for its forms. Host names may be international.
    ///
    /// # Errors
    /// [`AllowEntryProblem`] with what would be right.
    pub fn parse(text: &str) -> Result<Self, AllowEntryProblem> {
        if text.is_empty() {
            return Err(AllowEntryProblem::Empty);
        }
        if text.len() > MAX_ENTRY_BYTES {
            return Err(AllowEntryProblem::TooLong);
        }
        if text.contains("://") {
            return Err(AllowEntryProblem::HostName(text.to_owned()));
        }
        if let Some((address, prefix)) = text.split_once('/') {
            return Ok(Self { target: parse_block(address, prefix)?, port: None });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { target: single(address), port: None });
        }
        if let Some(rest) = text.strip_prefix('[') {
            return parse_bracketed(rest);
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, _)) if name.contains(':') => return Err(AllowEntryProblem::Ipv6),
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (text, None),
        };
        let target = if let Ok(address) = name.parse::<IpAddr>() {
            single(address)
        } else if let Some(suffix) = name.strip_prefix("*.") {
            Target::Below(parse_name(suffix)?)
        } else {
            Target::Host(parse_name(name)?)
        };
        Ok(Self { target, port })
    }

    /// Whether this entry permits a connection; `host` in lower case, without a final dot.
    fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        if self.port.is_some_and(|permitted| permitted != port) {
            return false;
        }
        match &self.target {
            Target::Block { base, prefix } => is_in_block(address, *base, *prefix),
            Target::Host(name) => name == host,
            Target::Below(suffix) => host.strip_suffix(suffix.as_str()).is_some_and(|rest| {
                // "*.b.c" is for "a.b.c" but neither for "ab.c" nor for "b.c".
                rest.len() > 1 && rest.ends_with('.')
            }),
        }
    }
}

impl FromStr for AllowEntry {
    type Err = AllowEntryProblem;

    fn from_str(text: &str) -> Result<Self, AllowEntryProblem> {
        Self::parse(text)
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Block { base, prefix } if *prefix == width(*base) => match (base, self.port) {
                (IpAddr::V6(base), Some(_)) => write!(formatter, "[{base}]"),
                _ => write!(formatter, "{base}"),
            },
            Target::Block { base, prefix } => write!(formatter, "{base}/{prefix}"),
            Target::Host(name) => formatter.write_str(name),
            Target::Below(suffix) => write!(formatter, "*.{suffix}"),
        }?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

/// Bits of an address of that family.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn single(address: IpAddr) -> Target {
    // Mapped addresses are checked as the IPv4 ones that they are, so entries have to be those too.
    let base = address.to_canonical();
    Target::Block { base, prefix: width(base) }
}

fn parse_block(address: &str, prefix: &str) -> Result<Target, AllowEntryProblem> {
    let base: IpAddr = address.parse().map_err(|_| AllowEntryProblem::BlockAddress(address.to_owned()))?;
    let max = width(base);
    let prefix = parse_number::<u8>(prefix)
        .filter(|prefix| *prefix <= max)
        .ok_or_else(|| AllowEntryProblem::PrefixLength { prefix: prefix.to_owned(), max })?;
    let start = mask(base, prefix);
    if start != base {
        return Err(AllowEntryProblem::NotABlock { expected: format!("{start}/{prefix}") });
    }
    match base.to_canonical() {
        // A block of mapped addresses is one of IPv4 addresses, 96 bits shorter.
        IpAddr::V4(base) if max == 128 && prefix >= 96 => {
            Ok(Target::Block { base: base.into(), prefix: prefix - 96 })
        }
        _ => Ok(Target::Block { base, prefix }),
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let kept = !u32::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V4((address.to_bits() & kept).into())
        }
        IpAddr::V6(address) => {
            let kept = !u128::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V6((address.to_bits() & kept).into())
        }
    }
}

fn parse_bracketed(rest: &str) -> Result<AllowEntry, AllowEntryProblem> {
    let (address, after) = rest.split_once(']').ok_or(AllowEntryProblem::Ipv6)?;
    let address: std::net::Ipv6Addr = address.parse().map_err(|_| AllowEntryProblem::Ipv6)?;
    let port = match after.strip_prefix(':') {
        Some(port) => Some(parse_port(port)?),
        None if after.is_empty() => None,
        None => return Err(AllowEntryProblem::Ipv6),
    };
    Ok(AllowEntry { target: single(address.into()), port })
}

fn parse_port(text: &str) -> Result<u16, AllowEntryProblem> {
    parse_number::<u16>(text)
        .filter(|port| *port != 0)
        .ok_or_else(|| AllowEntryProblem::Port(text.to_owned()))
}

/// Digits only: `parse` alone would also take a plus sign.
fn parse_number<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A host name in the form that it has in a parsed URL: ASCII, lower case; and without a final dot.
fn parse_name(text: &str) -> Result<String, AllowEntryProblem> {
    if text.contains('*') {
        return Err(AllowEntryProblem::Wildcard);
    }
    let wrong = || AllowEntryProblem::HostName(text.to_owned());
    // The URL parser would decode percent signs, which nobody means in a configuration.
    if text.contains('%') {
        return Err(wrong());
    }
    match Host::parse(text).map_err(|_| wrong())? {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let valid = name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()));
            if valid { Ok(name.to_owned()) } else { Err(wrong()) }
        }
        Host::Ipv4(address) => Err(AllowEntryProblem::ShortIpv4 { expected: address.to_string() }),
        Host::Ipv6(_) => Err(AllowEntryProblem::Ipv6),
    }
}

/// Which addresses requests may go to. The default permits the public ones only.
///
/// It judges addresses after name resolution, and connections are made to exactly the addresses judged, so a
/// name that resolves differently a moment later gains nothing.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allow: Vec<AllowEntry>,
}

impl AddressPolicy {
    /// Public addresses and nothing else.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Public addresses and what the entries permit (the configuration's `atoll.outbound.allow`).
    ///
    /// # Errors
    /// [`InvalidAllowList`] names the first wrong entry.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, InvalidAllowList> {
        if entries.len() > MAX_ENTRIES {
            return Err(InvalidAllowList::TooMany { count: entries.len() });
        }
        let parse = |entry: &S| {
            let entry = entry.as_ref();
            AllowEntry::parse(entry).map_err(|problem| {
                let entry = entry.chars().take(MAX_ENTRY_BYTES).collect();
                InvalidAllowList::Entry { entry, problem }
            })
        };
        Ok(Self { allow: entries.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The addresses, of those that `host` has resolved to, that a connection may be made to.
    ///
    /// # Errors
    /// [`NetworkError::Refused`] if there is none among them, [`NetworkError::Dns`] if there are no addresses
    /// at all.
    pub fn admit(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, NetworkError> {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let mut admitted = Vec::new();
        let mut refused = None;
        for address in addresses {
            match self.refusal(&name, address) {
                None => admitted.push(address),
                Some(reason) => refused = refused.or(Some((address.ip().to_canonical(), reason))),
            }
        }
        match refused {
            _ if !admitted.is_empty() => Ok(admitted),
            Some((address, reason)) => Err(NetworkError::Refused { host: host.to_owned(), address, reason }),
            None => Err(NetworkError::Dns { host: host.to_owned(), detail: "it has no address".to_owned() }),
        }
    }

    fn refusal(&self, name: &str, address: SocketAddr) -> Option<SpecialUse> {
        let ip = address.ip().to_canonical();
        let reason = special_use(ip)?;
        let permitted = self.allow.iter().any(|entry| entry.permits(name, ip, address.port()));
        (!permitted).then_some(reason)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
