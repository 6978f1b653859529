//! Ends what runs on its own (a database server, a terminal) when the process that started it ends, however it ends.

use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use anyhow::Result;

/// A shell that waits for the end of its input, and then runs its script. Dropped, it runs it and is waited for.
pub(crate) struct Leash(Child);

impl Leash {
    /// The arguments are `$1`, `$2`, … of the script.
    pub(crate) fn new<A: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        // Its own process group: a Ctrl-C meant for us must not break it.
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("read -r _\n{script}"))
            .arg("leash")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
