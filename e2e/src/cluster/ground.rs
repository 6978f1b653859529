//! Where programs run: on this machine, or in namespaces that a process holds.

use std::{ffi::OsStr, path::Path, process::Command};

use super::programs::Programs;

/// Debian's own programs (`mount`, `nft`, `ip`) beside ours.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, Clone)]
pub(super) enum Ground {
    Machine,
    /// The network of this process, and nothing else of it.
    Network(i32),
    /// The mounts, the network and the process ids of this process.
    Inside(i32),
    /// The same, but for the network, which is that of a file.
    Node(i32, String),
}

impl Ground {
    /// The program there, with nothing of our environment, killed by the kernel with the thread that started it.
    pub(super) fn command(&self, programs: &Programs, program: impl AsRef<OsStr>, home: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL");
        match self {
            Self::Machine => {}
            Self::Network(holder) => {
                command.args(["nsenter", "--target", &holder.to_string(), "--net", "--"]);
            }
            Self::Inside(holder) => {
                command.args(entrance(*holder));
            }
            Self::Node(holder, network) => {
                // Not `ip netns exec`: that hides /sys/fs/cgroup.
                command.args(entrance(*holder)).arg("nsenter").arg(format!("--net={network}")).arg("--");
            }
        }
        command.arg(program).env_clear().env("HOME", home);
        command.env("PATH", format!("{}:{PATH}", programs.folder().display()));
        command
    }

    /// What was started is a child of what we started, because a process enters other process ids only by its children.
    pub(super) fn is_entered(&self) -> bool {
        matches!(self, Self::Inside(_) | Self::Node(..))
    }
}

fn entrance(holder: i32) -> Vec<String> {
    ["nsenter", "--target", &holder.to_string(), "--mount", "--net", "--pid", "--"].map(str::to_owned).into()
}
