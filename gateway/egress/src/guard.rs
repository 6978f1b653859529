//! Which addresses nobody may be sent to.
//!
//! Private ranges are open: identity providers and model proxies live there. What is closed is this machine, its link, the
//! clouds' metadata services, and every notation that hides one of those in another family's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The operator's word on loopback; everything else is fixed.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    pub allow_loopback: bool,
}

/// An address that passed the guard: the only kind that is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedAddress(SocketAddr);

impl CheckedAddress {
    pub fn socket(self) -> SocketAddr {
        self.0
    }
}

impl Guard {
    pub fn check(self, unverified: SocketAddr) -> Result<CheckedAddress, (IpAddr, &'static str)> {
        let refusal = match unverified.ip() {
            IpAddr::V4(address) => self.refuses_v4(address),
            IpAddr::V6(address) => self.refuses_v6(address),
        };
        match refusal {
            Some(reason) => Err((unverified.ip(), reason)),
            None => Ok(CheckedAddress(unverified)),
        }
    }

    fn refuses_v4(self, address: Ipv4Addr) -> Option<&'static str> {
        match address.octets() {
            [127, ..] if self.allow_loopback => None,
            [127, ..] => Some("loopback"),
            [0, ..] => Some("unspecified"),
            [169, 254, ..] => Some("link-local, where cloud metadata is served"),
            // Alibaba's and Azure's own, outside the link-local range.
            [100, 100, 100, 200] | [168, 63, 129, 16] => Some("cloud metadata"),
            [192, 0, 0, _] => Some("reserved for protocols"),
            [224..=239, ..] => Some("multicast"),
            [240..=255, ..] => Some("reserved or broadcast"),
            _ => None,
        }
    }

    fn refuses_v6(self, address: Ipv6Addr) -> Option<&'static str> {
        match address.segments() {
            _ if address.is_loopback() && self.allow_loopback => None,
            _ if address.is_loopback() => Some("loopback"),
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => refuses_nat64(address),
            [0x64, 0xff9b, 1, ..] => Some("local NAT64"),
            // Unspecified, IPv4-mapped, -compatible and -translated.
            [0x0000..=0x00ff, ..] => Some("an IPv4 address in disguise, or reserved"),
            [0x2001, 0, ..] => Some("Teredo"),
            [0x2002, ..] => Some("6to4"),
            [0xfe80..=0xfebf, ..] => Some("link-local"),
            [0xfec0..=0xfeff, ..] => Some("site-local"),
            // Amazon's (fd00:ec2::254, ::23 and neighbours) and Google's.
            [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Some("cloud metadata"),
            [0xff00..=0xffff, ..] => Some("multicast"),
            _ => None,
        }
    }
}

/// In a cluster with IPv6 only, DNS64 answers with 64:ff9b::/96 for every IPv4 host, so the embedded address is judged.
/// Private ones are refused: RFC 6052, section 3.1, forbids them under this prefix.
fn refuses_nat64(address: Ipv6Addr) -> Option<&'static str> {
    let [.., high, low] = address.segments();
    let embedded = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let public = !embedded.is_private() && Guard { allow_loopback: false }.refuses_v4(embedded).is_none();
    (!public).then_some("a forbidden address behind NAT64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(address: &str, allow_loopback: bool) -> Result<CheckedAddress, (IpAddr, &'static str)> {
        Guard { allow_loopback }.check(SocketAddr::new(address.parse().unwrap(), 443))
    }

    /// Catalogue S9.
    const FORBIDDEN: &[&str] = &[
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::a00:1",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:ffff::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ];

    const OPEN: &[&str] = &[
        "8.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.201",
        "1.0.0.1",
        "223.255.255.255",
        "fd12:3456::1",
        "2001:4860:4860::8888",
        "2606:4700::1",
        "64:ff9b::808:808",
    ];

    #[test]
    fn s9_every_forbidden_address_is_refused() {
        for address in FORBIDDEN {
            assert!(verdict(address, false).is_err(), "{address} passed");
        }
    }

    #[test]
    fn public_and_private_addresses_are_open() {
        for address in OPEN {
            assert!(verdict(address, false).is_ok(), "{address} was refused");
        }
    }

    #[test]
    fn s9_allowing_loopback_opens_loopback_and_nothing_else() {
        for address in FORBIDDEN {
            let loopback = matches!(*address, "127.0.0.1" | "127.255.255.254" | "::1");
            assert_eq!(verdict(address, true).is_ok(), loopback, "{address}");
        }
    }
}
