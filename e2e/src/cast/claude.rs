//! An unmodified Claude Code on a machine of its own: private `/etc`, private home, a terminal to look at.
//!
//! Invariant: the real machine's `/etc/claude-code` and home are neither read nor written. A mount namespace shows the
//! client a copy of `/etc` that holds its managed settings; the copy and the home go when this is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::{leash::Leash, node};

const PATIENCE: Duration = Duration::from_secs(60);

/// Shows the copy as `/etc`, then becomes the client.
const IN_ITS_PLACE: &str = r#"mount --bind "$1" /etc && cd "$2" && shift 2 && exec "$@""#;

pub struct ClaudeCode {
    /// Removes the place when nobody is left to do it.
    _leash: Leash,
    place: TempDir,
    binary: PathBuf,
    terminals: AtomicU32,
    /// Whom it trusts besides the world's authorities.
    trusts: bool,
}

/// What `claude -p` said.
#[derive(Debug)]
pub struct Printed {
    pub code: Option<i32>,
    pub text: String,
    pub complaint: String,
}

/// Claude Code in tmux; gone when dropped.
pub struct Terminal {
    socket: PathBuf,
    _leash: Leash,
}

impl ClaudeCode {
    /// A machine whose administrator chose this gateway, and whose user has started Claude Code before and trusts the folder.
    pub async fn managed_for(gateway_url: &str) -> Result<Self> {
        let place = tempfile::Builder::new().prefix("cast-claude-").tempdir()?;
        let leash = Leash::new(r#"rm -rf -- "$1""#, [place.path()])?;
        let claude =
            Self { _leash: leash, place, binary: node::claude_binary()?, terminals: AtomicU32::new(0), trusts: false };
        let copied =
            Command::new("cp").args(["-a", "/etc"]).arg(claude.path("etc")).stderr(Stdio::null()).status().await?;
        ensure!(claude.path("etc/passwd").exists(), "/etc was not copied: {copied}");
        for secret in ["shadow", "shadow-", "gshadow", "gshadow-"] {
            let _ = fs::remove_file(claude.path("etc").join(secret));
        }
        fs::create_dir_all(claude.path("etc/claude-code"))?;
        let managed = json!({"forceLoginMethod": "gateway", "forceLoginGatewayUrl": gateway_url});
        fs::write(claude.path("etc/claude-code/managed-settings.json"), managed.to_string())?;
        fs::create_dir_all(claude.project())?;
        let seen_before = json!({
            "hasCompletedOnboarding": true, "theme": "dark",
            "projects": {claude.project().to_string_lossy(): {"hasTrustDialogAccepted": true}},
        });
        fs::write(claude.path("home/.claude.json"), seen_before.to_string())?;
        Ok(claude)
    }

    /// Started with `NODE_EXTRA_CA_CERTS`, as where a company has an authority of its own.
    pub fn trusting(mut self, ca_pem: &str) -> Result<Self> {
        fs::write(self.authority(), ca_pem)?;
        self.trusts = true;
        Ok(self)
    }

    /// `claude -p`: one answer, without a terminal.
    pub async fn print(&self, prompt: &str) -> Result<Printed> {
        self.print_with(&[], prompt).await
    }

    /// The same with flags of its own.
    pub async fn print_with(&self, flags: &[&str], prompt: &str) -> Result<Printed> {
        let [program, rest @ ..] = &self.command(&[flags, &["-p", prompt]].concat())[..] else { bail!("a command") };
        let run = Command::new(program).args(rest).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(PATIENCE, run).await.context("claude -p is stuck")??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        Ok(Printed { code: output.status.code(), text: text(output.stdout), complaint: text(output.stderr) })
    }

    /// The interactive client, once its prompt is there.
    pub async fn open(&self) -> Result<Terminal> {
        // A server that was told to end may still hold its socket.
        let socket = self.path(&format!("tmux-{}", self.terminals.fetch_add(1, Ordering::Relaxed)));
        let leash = Leash::new(r#"tmux -S "$1" kill-server"#, [&socket])?;
        let started = Command::new("tmux")
            .args(["-f", "/dev/null", "-S"])
            .arg(&socket)
            .args(["new-session", "-d", "-s", "claude", "-x", "120", "-y", "50", "--"])
            .args(self.command(&[]))
            .status()
            .await?;
        ensure!(started.success(), "tmux: {started}");
        let terminal = Terminal { socket, _leash: leash };
        terminal.wait_for("❯").await?;
        Ok(terminal)
    }

    /// What the client keeps between starts; `None` when signed out.
    pub fn credentials(&self) -> Result<Option<Value>> {
        let file = self.credentials_file();
        Ok(if file.exists() { Some(serde_json::from_slice(&fs::read(file)?)?) } else { None })
    }

    /// Lets the client believe that its access token has just expired, so that no test waits for it.
    pub fn expire_token(&self) -> Result<()> {
        let mut credentials = self.credentials()?.context("somebody signed in")?;
        // The client's own unit is milliseconds; any time in the past will do.
        credentials["enterpriseGateway"]["expiresAt"] = json!(1_000_000_000_000_u64);
        Ok(fs::write(self.credentials_file(), credentials.to_string())?)
    }

    fn credentials_file(&self) -> PathBuf {
        self.path("home/.claude/.credentials.json")
    }

    fn command(&self, arguments: &[&str]) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let namespaces = if geteuid().is_root() { "-m" } else { "-rm" };
        let mut command: Vec<String> =
            ["unshare", namespaces, "--propagation", "private", "sh", "-c", IN_ITS_PLACE, "sh"]
                .map(str::to_owned)
                .into();
        command.extend([text(&self.path("etc")), text(&self.project())]);
        command.extend(["env", "-i", "PATH=/usr/bin:/bin", "TERM=xterm-256color", "LANG=C.UTF-8"].map(str::to_owned));
        command.push(format!("HOME={}", text(&self.path("home"))));
        command.extend(self.trusts.then(|| format!("NODE_EXTRA_CA_CERTS={}", text(&self.authority()))));
        command.push(text(&self.binary));
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        command
    }

    fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    fn project(&self) -> PathBuf {
        self.path("home/project")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

impl Terminal {
    /// Keys by tmux's names: `Enter`, `Up`, `Escape`, `C-c`.
    pub async fn press(&self, keys: &[&str]) -> Result<()> {
        for key in keys {
            self.tmux(&["send-keys", "-t", "claude", key]).await?;
            // The client redraws between two keys, as it does for a person.
            sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    }

    /// Types a line and sends it.
    pub async fn say(&self, line: &str) -> Result<()> {
        self.tmux(&["send-keys", "-t", "claude", "-l", line]).await?;
        // A busy client shows it late, and takes an Enter before that for something else.
        self.wait_for(line).await?;
        sleep(Duration::from_millis(500)).await;
        self.press(&["Enter"]).await
    }

    pub async fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-t", "claude"]).await
    }

    /// The screen as soon as it shows the text.
    pub async fn wait_for(&self, text: &str) -> Result<String> {
        let started = Instant::now();
        loop {
            let screen = self.screen().await?;
            if screen.contains(text) {
                return Ok(screen);
            }
            ensure!(started.elapsed() < PATIENCE, "no `{text}` on the screen:\n{screen}");
            sleep(Duration::from_millis(150)).await;
        }
    }

    /// `/login` up to the code that a browser must confirm. A gateway is trusted once.
    pub async fn ask_to_sign_in(&self, trusted_before: bool) -> Result<String> {
        self.say("/login").await?;
        self.wait_for("Enter to connect").await?;
        self.press(&["Enter"]).await?;
        if !trusted_before {
            self.wait_for("Trust gateway").await?;
            self.press(&["Up", "Enter"]).await?;
        }
        let screen = self.wait_for("Waiting for sign-in").await?;
        let code = screen.lines().find_map(|line| line.trim().strip_prefix("Code:"));
        Ok(code.context("a code on the screen")?.trim().to_owned())
    }

    /// After the approval: the client shows whose account it is, and is told to go on.
    pub async fn confirm_account(&self, email: &str) -> Result<()> {
        self.wait_for(&format!("as {email}")).await?;
        self.press(&["Up", "Enter"]).await?;
        self.wait_for("Connected to Cloud gateway").await?;
        self.press(&["Enter"]).await
    }

    /// Waits until the client has ended by itself.
    pub async fn wait_for_end(&self) -> Result<()> {
        let started = Instant::now();
        while let Ok(screen) = self.screen().await {
            ensure!(started.elapsed() < PATIENCE, "Claude Code does not end:\n{screen}");
            sleep(Duration::from_millis(150)).await;
        }
        Ok(())
    }

    async fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("tmux").arg("-S").arg(&self.socket).args(arguments).output().await?;
        ensure!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
