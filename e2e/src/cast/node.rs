//! The parts that npm brings: the certified OpenID provider, a real browser, and Claude Code's own binary.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::client::Client;

const PATIENCE: Duration = Duration::from_secs(60);

/// npm `oidc-provider`, with Alice, Bob, Carol and Dave; it ends with us, for its input ends then.
pub struct CertifiedProvider {
    issuer: String,
    server: SocketAddr,
    client: Client,
    _child: Child,
}

/// How a browser fared.
#[derive(Debug, Deserialize)]
pub struct Walk {
    /// Why it went no further.
    pub failed: Option<String>,
    pub pages: Vec<Page>,
    /// What the browser's console complained of: a blocked style, a script's error.
    pub complaints: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Page {
    /// `device`, `confirm`, `provider`, `done`, `denied` or `failed`.
    pub name: String,
    pub url: String,
    pub title: String,
    pub heading: String,
    pub text: String,
    /// Controls that a screen reader could not name.
    pub nameless: usize,
    /// Wider than the window.
    pub wide: bool,
}

impl CertifiedProvider {
    pub async fn start(redirect_uris: &[&str]) -> Result<Self> {
        Self::signing_with("RS256", redirect_uris).await
    }

    /// The algorithm of the ID tokens: `RS256` or `ES256`.
    pub async fn signing_with(algorithm: &str, redirect_uris: &[&str]) -> Result<Self> {
        Self::with(&json!({"redirect_uris": redirect_uris, "id_token_alg": algorithm})).await
    }

    /// Known to the world by this URL, under which somebody publishes its [`server`](Self::server).
    pub async fn published_as(issuer: &str, redirect_uris: &[&str]) -> Result<Self> {
        Self::with(&json!({"issuer": issuer, "redirect_uris": redirect_uris})).await
    }

    async fn with(options: &Value) -> Result<Self> {
        let mut child = script("oidc-provider.mjs", options)?.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut said = BufReader::new(child.stdout.take().context("its output")?).lines();
        let line = timeout(PATIENCE, said.next_line()).await.context("the provider does not start")??;
        let started: Value = serde_json::from_str(&line.context("the provider ended at once")?)?;
        let issuer = started["issuer"].as_str().context("an issuer")?.to_owned();
        let port = started["port"].as_u64().and_then(|port| port.try_into().ok()).context("a port")?;
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { client: Client::new(&format!("http://{server}"))?, issuer, server, _child: child })
    }

    /// Where it listens: plain HTTP on loopback.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The person's next refresh is refused, and the next sign-in.
    pub async fn disable(&self, person: &str) -> Result<()> {
        self.change(person, &json!({"disabled": true})).await
    }

    pub async fn enable(&self, person: &str) -> Result<()> {
        self.change(person, &json!({"disabled": false})).await
    }

    pub async fn set_groups(&self, person: &str, groups: &[&str]) -> Result<()> {
        self.change(person, &json!({"groups": groups})).await
    }

    /// How often the token endpoint granted: by code, and by refresh token.
    pub async fn granted(&self) -> Result<(u64, u64)> {
        let asked: Value = self.client.get("/cast/asked").send().await?.json().await?;
        let count = |kind: &str| asked[kind].as_u64().with_context(|| format!("a count of {kind}"));
        Ok((count("authorization_code")?, count("refresh_token")?))
    }

    async fn change(&self, person: &str, what: &Value) -> Result<()> {
        let answer = self.client.post(&format!("/cast/people/{person}")).json(what).send().await?;
        ensure!(answer.status == 200, "the provider knows no {person}");
        Ok(())
    }
}

impl Walk {
    /// Signs `person` in at the verification page, in Chromium.
    pub async fn approve(device_url: &str, user_code: &str, person: &str) -> Result<Self> {
        Self::with(&json!({"url": device_url, "user_code": user_code, "person": person})).await
    }

    /// As the script's options say (`deny`, `dark`, `width`, `pictures`).
    pub async fn with(options: &Value) -> Result<Self> {
        let run = script("walk.mjs", options)?.stdin(Stdio::null()).stderr(Stdio::piped()).output();
        let output = timeout(Duration::from_secs(120), run).await.context("the browser is stuck")??;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the browser's script: {}", String::from_utf8_lossy(&output.stderr)))
    }

    pub fn page(&self, name: &str) -> Result<&Page> {
        self.pages.iter().find(|page| page.name == name).with_context(|| format!("no page `{name}` in {self:?}"))
    }
}

/// So many blanks between two texts, compressed by node's own zlib: `gzip`, `deflate` or `br`.
pub async fn compressed(encoding: &str, (before, behind): &(String, &str), blanks: usize) -> Result<Vec<u8>> {
    const COMPRESS: &str = "
        const [encoding, before, behind, blanks] = process.argv.slice(1);
        const plain = Buffer.concat([Buffer.from(before), Buffer.alloc(Number(blanks), ' '), Buffer.from(behind)]);
        const zlib = require('node:zlib');
        const quality = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } };
        const by = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: (all) => zlib.brotliCompressSync(all, quality) };
        process.stdout.write(by[encoding](plain));
    ";
    let run = Command::new("node")
        .args(["-e", COMPRESS, encoding, before, behind, &blanks.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, run).await.context("node is stuck")??;
    ensure!(output.status.success(), "node: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// The native binary inside npm's package; no script of the package is run.
pub fn claude_binary() -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("Claude Code has no build for {other}"),
    };
    let binary = modules()?.join(format!("@anthropic-ai/claude-code-linux-{architecture}/claude"));
    ensure!(binary.exists(), "no {}", binary.display());
    Ok(binary)
}

fn script(name: &str, options: &Value) -> Result<Command> {
    modules()?;
    let mut command = Command::new("node");
    command.arg(home().join(name)).arg(options.to_string()).stdout(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

fn modules() -> Result<PathBuf> {
    let modules = home().join("node_modules");
    ensure!(modules.exists(), "no {}: run `npm ci --ignore-scripts` in e2e/node", modules.display());
    Ok(modules)
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}
