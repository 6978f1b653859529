//! What a process and its children cost, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks a second in /proc; fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// The root of a process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub i32);

impl Process {
    /// CPU seconds, user and system, of the whole tree.
    pub fn cpu_seconds(self) -> f64 {
        let ticks: u64 = self.tree().iter().filter_map(|pid| cpu_ticks(*pid)).sum();
        ticks as f64 / TICKS
    }

    /// Resident memory of the tree in KiB.
    pub fn resident(self) -> Result<u64> {
        self.sum("VmRSS:")
    }

    /// The most resident memory since [`forget_peak`](Self::forget_peak), in KiB; for several processes the sum of each one's.
    pub fn peak(self) -> Result<u64> {
        self.sum("VmHWM:")
    }

    pub fn forget_peak(self) -> Result<()> {
        for pid in self.tree() {
            fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting the peak of memory")?;
        }
        Ok(())
    }

    /// Open files and sockets.
    pub fn open_files(self) -> Result<usize> {
        self.tree().iter().map(|pid| Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())).sum()
    }

    fn sum(self, key: &str) -> Result<u64> {
        let value = |pid: i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix(key)).context("a memory line")?;
            Ok(line.split_whitespace().next().context("a number")?.parse::<u64>()?)
        };
        self.tree().into_iter().map(value).sum()
    }

    fn tree(self) -> Vec<i32> {
        let mut all = vec![self.0];
        let mut at = 0;
        while let Some(pid) = all.get(at).copied() {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
            at += 1;
        }
        all
    }
}

/// Fields 14 and 15, counted after the name, which may hold spaces.
fn cpu_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}
