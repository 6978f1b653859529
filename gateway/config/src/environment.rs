//! The process's environment, handed in by the caller, and the settings that come from it rather than from the file.

use std::{collections::BTreeMap, ffi::OsString, fmt, time::Duration};

use url::Url;

use crate::{
    complaint::{Complaint, ConfigErrors, Findings, Warning},
    path::FieldPath,
};

const DRAIN_TIMEOUT_MS: u64 = 25_000;
const CLIENT_STALL_MS: u64 = 120_000;
const HOUR_MS: u64 = 3_600_000;

/// Names and values; values never print.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// What the environment alone decides, so that nothing in the file can relax it.
#[derive(Clone)]
pub struct ProcessSettings {
    pub log_level: LogLevel,
    /// `CLAUDE_GATEWAY_ALLOW_LOOPBACK`: the gateway's own requests may go to loopback addresses.
    pub allow_loopback: bool,
    pub drain_timeout: Duration,
    /// `CLAUDE_GATEWAY_CLIENT_STALL_MS`: how long a client may take nothing of its reply.
    pub client_stall: Duration,
    /// Effective: asked for, with a proxy set, `NO_PROXY` empty and loopback not allowed.
    pub proxy_is_boundary: bool,
    pub https_proxy: Option<Url>,
    pub http_proxy: Option<Url>,
    pub no_proxy: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

impl Environment {
    /// From the operating system's pairs; a pair that is not UTF-8 cannot be named in the file and is left out.
    pub fn from_os(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The first of these names with a value that is not empty.
    fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, &str)> {
        names.into_iter().find_map(|name| self.get(name).filter(|value| !value.is_empty()).map(|value| (name, value)))
    }
}

impl<Name: Into<String>, Text: Into<String>> FromIterator<(Name, Text)> for Environment {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Text)>>(pairs: Pairs) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl ProcessSettings {
    /// # Errors
    /// Every variable that has a value it cannot have, by its name.
    pub fn read(environment: &Environment) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let findings = Findings::default();
        let variables = Variables { environment, findings: &findings };
        let mut settings = Self {
            log_level: variables.log_level(),
            allow_loopback: variables.flag("CLAUDE_GATEWAY_ALLOW_LOOPBACK"),
            drain_timeout: variables.milliseconds("CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS", 0, DRAIN_TIMEOUT_MS),
            client_stall: variables.milliseconds("CLAUDE_GATEWAY_CLIENT_STALL_MS", 1_000, CLIENT_STALL_MS),
            proxy_is_boundary: variables.flag("CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY"),
            https_proxy: variables.proxy(["https_proxy", "HTTPS_PROXY"]),
            http_proxy: variables.proxy(["http_proxy", "HTTP_PROXY"]),
            no_proxy: environment
                .first(["no_proxy", "NO_PROXY"])
                .map_or_else(String::new, |(_, hosts)| hosts.to_owned()),
        };
        if settings.proxy_is_boundary
            && let Some(reason) = settings.boundary_obstacle()
        {
            settings.proxy_is_boundary = false;
            let path = FieldPath::root().key("CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY");
            findings.warn(path, format!("has no effect, because {reason}"));
        }
        findings.into_verdict().map(|warnings| (settings, warnings))
    }

    fn boundary_obstacle(&self) -> Option<&'static str> {
        if self.https_proxy.is_none() && self.http_proxy.is_none() {
            Some("neither HTTPS_PROXY nor HTTP_PROXY is set")
        } else if !self.no_proxy.is_empty() {
            Some("NO_PROXY is not empty")
        } else if self.allow_loopback {
            Some("CLAUDE_GATEWAY_ALLOW_LOOPBACK is on")
        } else {
            None
        }
    }
}

impl fmt::Debug for ProcessSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may carry a password.
        let Self {
            log_level,
            allow_loopback,
            drain_timeout,
            client_stall,
            proxy_is_boundary,
            https_proxy,
            http_proxy,
            no_proxy,
        } = self;
        f.debug_struct("ProcessSettings")
            .field("log_level", log_level)
            .field("allow_loopback", allow_loopback)
            .field("drain_timeout", drain_timeout)
            .field("client_stall", client_stall)
            .field("proxy_is_boundary", proxy_is_boundary)
            .field("https_proxy", &https_proxy.as_ref().and_then(Url::host_str))
            .field("http_proxy", &http_proxy.as_ref().and_then(Url::host_str))
            .field("no_proxy", no_proxy)
            .finish()
    }
}

struct Variables<'a> {
    environment: &'a Environment,
    findings: &'a Findings,
}

impl Variables<'_> {
    fn log_level(&self) -> LogLevel {
        const NAME: &str = "CLAUDE_GATEWAY_LOG_LEVEL";
        match self.environment.get(NAME).map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "info") => LogLevel::Info,
            Some("debug") => LogLevel::Debug,
            Some("warn") => LogLevel::Warn,
            Some("error") => LogLevel::Error,
            Some(_) => {
                self.refuse(NAME, "is no log level", "set debug, info, warn or error");
                LogLevel::default()
            }
        }
    }

    fn flag(&self, name: &str) -> bool {
        match self.environment.get(name).map(str::to_ascii_lowercase).as_deref() {
            Some("1" | "true") => true,
            None | Some("" | "0" | "false") => false,
            Some(_) => {
                self.refuse(name, "is neither on nor off", "set 1, or unset it");
                false
            }
        }
    }

    /// From `least` to an hour.
    fn milliseconds(&self, name: &str, least: u64, usual: u64) -> Duration {
        let written = self.environment.get(name).filter(|text| !text.is_empty());
        let milliseconds = written.map_or(Ok(usual), str::parse);
        match milliseconds {
            Ok(milliseconds) if (least..=HOUR_MS).contains(&milliseconds) => Duration::from_millis(milliseconds),
            _ => {
                self.refuse(
                    name,
                    format!("is no whole number of milliseconds from {least} to {HOUR_MS}"),
                    format!("set a number such as {usual}"),
                );
                Duration::from_millis(usual)
            }
        }
    }

    /// Lower case first, as other programs read these variables.
    fn proxy(&self, names: [&'static str; 2]) -> Option<Url> {
        let (name, text) = self.environment.first(names)?;
        // `host:port` alone is common, and alone it would parse as a URL with the scheme `host`.
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let proxy = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if proxy.is_none() {
            self.refuse(name, "is no proxy address", "set a URL such as http://proxy.example.com:3128");
        }
        proxy
    }

    fn refuse(&self, name: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.findings.refuse(FieldPath::root().key(name), Complaint::new(problem, remedy));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Environment, LogLevel, ProcessSettings};

    fn read(pairs: &[(&str, &str)]) -> Result<(ProcessSettings, Vec<crate::Warning>), crate::ConfigErrors> {
        ProcessSettings::read(&pairs.iter().copied().collect::<Environment>())
    }

    #[test]
    fn an_empty_environment_has_defaults() {
        let (settings, warnings) = read(&[]).unwrap();
        assert_eq!(settings.log_level, LogLevel::Info);
        assert_eq!(settings.drain_timeout, Duration::from_secs(25));
        assert_eq!(settings.client_stall, Duration::from_secs(120));
        assert!(!settings.allow_loopback && !settings.proxy_is_boundary);
        assert!(settings.https_proxy.is_none() && settings.no_proxy.is_empty());
        assert!(warnings.is_empty());
    }

    #[test]
    fn every_bad_variable_is_named_at_once() {
        let errors = read(&[
            ("CLAUDE_GATEWAY_LOG_LEVEL", "loud"),
            ("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "perhaps"),
            ("CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS", "25s"),
            ("CLAUDE_GATEWAY_CLIENT_STALL_MS", "0"),
            ("HTTPS_PROXY", "ftp://proxy"),
        ])
        .unwrap_err();
        assert_eq!(
            errors.to_string(),
            "CLAUDE_GATEWAY_ALLOW_LOOPBACK: is neither on nor off: set 1, or unset it\n\
             CLAUDE_GATEWAY_CLIENT_STALL_MS: is no whole number of milliseconds from 1000 to 3600000: set a number such as 120000\n\
             CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS: is no whole number of milliseconds from 0 to 3600000: set a number such as 25000\n\
             CLAUDE_GATEWAY_LOG_LEVEL: is no log level: set debug, info, warn or error\n\
             HTTPS_PROXY: is no proxy address: set a URL such as http://proxy.example.com:3128"
        );
    }

    #[test]
    fn the_boundary_needs_a_proxy_and_nothing_that_contradicts_it() {
        let asked = ("CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY", "1");
        let proxy = ("HTTPS_PROXY", "http://proxy:3128");
        assert!(read(&[asked, proxy, ("NO_PROXY", "")]).unwrap().0.proxy_is_boundary);
        for obstacle in [("NO_PROXY", "localhost"), ("no_proxy", "a"), ("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "1")] {
            let (settings, warnings) = read(&[asked, proxy, obstacle]).unwrap();
            assert!(!settings.proxy_is_boundary);
            assert_eq!(warnings.len(), 1);
        }
        assert!(!read(&[asked]).unwrap().0.proxy_is_boundary);
    }

    #[test]
    fn a_proxy_without_a_scheme_is_http_and_lower_case_wins() {
        let (settings, _) =
            read(&[("HTTPS_PROXY", "http://other:1"), ("https_proxy", "proxy.example.com:3128")]).unwrap();
        assert_eq!(settings.https_proxy.unwrap().as_str(), "http://proxy.example.com:3128/");
    }

    #[test]
    fn values_do_not_print() {
        let environment: Environment = [("HTTPS_PROXY", "http://me:hunter2@proxy:1")].into_iter().collect();
        let (settings, _) = ProcessSettings::read(&environment).unwrap();
        assert!(!format!("{environment:?} {settings:?}").contains("hunter2"));
    }
}
