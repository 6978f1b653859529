//! A process of a test's own binary that holds something and is killed: what becomes of what it held?

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

/// What it holds may take minutes to stand on a machine that compiles besides.
const PATIENCE: Duration = Duration::from_secs(240);
const TELL: &str = "CAST_HOLDER_TELLS";

pub struct Holder {
    child: Child,
    home: PathBuf,
    _told: TempDir,
}

impl Holder {
    /// Runs a test that is otherwise ignored and ends in [`hold`](Self::hold); returns when it holds what it should.
    pub async fn start(test: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cast-holder-").tempdir()?;
        let told = folder.path().join("home");
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", test, "--ignored"])
            .env(TELL, &told)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let since = Instant::now();
        while !told.exists() {
            ensure!(child.try_wait()?.is_none(), "{test} ended before it held anything");
            ensure!(since.elapsed() < PATIENCE, "{test} holds nothing after {PATIENCE:?}");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { child, home: fs::read_to_string(&told)?.into(), _told: folder })
    }

    /// In the test that was started: tells where the held thing is at home, and never returns.
    pub async fn hold(home: &Path) -> Result<()> {
        let told = PathBuf::from(std::env::var_os(TELL).context("started by another test only")?);
        // Whole or not there.
        fs::write(told.with_extension("part"), home.to_str().context("a path of text")?)?;
        fs::rename(told.with_extension("part"), told)?;
        std::future::pending().await
    }

    /// The held thing's.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// At once, so that nothing of it can tidy up.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
