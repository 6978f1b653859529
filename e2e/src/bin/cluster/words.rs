//! What a person reads while the cluster is built and when it stands.

use std::{
    fmt::Write,
    io::{IsTerminal, Write as _},
    path::Path,
};

use e2e::cluster::{
    Cluster,
    surroundings::{IDENTITY_NAME, ISSUER},
};

/// A name that every machine knows without being told.
pub(crate) const HOST: &str = "localhost";
const URL: &str = "https://localhost";

pub(crate) const FAREWELL: &str = "Ending the cluster and everything in it …";

pub(crate) fn step(what: &str) {
    println!("{}", styled("2", &format!("· {what}")));
    let _ = std::io::stdout().flush();
}

pub(crate) fn welcome(trust: &Path) -> String {
    let (url, trust) = (URL, trust.display());
    let mut text = String::new();
    let _ = writeln!(text, "\n{}\n", styled("1", "Running"));
    for (what, place, note) in [
        ("gateway", url, "two pods on two nodes, made by the operator from a ClaudeGateway"),
        ("identity provider", ISSUER, "alice, bob and carol; nobody needs a password"),
        ("model provider", "model.test", "scripted: thinks, streams, and runs a tool if you ask for one"),
    ] {
        let _ = writeln!(text, "  {what:<18} {place}\n  {:<18} {}", "", styled("2", note));
    }
    let _ = writeln!(text, "\n{}\n", styled("1", "Connect a Claude Code"));
    let settings = format!(r#"{{"forceLoginMethod":"gateway","forceLoginGatewayUrl":"{url}"}}"#);
    let _ = writeln!(text, "  sudo mkdir -p /etc/claude-code");
    let _ = writeln!(text, "  echo '{settings}' | sudo tee /etc/claude-code/managed-settings.json");
    let _ = writeln!(text, "  echo 127.0.0.1 {} | sudo tee -a /etc/hosts", IDENTITY_NAME);
    let _ = writeln!(text, "  NODE_EXTRA_CA_CERTS={trust} claude /login");
    let _ = writeln!(text, "\n{}\n", styled("1", "See the device flow by hand"));
    let _ = writeln!(text, "  curl --cacert {trust} -d surface=claude_code {url}/oauth/device_authorization");
    text
}

/// How to enter, and how to end it.
pub(crate) fn entrance(cluster: &Cluster) -> String {
    let mut text = String::new();
    let (holder, programs) = (cluster.holder(), cluster.programs().path("").display().to_string());
    let admin = cluster.plane().admin().path().display();
    let _ = writeln!(text, "\n{}\n", styled("1", "Enter the cluster"));
    let _ = writeln!(text, "  sudo nsenter --target {holder} --net env KUBECONFIG={admin} PATH={programs}:$PATH bash");
    let _ = writeln!(text, "  kubectl get nodes,pods --all-namespaces");
    let _ = writeln!(text, "\n{}\n", styled("2", "Ctrl-C ends everything."));
    text
}

fn styled(style: &str, text: &str) -> String {
    match std::io::stdout().is_terminal() {
        true => format!("\x1b[{style}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}
