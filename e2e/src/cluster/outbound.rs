//! Whom a pod turns to, as the kernel sees it in the pod's own network.
//!
//! What it asked before it was watched is not seen: a connection that stands is no news, so whoever looks has it make new ones.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Pod;

/// What begins a conversation. An answer to somebody else's has no `syn` alone, and a pod serves nothing over UDP.
const RULES: &str = "
table inet outbound {
    set asked { type ipv4_addr . inet_proto . inet_service; flags dynamic; }
    counter otherwise { }
    chain out {
        type filter hook output priority 0
        oifname lo accept
        meta nfproto ipv4 tcp flags & (syn | ack) == syn add @asked { ip daddr . ip protocol . tcp dport } accept
        meta nfproto ipv4 meta l4proto udp add @asked { ip daddr . ip protocol . udp dport } accept
        meta nfproto ipv4 meta l4proto tcp accept
        meta l4proto { icmp, icmpv6 } accept
        counter name otherwise
    }
}
";

/// Address, protocol and port.
pub type Asked = (String, String, u16);

/// From here on whom one pod asks is written down; the rules go with the pod, or when this is dropped.
pub struct Outbound {
    process: i32,
}

impl Outbound {
    pub fn watch(pod: &Pod) -> Result<Self> {
        let watched = Self { process: pod.process()? };
        watched.nft(&["-f", "-"], RULES)?;
        Ok(watched)
    }

    pub fn asked(&self) -> Result<BTreeSet<Asked>> {
        let set = self.listed("set", "asked")?;
        set["elem"].as_array().into_iter().flatten().map(asked).collect()
    }

    /// Packets of another kind, to anybody.
    pub fn otherwise(&self) -> Result<u64> {
        self.listed("counter", "otherwise")?["packets"].as_u64().context("a count")
    }

    /// One object of the table, as nft tells it to programs.
    fn listed(&self, kind: &str, name: &str) -> Result<Value> {
        let listed: Value = serde_json::from_str(&self.nft(&["-j", "list", kind, "inet", "outbound", name], "")?)?;
        let found = listed["nftables"].as_array().into_iter().flatten().find_map(|object| object.get(kind));
        Ok(found.with_context(|| format!("no {kind} in {listed}"))?.clone())
    }

    fn nft(&self, arguments: &[&str], rules: &str) -> Result<String> {
        let mut nft = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.process))
            .arg("nft")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("nsenter")?;
        nft.stdin.take().context("a pipe")?.write_all(rules.as_bytes())?;
        let output = nft.wait_with_output()?;
        ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        let _ = self.nft(&["delete", "table", "inet", "outbound"], "");
    }
}

fn asked(element: &Value) -> Result<Asked> {
    let parts = &element["concat"];
    let text = |place: usize| parts[place].as_str().map(str::to_owned);
    let port = parts[2].as_u64().and_then(|port| u16::try_from(port).ok());
    text(0).zip(text(1)).zip(port).map(|((address, protocol), port)| (address, protocol, port)).context("an element")
}
