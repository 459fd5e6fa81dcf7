//! Which IP addresses are public, after the special-purpose registries of IANA (RFC 6890 and its successors,
//! as of 2025) and the address architecture of IPv6 (RFC 4291).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a non-public address is reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// The machine itself.
    Loopback,
    /// A private network (RFC 1918, IPv6 unique local, the former site-local).
    Private,
    /// One link only; cloud machines find their metadata and credentials there.
    LinkLocal,
    /// Shared with other customers behind a carrier-grade NAT (RFC 6598).
    SharedAddressSpace,
    /// No address yet, or "this network".
    Unspecified,
    /// Every machine on the link.
    Broadcast,
    /// A group of machines.
    Multicast,
    /// For benchmarks of network devices.
    Benchmarking,
    /// For examples in documents.
    Documentation,
    /// For IETF protocols.
    ProtocolAssignment,
    /// Anycast of the former 6to4 relays (RFC 7526).
    Relay6to4,
    /// NAT64 within one network (RFC 8215): it leads to whatever that network says.
    LocalTranslation,
    /// Not given out to anybody.
    Reserved,
}

impl fmt::Display for SpecialUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SpecialUse::Loopback => "loopback",
            SpecialUse::Private => "private",
            SpecialUse::LinkLocal => "link-local",
            SpecialUse::SharedAddressSpace => "shared address space of a carrier-grade NAT",
            SpecialUse::Unspecified => "unspecified",
            SpecialUse::Broadcast => "broadcast",
            SpecialUse::Multicast => "multicast",
            SpecialUse::Benchmarking => "benchmarking",
            SpecialUse::Documentation => "documentation",
            SpecialUse::ProtocolAssignment => "IETF protocol assignment",
            SpecialUse::Relay6to4 => "6to4 relay",
            SpecialUse::LocalTranslation => "local-use NAT64",
            SpecialUse::Reserved => "reserved",
        })
    }
}

struct Block {
    base: IpAddr,
    prefix: u8,
    purpose: SpecialUse,
}

const fn v4(octets: [u8; 4], prefix: u8, purpose: SpecialUse) -> Block {
    let [a, b, c, d] = octets;
    Block { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix, purpose }
}

const fn v6(head: [u16; 3], last: u16, prefix: u8, purpose: SpecialUse) -> Block {
    let [a, b, c] = head;
    Block { base: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last)), prefix, purpose }
}

/// The first block that holds an address decides, so smaller blocks stand before those that contain them.
const IPV4_BLOCKS: &[Block] = &[
    v4([0, 0, 0, 0], 8, SpecialUse::Unspecified),
    v4([10, 0, 0, 0], 8, SpecialUse::Private),
    v4([100, 64, 0, 0], 10, SpecialUse::SharedAddressSpace),
    v4([127, 0, 0, 0], 8, SpecialUse::Loopback),
    v4([169, 254, 0, 0], 16, SpecialUse::LinkLocal),
    v4([172, 16, 0, 0], 12, SpecialUse::Private),
    v4([192, 0, 0, 0], 24, SpecialUse::ProtocolAssignment),
    v4([192, 0, 2, 0], 24, SpecialUse::Documentation),
    v4([192, 88, 99, 0], 24, SpecialUse::Relay6to4),
    v4([192, 168, 0, 0], 16, SpecialUse::Private),
    v4([198, 18, 0, 0], 15, SpecialUse::Benchmarking),
    v4([198, 51, 100, 0], 24, SpecialUse::Documentation),
    v4([203, 0, 113, 0], 24, SpecialUse::Documentation),
    v4([224, 0, 0, 0], 4, SpecialUse::Multicast),
    v4([255, 255, 255, 255], 32, SpecialUse::Broadcast),
    v4([240, 0, 0, 0], 4, SpecialUse::Reserved),
];

const IPV6_BLOCKS: &[Block] = &[
    v6([0, 0, 0], 0, 128, SpecialUse::Unspecified),
    v6([0, 0, 0], 1, 128, SpecialUse::Loopback),
    v6([0x64, 0xff9b, 1], 0, 48, SpecialUse::LocalTranslation),
    v6([0x2001, 2, 0], 0, 48, SpecialUse::Benchmarking),
    v6([0x2001, 0xdb8, 0], 0, 32, SpecialUse::Documentation),
    v6([0x3fff, 0, 0], 0, 20, SpecialUse::Documentation),
    v6([0xfc00, 0, 0], 0, 7, SpecialUse::Private),
    v6([0xfec0, 0, 0], 0, 10, SpecialUse::Private),
    v6([0xfe80, 0, 0], 0, 10, SpecialUse::LinkLocal),
    v6([0xff00, 0, 0], 0, 8, SpecialUse::Multicast),
];

/// Stands behind the blocks and the embedded addresses: Teredo (2001::/32) is a part of it.
const IPV6_PROTOCOL_BLOCK: Block = v6([0x2001, 0, 0], 0, 23, SpecialUse::ProtocolAssignment);

/// The only part of IPv6 that is given out as public addresses.
const IPV6_GLOBAL_UNICAST: Block = v6([0x2000, 0, 0], 0, 3, SpecialUse::Reserved);

/// What an address is reserved for; `None` for a public one.
///
/// An IPv6 address that leads to an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is judged by that.
pub fn special_use(address: IpAddr) -> Option<SpecialUse> {
    match address {
        IpAddr::V4(_) => purpose_in(IPV4_BLOCKS, address),
        IpAddr::V6(v6) => special_use_v6(v6),
    }
}

fn special_use_v6(v6: Ipv6Addr) -> Option<SpecialUse> {
    let address = IpAddr::V6(v6);
    if let Some(purpose) = purpose_in(IPV6_BLOCKS, address) {
        return Some(purpose);
    }
    match embedded_ipv4(v6) {
        [None, None] => {}
        embedded => return embedded.into_iter().flatten().find_map(|v4| special_use(IpAddr::V4(v4))),
    }
    if IPV6_PROTOCOL_BLOCK.holds(address) {
        return Some(IPV6_PROTOCOL_BLOCK.purpose);
    }
    (!IPV6_GLOBAL_UNICAST.holds(address)).then_some(SpecialUse::Reserved)
}

/// The IPv4 addresses that packets to an IPv6 address end up at: with Teredo the client's and its server's.
fn embedded_ipv4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // Mapped (RFC 4291, 2.5.5.2), compatible (2.5.5.1) and the well-known NAT64 prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            [Some(join(high, low)), None]
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [Some(join(high, low)), None],
        // Teredo (RFC 4380): the client's address has all its bits inverted.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [Some(join(!high, !low)), Some(join(server_high, server_low))]
        }
        _ => [None, None],
    }
}

impl Block {
    fn holds(&self, address: IpAddr) -> bool {
        is_in_block(address, self.base, self.prefix)
    }
}

fn purpose_in(blocks: &[Block], address: IpAddr) -> Option<SpecialUse> {
    blocks.iter().find(|block| block.holds(address)).map(|block| block.purpose)
}

/// Whether the first `prefix` bits of two addresses of the same family are equal.
pub(super) fn is_in_block(address: IpAddr, base: IpAddr, prefix: u8) -> bool {
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            let differing = address.to_bits() ^ base.to_bits();
            differing.leading_zeros() >= u32::from(prefix)
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            let differing = address.to_bits() ^ base.to_bits();
            differing.leading_zeros() >= u32::from(prefix)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Option<SpecialUse> {
        special_use(text.parse().unwrap_or_else(|_| panic!("{text} is not an address")))
    }

    /// First and last address of each block, and its neighbours outside.
    #[test]
    fn ipv4_blocks_end_where_the_registry_says() {
        use SpecialUse::*;
        let blocks = [
            (None, "0.0.0.0", "0.255.255.255", Unspecified, Some("1.0.0.0")),
            (Some("9.255.255.255"), "10.0.0.0", "10.255.255.255", Private, Some("11.0.0.0")),
            (
                Some("100.63.255.255"),
                "100.64.0.0",
                "100.127.255.255",
                SharedAddressSpace,
                Some("100.128.0.0"),
            ),
            (Some("126.255.255.255"), "127.0.0.0", "127.255.255.255", Loopback, Some("128.0.0.0")),
            (Some("169.253.255.255"), "169.254.0.0", "169.254.255.255", LinkLocal, Some("169.255.0.0")),
            (Some("172.15.255.255"), "172.16.0.0", "172.31.255.255", Private, Some("172.32.0.0")),
            (Some("191.255.255.255"), "192.0.0.0", "192.0.0.255", ProtocolAssignment, Some("192.0.1.0")),
            (Some("192.0.1.255"), "192.0.2.0", "192.0.2.255", Documentation, Some("192.0.3.0")),
            (Some("192.88.98.255"), "192.88.99.0", "192.88.99.255", Relay6to4, Some("192.88.100.0")),
            (Some("192.167.255.255"), "192.168.0.0", "192.168.255.255", Private, Some("192.169.0.0")),
            (Some("198.17.255.255"), "198.18.0.0", "198.19.255.255", Benchmarking, Some("198.20.0.0")),
            (Some("198.51.99.255"), "198.51.100.0", "198.51.100.255", Documentation, Some("198.51.101.0")),
            (Some("203.0.112.255"), "203.0.113.0", "203.0.113.255", Documentation, Some("203.0.114.0")),
            (Some("223.255.255.255"), "224.0.0.0", "239.255.255.255", Multicast, None),
            (None, "240.0.0.0", "255.255.255.254", Reserved, None),
            (None, "255.255.255.255", "255.255.255.255", Broadcast, None),
        ];
        for (before, first, last, purpose, after) in blocks {
            assert_eq!(judge(first), Some(purpose), "{first}");
            assert_eq!(judge(last), Some(purpose), "{last}");
            for neighbour in before.into_iter().chain(after) {
                assert_eq!(judge(neighbour), None, "{neighbour}");
            }
        }
    }

    #[test]
    fn ipv6_blocks_end_where_the_registry_says() {
        use SpecialUse::*;
        let blocks = [
            ("::", "::", Unspecified),
            ("::1", "::1", Loopback),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", LocalTranslation),
            ("100::", "100::ffff:ffff:ffff:ffff", Reserved),
            ("2001:1::1", "2001:1::1", ProtocolAssignment),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Benchmarking),
            ("2001:20::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", ProtocolAssignment),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("5f00::", "5f00::1", Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("fd00:ec2::254", "fd00:ec2::254", Private),
            ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
        ];
        for (first, last, purpose) in blocks {
            assert_eq!(judge(first), Some(purpose), "{first}");
            assert_eq!(judge(last), Some(purpose), "{last}");
        }
        for public in [
            "2000::",
            "2001:200::",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "2606:4700:4700::1111",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
        ] {
            assert_eq!(judge(public), None, "{public}");
        }
    }

    #[test]
    fn embedded_ipv4_addresses_decide() {
        use SpecialUse::*;
        for (address, expected) in [
            ("::ffff:127.0.0.1", Some(Loopback)),
            ("::ffff:169.254.169.254", Some(LinkLocal)),
            ("::ffff:8.8.8.8", None),
            ("::10.0.0.1", Some(Private)),
            ("::2", Some(Unspecified)),
            ("::8.8.8.8", None),
            ("64:ff9b::192.168.1.1", Some(Private)),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b::1:0:0", Some(Reserved)),
            ("2002:7f00:1::", Some(Loopback)),
            ("2002:0a00:1:ffff::1", Some(Private)),
            ("2002:808:808::1", None),
            // The client 10.0.0.1 behind the public server 8.8.8.8, then the other way round, then both
            // public.
            ("2001:0:808:808::f5ff:fffe", Some(Private)),
            ("2001:0:a00:1::f7f7:f7f7", Some(Private)),
            ("2001:0:808:808::f7f7:f7f7", None),
            // Translated (SIIT, RFC 2765): not routed on the public Internet.
            ("::ffff:0:8.8.8.8", Some(Reserved)),
        ] {
            assert_eq!(judge(address), expected, "{address}");
        }
    }

    #[test]
    fn prefix_zero_holds_its_whole_family_only() {
        let any: IpAddr = Ipv4Addr::UNSPECIFIED.into();
        assert!(is_in_block(Ipv4Addr::BROADCAST.into(), any, 0));
        assert!(!is_in_block(Ipv6Addr::LOCALHOST.into(), any, 0));
    }
}
