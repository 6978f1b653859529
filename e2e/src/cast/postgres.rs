//! A Postgres of one's own: an installed server's programs, files in a temporary place, nothing downloaded.
//!
//! Invariant: what was started ends and leaves nothing behind, also when the process that started it is killed: a leash
//! stops the server and removes the files.
//! Postgres refuses to run as root. As root, the programs handed to `postgresql_embedded` are two-line scripts that become an
//! unprivileged account before they become `initdb` or `pg_ctl`; the rest is the same.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use postgresql_embedded::{PostgreSQL, Settings};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{AssertSqlSafe, Executor, PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{certificate::Authority, leash::Leash, ports::free_port};

/// Quick to start and to commit (`postgresql_embedded` adds `-F`): data need not outlive a power cut, but every commit
/// outlives a killed server, so `synchronous_commit` stays on.
const CONFIGURATION: [(&str, &str); 6] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", "''"),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
];

/// Declared in the order in which they must go: the server, the leash, the files.
pub struct Postgres {
    server: PostgreSQL,
    _leash: Leash,
    _home: TempDir,
    databases: AtomicU32,
    authority: Option<Authority>,
}

impl Postgres {
    /// A new server with an empty `postgres` database.
    pub async fn start() -> Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST).await
    }

    /// One that also listens there, also by TLS, for whoever knows a role and its password.
    pub async fn at(address: Ipv4Addr) -> Result<Self> {
        let installed = installed_server()?;
        let home = tempfile::Builder::new().prefix("cast-postgres-").tempdir()?;
        let installation_dir = match geteuid().is_root() {
            true => become_unprivileged(home.path(), &installed)?,
            false => installed.clone(),
        };
        let data_dir = home.path().join("data");
        let leash = Leash::new(LEASH, [&installation_dir.join("bin/pg_ctl"), &data_dir, home.path()])?;
        let mut settings = settings(installation_dir, data_dir, home.path())?;
        if !address.is_loopback() {
            settings.configuration.insert("listen_addresses".to_owned(), format!("127.0.0.1,{address}"));
        }
        let mut server = PostgreSQL::new(settings);
        server.setup().await.context("initdb")?;
        let authority = match address.is_loopback() {
            true => None,
            false => Some(serve_at(address, &server.settings().data_dir)?),
        };
        server.start().await.context("pg_ctl start")?;
        Ok(Self { server, _leash: leash, _home: home, databases: AtomicU32::new(0), authority })
    }

    /// One server for all tests of a process; each takes a [`database`](Self::database) of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// The superuser's URL of the database `postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The superuser's URL of a database.
    pub fn url_of(&self, database: &str) -> String {
        self.server.settings().url(database)
    }

    pub fn port(&self) -> u16 {
        self.server.settings().port
    }

    /// Who vouches for its certificate, where it has one: for the address and for `postgres.test`.
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority.as_ref().map(Authority::pem)
    }

    /// A new, empty database; its superuser's URL.
    pub async fn database(&self) -> Result<String> {
        let name = format!("cast_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.server.create_database(&name).await?;
        Ok(self.url_of(&name))
    }

    /// A role that may log in and nothing else; its URL of the same database. Grants are the caller's, by [`execute`](Self::execute).
    pub async fn create_role(&self, database_url: &str, name: &str, password: &str) -> Result<String> {
        ensure!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "a plain role name");
        ensure!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "a plain password");
        let role = format!("CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{password}'");
        self.execute(database_url, &role).await?;
        let mut url = url::Url::parse(database_url)?;
        let named = url.set_username(name).and_then(|()| url.set_password(Some(password)));
        ensure!(named.is_ok(), "a URL with an authority");
        Ok(url.into())
    }

    /// Runs statements, separated by semicolons, on a connection of their own.
    pub async fn execute(&self, database_url: &str, statements: &str) -> Result<()> {
        let pool = pool(database_url).await?;
        pool.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await?;
        pool.close().await;
        Ok(())
    }

    /// Ends the server as an operator would; [`start_again`](Self::start_again) brings it back with its data.
    pub async fn stop(&self) -> Result<()> {
        self.pg_ctl(&["stop", "-m", "fast", "-w"]).await
    }

    pub async fn start_again(&self) -> Result<()> {
        // `restart` of a stopped server, because only that reads the options of the first start.
        let log = self.server.settings().data_dir.join("start.log");
        self.pg_ctl(&["restart", "-w", "-l", &log.to_string_lossy()]).await
    }

    /// As a crash: connections break, the log is replayed, the same port answers again when this returns.
    pub async fn restart_immediate(&self) -> Result<()> {
        let log = self.server.settings().data_dir.join("start.log");
        self.pg_ctl(&["restart", "-m", "immediate", "-w", "-l", &log.to_string_lossy()]).await
    }

    /// Connections stay open and nothing answers, as behind a firewall that drops.
    pub fn pause(&self) -> Result<()> {
        self.signal_all(Signal::STOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.signal_all(Signal::CONT)
    }

    fn signal_all(&self, signal: Signal) -> Result<()> {
        let pid_file = fs::read_to_string(self.server.settings().data_dir.join("postmaster.pid"))?;
        let postmaster: i32 = pid_file.lines().next().unwrap_or_default().trim().parse()?;
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))?;
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        // The postmaster first, so that no child is born between.
        for pid in std::iter::once(postmaster).chain(children) {
            kill_process(Pid::from_raw(pid).context("a process id")?, signal)?;
        }
        Ok(())
    }

    async fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let settings = self.server.settings();
        let status = tokio::process::Command::new(settings.binary_dir().join("pg_ctl"))
            .arg("-D")
            .arg(&settings.data_dir)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await?;
        ensure!(status.success(), "pg_ctl {arguments:?}: {status}");
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A stopped process would never hear that it should end.
        let _ = self.resume();
    }
}

/// Its own URLs stay those of loopback, where it listens, too.
fn serve_at(address: Ipv4Addr, data_dir: &Path) -> Result<Authority> {
    let authority = Authority::new()?;
    let leaf = authority.leaf(&[&address.to_string(), "postgres.test"])?;
    let owner = fs::metadata(data_dir)?;
    for (name, content) in [("server.crt", leaf.certificate_pem), ("server.key", leaf.key_pem)] {
        let path = data_dir.join(name);
        fs::write(&path, content)?;
        // Postgres takes no key that others could read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(owner.uid()), Some(owner.gid()))?;
    }
    let append = |file: &str, line: String| {
        let mut file = fs::File::options().append(true).open(data_dir.join(file))?;
        writeln!(file, "{line}")
    };
    append("postgresql.conf", "ssl = on".to_owned())?;
    append("pg_hba.conf", "host all all 0.0.0.0/0 scram-sha-256".to_owned())?;
    Ok(authority)
}

/// A small pool for a test's own look at the tables.
pub async fn pool(database_url: &str) -> Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(5)).connect(database_url).await?)
}

fn settings(installation_dir: PathBuf, data_dir: PathBuf, home: &Path) -> Result<Settings> {
    let mut settings = Settings::new();
    // The defaults have made two temporary directories that nobody would remove.
    let _ = fs::remove_dir(&settings.data_dir);
    let _ = settings.password_file.parent().map(fs::remove_dir);
    settings.installation_dir = installation_dir;
    settings.trust_installation_dir = true;
    settings.data_dir = data_dir;
    settings.password_file = home.join("password");
    settings.host = "127.0.0.1".to_owned();
    settings.port = free_port()?;
    settings.timeout = Some(Duration::from_secs(60));
    settings.configuration = CONFIGURATION.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Ok(settings)
}

/// `CAST_POSTGRES_DIR`, else the newest of Debian's.
fn installed_server() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("CAST_POSTGRES_DIR") {
        return Ok(chosen.into());
    }
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut servers: Vec<(u32, PathBuf)> = debian
        .filter(|entry| entry.path().join("bin/initdb").exists())
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    servers.sort();
    match servers.pop() {
        Some((_, newest)) => Ok(newest),
        None => bail!("no Postgres server found: install Debian's `postgresql`, or name one by CAST_POSTGRES_DIR"),
    }
}

/// An installation directory whose programs run as `postgres`, or `nobody` where there is no such account.
fn become_unprivileged(home: &Path, installed: &Path) -> Result<PathBuf> {
    let accounts = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let mut fields = accounts.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
        Some((fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?))
    };
    let (uid, gid) = ids("postgres").or_else(|| ids("nobody")).context("an account that is not root")?;
    let bin = home.join("server/bin");
    fs::create_dir_all(&bin)?;
    for program in ["initdb", "pg_ctl"] {
        let real = installed.join("bin").join(program);
        let script = format!(
            "#!/bin/sh\ncd / && exec setpriv --reuid={uid} --regid={gid} --clear-groups -- '{}' \"$@\"\n",
            real.display()
        );
        fs::write(bin.join(program), script)?;
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755))?;
    }
    chown(home, Some(uid), Some(gid))?;
    Ok(home.join("server"))
}

/// A paused server is woken, or it would not hear that it should end.
const LEASH: &str = r#"
    test -f "$2/postmaster.pid" && kill -CONT "$(head -n 1 "$2/postmaster.pid")" && "$1" -D "$2" stop -m immediate -w
    rm -rf -- "$3"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_starts_answers_and_leaves_nothing_behind() {
        let postgres = Postgres::start().await.unwrap();
        let url = postgres.database().await.unwrap();
        let role = postgres.create_role(&url, "pod", "secret").await.unwrap();
        let pool = pool(&role).await.unwrap();
        let (name,): (String,) = sqlx::query_as("SELECT current_user::text").fetch_one(&pool).await.unwrap();
        assert_eq!(name, "pod");
        let refused = pool.execute("CREATE SCHEMA mine").await;
        assert!(refused.is_err(), "the role has no rights of its own");
        pool.close().await;
        let (home, port) = (postgres._home.path().to_owned(), postgres.port());
        drop(postgres);
        assert!(!home.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[tokio::test]
    async fn data_outlives_a_crash_and_a_stop() {
        let postgres = Postgres::start().await.unwrap();
        let url = postgres.url();
        postgres.execute(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await.unwrap();
        postgres.restart_immediate().await.unwrap();
        postgres.stop().await.unwrap();
        assert!(std::net::TcpStream::connect(("127.0.0.1", postgres.port())).is_err());
        postgres.start_again().await.unwrap();
        let (n,): (i32,) = sqlx::query_as("SELECT n FROM kept").fetch_one(&pool(&url).await.unwrap()).await.unwrap();
        assert_eq!(n, 7);
    }

    #[tokio::test]
    async fn a_paused_server_is_silent_until_it_resumes() {
        let postgres = Postgres::start().await.unwrap();
        let pool = pool(&postgres.url()).await.unwrap();
        postgres.pause().unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(300), pool.execute("SELECT 1")).await;
        assert!(silent.is_err());
        postgres.resume().unwrap();
        pool.execute("SELECT 1").await.unwrap();
    }
}
