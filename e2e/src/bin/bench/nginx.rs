//! nginx as a plain reverse proxy: nothing buffered, the upstream kept alive, two workers.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::cast::{
    certificate::Authority,
    ports::free_port,
    provider::{API_KEY, Provider},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

pub(crate) struct Nginx {
    child: Child,
    port: u16,
    authority: Option<Authority>,
    _home: TempDir,
}

impl Nginx {
    /// In front of `provider`, on both sides as it is: plain or TLS.
    pub(crate) async fn start(provider: &Provider) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("cast-nginx-").tempdir()?;
        let port = free_port()?;
        let authority = provider.ca_pem().map(|_| Authority::new()).transpose()?;
        if let (Some(authority), Some(pem)) = (&authority, provider.ca_pem()) {
            let leaf = authority.loopback_leaf()?;
            std::fs::write(home.path().join("tls.crt"), leaf.certificate_pem)?;
            std::fs::write(home.path().join("tls.key"), leaf.key_pem)?;
            std::fs::write(home.path().join("upstream.crt"), pem)?;
        }
        let file = home.path().join("nginx.conf");
        std::fs::write(&file, configuration(&home, port, provider))?;
        // TERM, not KILL: the master must end its workers.
        let child = Command::new("setpriv")
            .args(["--pdeathsig=TERM", "nginx", "-e", "stderr", "-g", "daemon off;", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let nginx = Self { child, port, authority, _home: home };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            ensure!(started.elapsed() < Duration::from_secs(10), "nginx does not listen");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().and_then(|id| id.try_into().ok()).unwrap_or_default()
    }

    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.authority.as_ref().map(Authority::pem)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.pid()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        // Its files go next; it must be gone before.
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn configuration(home: &TempDir, port: u16, provider: &Provider) -> String {
    let (home, address) = (home.path().display(), provider.address());
    let (listen, scheme, verify) = match provider.ca_pem() {
        None => (format!("listen 127.0.0.1:{port} backlog=4096;"), "http", String::new()),
        Some(_) => (
            format!(
                "listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate {home}/tls.crt; ssl_certificate_key {home}/tls.key;"
            ),
            "https",
            format!(
                "proxy_ssl_verify on; proxy_ssl_trusted_certificate {home}/upstream.crt; proxy_ssl_name localhost; \
                 proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;"
            ),
        ),
    };
    format!(
        "worker_processes 2; pid {home}/pid;
         events {{ worker_connections 16384; }}
         http {{
             access_log off; client_max_body_size 64m; keepalive_requests 100000000;
             client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
             uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
             upstream provider {{ server {address}; keepalive 1024; keepalive_requests 100000000; }}
             server {{
                 {listen}
                 location / {{
                     proxy_pass {scheme}://provider; {verify}
                     proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header x-api-key {API_KEY};
                     proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 300s;
                 }}
             }}
         }}"
    )
}
