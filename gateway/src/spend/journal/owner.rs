//! Whose a journal is, as its file is named.

use std::{fmt, path::Path};

use aws_lc_rs::digest;

use super::PREFIX;

/// Gateways that have nothing to do with each other may be given one directory: each knows its own by the gateway's mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    gateway: String,
    incarnation: String,
}

impl Owner {
    /// A process of the gateway with this public URL.
    pub fn new(public_url: &str, incarnation: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, public_url.as_bytes());
        let gateway = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { gateway, incarnation: incarnation.to_owned() }
    }

    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    pub fn is_of_same_gateway(&self, other: &Self) -> bool {
        self.gateway == other.gateway
    }

    /// Of a file's name without its ending.
    pub(super) fn read(name: &str) -> Option<Self> {
        let (gateway, incarnation) = name.strip_prefix(PREFIX)?.split_once('-')?;
        Some(Self { gateway: gateway.to_owned(), incarnation: incarnation.to_owned() })
    }

    pub(super) fn file(&self, directory: &Path, suffix: &str) -> std::path::PathBuf {
        directory.join(format!("{self}{suffix}"))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, incarnation } = self;
        write!(f, "{PREFIX}{gateway}-{incarnation}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_from_the_name_of_its_file() {
        let one = Owner::new("https://claude.example.com", "0a1b");
        assert_eq!(Owner::read(&one.to_string()).as_ref(), Some(&one));
        assert!(one.is_of_same_gateway(&Owner::new("https://claude.example.com", "2c3d")));
        assert!(!one.is_of_same_gateway(&Owner::new("https://other.example.com", "0a1b")));
        assert!(Owner::read("sessions-0a1b").is_none() && Owner::read("usage-0a1b").is_none());
    }
}
