//! The mounts, the network and the process ids that a cluster has to itself.
//!
//! Invariant: when the process that holds them ends, so does every process in them, and with these their mounts and links.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{
    daemon::{Daemon, Recipe, first_child},
    ground::Ground,
    programs::Programs,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The head's address on the bridge that joins the nodes.
pub const HEAD: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// That of a node, from 1 on.
pub(super) fn node_address(number: usize) -> String {
    format!("10.99.0.{}", 10 + number)
}

/// `$1` is the home, `$2` how many nodes there are, and `$3` the addresses at which this machine asks for names: at the head
/// they are the cluster's own name server's, so that every program there knows the cluster's names.
/// Places that Kubernetes' programs write to by fixed names are covered, and so are the settings of the whole machine that a
/// kubelet would change: it finds those it wants. Pods have 10.97.<node>.0/24, Services 10.98.0.0/16. A Service's address is
/// rewritten only after a route was found, so there is one.
const LAY_OUT: &str = r#"
    set -eu
    for place in /run /var/log /var/lib; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
    for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
        kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
        value="$1/setting-$(echo "${setting%=*}" | tr / -)"
        echo "${setting#*=}" >"$value"
        mount --bind "$value" "/proc/sys/${setting%=*}"
    done

    ip link set lo up
    sysctl -qw net.ipv4.ip_forward=1
    ip link add fabric type bridge
    ip addr add 10.99.0.1/24 dev fabric
    ip link set fabric up
    ip route add 10.98.0.0/16 dev fabric
    for server in $3; do ip addr add "$server" dev fabric; done
    for n in $(seq "$2"); do
        : >"$1/net$n"
        unshare --net="$1/net$n" true
        ip link add "v$n" type veth peer name eth0 netns "$1/net$n"
        ip link set "v$n" master fabric up
        ip route add "10.97.$n.0/24" via "10.99.0.$((10 + n))"
        nsenter --net="$1/net$n" sh -eu -c '
            ip link set lo up
            ip addr add "10.99.0.$((10 + $1))/24" dev eth0
            ip link set eth0 up
            ip route add default via 10.99.0.1
            sysctl -qw net.ipv4.ip_forward=1
            for m in $(seq "$2"); do
                [ "$m" = "$1" ] || ip route add "10.97.$m.0/24" via "10.99.0.$((10 + m))"
            done
        ' sh "$n" "$2"
    done
    : >"$1/laid-out"
    # Whoever loses its parent becomes a child of this shell, which waits for all of them.
    while :; do sleep 1000 & wait; done
"#;

pub(super) struct Namespaces {
    /// `unshare`, which ends when the holder does, and that after everybody inside.
    outside: Daemon,
    holder: i32,
    holding: OwnedFd,
    network: OwnedFd,
}

/// The calling thread is in the network; it goes back when this is dropped.
pub struct Visit {
    home: OwnedFd,
    /// It is this thread's and cannot be another's.
    _stays: std::marker::PhantomData<*const ()>,
}

impl Namespaces {
    pub(super) fn start(programs: &Programs, home: &Path, nodes: usize) -> Result<Self> {
        let options = "--mount --net --pid --fork --kill-child --mount-proc sh -c".split(' ').map(str::to_owned);
        let servers: Vec<String> = name_servers().iter().map(IpAddr::to_string).collect();
        let script = [LAY_OUT, "lay-out", &home.display().to_string(), &nodes.to_string(), &servers.join(" ")];
        let script = script.map(str::to_owned);
        let outside = Daemon::start(Recipe {
            ground: Ground::Machine,
            programs: programs.clone(),
            program: "unshare".to_owned(),
            arguments: options.chain(script).collect(),
            home: home.to_owned(),
            log: "namespaces".to_owned(),
        })?;
        let since = Instant::now();
        while !home.join("laid-out").exists() {
            outside.ensure_running()?;
            ensure!(since.elapsed() < PATIENCE, "the network is not laid out: {}", outside.log());
            thread::sleep(Duration::from_millis(5));
        }
        let holder = first_child(outside.pid().context("unshare has ended")?)?;
        let holding = pidfd_open(Pid::from_raw(holder).context("a process id")?, PidfdFlags::empty())?;
        let network = fs::File::open(format!("/proc/{holder}/ns/net"))?.into();
        Ok(Self { outside, holder, holding, network })
    }

    /// The process to enter by.
    pub(super) fn holder(&self) -> i32 {
        self.holder
    }

    /// What this thread opens from now on is in the network, and so are the threads and processes that it starts.
    pub(super) fn visit(&self) -> Result<Visit> {
        let home = fs::File::open("/proc/thread-self/ns/net")?.into();
        enter(&self.network)?;
        Ok(Visit { home, _stays: std::marker::PhantomData })
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.holding, Signal::KILL);
        // Its end comes after that of everybody inside; `unshare` killed instead would not be waited for.
        self.outside.wait();
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let _ = enter(&self.home);
    }
}

/// Those of this machine that are not at loopback, where the head answers anyway.
pub(super) fn name_servers() -> Vec<IpAddr> {
    let file = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = file.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    servers.filter(|server: &IpAddr| !server.is_loopback()).collect()
}

fn enter(network: &OwnedFd) -> Result<()> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).context("entering a network")
}

/// Why there can be none here.
pub(super) fn obstacle() -> Result<(), &'static str> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root may have nodes");
    }
    let tried = std::process::Command::new("unshare").args(["--mount", "--net", "--pid", "--fork", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("this machine gives nobody a network and mounts of their own"),
    }
}
