//! A network of a test's own: every address there is leads back to it, and packets to where nobody may be sent are counted by
//! the kernel.
//!
//! Invariant: the machine's network and files are untouched. The test runs itself again, by its name, in namespaces of its own.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

/// Where the inside finds a name server of the test's.
pub const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An address that may be reached: private, and nobody's in particular.
pub const OPEN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
/// Loopback is the test's own road to the gateway and the gateway's to Postgres, so there only this port counts.
pub const FORBIDDEN_LOOPBACK_PORT: u16 = 80;

const INSIDE: &str = "CAST_IN_ITS_OWN_NETWORK";

/// The rules, a `resolv.conf`, the program and the test's name.
const ENTER: &str = r#"
    ip link set lo up &&
    ip route add local 0.0.0.0/0 dev lo &&
    ip -6 route add local ::/0 dev lo &&
    nft -f "$1" &&
    mount --bind "$2" /etc/resolv.conf &&
    exec "$3" --exact "$4" --nocapture
"#;

const RULES: &str = "
table inet watch {
    counter forbidden { }
    chain out {
        type filter hook output priority 0
        ip daddr { 0.0.0.0/8, 100.100.100.200, 168.63.129.16, 169.254.0.0/16, 192.0.0.0/24, 224.0.0.0/3 } \
            meta l4proto { tcp, udp } counter name forbidden
        ip6 daddr { 64:ff9b::/32, 2001::/32, 2002::/16, fd00:ec2::/32, fd20:ce::254, fe80::/9, ff00::/8 } \
            meta l4proto { tcp, udp } counter name forbidden
        ip daddr 127.0.0.0/8 tcp dport 80 counter name forbidden
        ip6 daddr ::1 tcp dport 80 counter name forbidden
    }
}
";

/// Where the caller is.
pub enum Place {
    Inside(OwnNetwork),
    /// The inside was entered, and the test held there.
    Held,
    /// There is no such network to be had here, and why.
    Unavailable(&'static str),
}

/// The caller runs in it.
pub struct OwnNetwork(());

impl OwnNetwork {
    /// For the first line of a test, which must be the one named.
    pub fn enter(test: &str) -> Result<Place> {
        if std::env::var_os(INSIDE).is_some() {
            return Ok(Place::Inside(Self(())));
        }
        if !geteuid().is_root() {
            return Ok(Place::Unavailable("only root may have a network of its own"));
        }
        if !["/usr/sbin/nft", "/sbin/nft"].iter().any(|nft| Path::new(nft).exists()) {
            return Ok(Place::Unavailable("there is no nft"));
        }
        let home = tempfile::Builder::new().prefix("cast-network-").tempdir()?;
        let (rules, resolver) = (home.path().join("rules"), home.path().join("resolv.conf"));
        std::fs::write(&rules, RULES)?;
        std::fs::write(&resolver, format!("nameserver {NAME_SERVER}\n"))?;
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"])
            .args([&rules, &resolver])
            .arg(std::env::current_exe()?)
            .arg(test)
            .env(INSIDE, "1")
            .stdin(Stdio::null())
            .status()
            .context("unshare")?;
        ensure!(status.success(), "{test} inside its own network: {status}");
        Ok(Place::Held)
    }

    /// Packets to forbidden addresses since the start, whoever sent them.
    pub fn forbidden_packets(&self) -> Result<u64> {
        let output = Command::new("nft").args(["list", "counter", "inet", "watch", "forbidden"]).output()?;
        ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let count = text.split("packets ").nth(1).and_then(|rest| rest.split(' ').next());
        Ok(count.with_context(|| format!("no count in {text}"))?.parse()?)
    }
}
