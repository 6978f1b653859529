//! The words of a status: a closed set of reasons, and what each condition says.
//!
//! Invariant: a message is at most 1 KiB, names no secret's content, and says what to do next where something is to be done.

use std::fmt;

/// The API's own bound is 32 KiB; a person reads less.
const MESSAGE: usize = 1024;

/// The set is closed: a reason that is not named here cannot be said, and `docs/conditions.md` explains each.
macro_rules! reasons {
    ($($name:ident),* $(,)?) => {
        /// Why a condition is as it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($name),*
        }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

reasons![
    // Everything is as it should be.
    Available,
    RolledOut,
    DatabaseReady,
    IdentityProviderReady,
    UpstreamsReady,
    PoliciesSynced,
    NewerImage,
    // On the way.
    Reconciling,
    RollingOut,
    WaitingForDatabase,
    PodsNotReady,
    NoPods,
    PoliciesBehind,
    UpstreamsUntried,
    NotProbed,
    Paused,
    ScaledToZero,
    CertificateRenewalDue,
    // Whoever wrote the objects can mend it.
    SecretMissing,
    SecretKeyMissing,
    SecretNotPermitted,
    ConfigMapMissing,
    ConfigMapKeyMissing,
    ConfigurationInvalid,
    NameInvalid,
    ImageMissing,
    NameConflict,
    ApiMissing,
    SigningKeysDamaged,
    DatabaseUrlInvalid,
    DatabaseLoginRefused,
    DatabaseRightMissing,
    DatabaseRoleConflict,
    UpstreamCredentialRefused,
    IdentityProviderMismatch,
    // Somebody else's service.
    DatabaseUnavailable,
    DatabaseNotMigrated,
    MigrationFailed,
    IdentityProviderUnavailable,
    ApplyFailed,
    // Ours.
    OperatorFault,
];

impl Reason {
    /// Trying again does not help: somebody has to change something.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::SecretMissing
                | Self::SecretKeyMissing
                | Self::SecretNotPermitted
                | Self::ConfigMapMissing
                | Self::ConfigMapKeyMissing
                | Self::ConfigurationInvalid
                | Self::NameInvalid
                | Self::ImageMissing
                | Self::NameConflict
                | Self::ApiMissing
                | Self::SigningKeysDamaged
                | Self::DatabaseUrlInvalid
                | Self::DatabaseLoginRefused
                | Self::DatabaseRightMissing
                | Self::DatabaseRoleConflict
                | Self::IdentityProviderMismatch
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiMissing => f.write_str("APIMissing"),
            reason => fmt::Debug::fmt(reason, f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    True,
    False,
    Unknown,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What one condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    pub reason: Reason,
    message: String,
}

impl Finding {
    pub fn good(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Verdict::True, reason, message)
    }

    pub fn bad(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Verdict::False, reason, message)
    }

    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, reason, message)
    }

    fn new(verdict: Verdict, reason: Reason, message: impl Into<String>) -> Self {
        Self { verdict, reason, message: bounded(message.into()) }
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn is_good(&self) -> bool {
        self.verdict == Verdict::True
    }
}

fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE {
        let end = (0..=MESSAGE - "…".len()).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_a_message_never_passes_a_kibibyte() {
        for text in ["x".repeat(5000), "ä".repeat(1000), "€".repeat(400)] {
            let message = Finding::bad(Reason::ApplyFailed, text).message().to_owned();
            assert!(message.len() <= 1024 && message.ends_with('…'), "{}", message.len());
        }
    }

    #[test]
    fn b5_every_reason_is_explained() {
        let page = include_str!("../../../docs/conditions.md");
        let (page, _of_policies) = page.split_once("# What a policy's status says").unwrap();
        for reason in Reason::ALL {
            assert!(page.contains(&format!("| `{reason}` |")), "{reason}");
        }
        let told = page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 3);
        assert_eq!(told.count(), Reason::ALL.len(), "no reason is explained that nobody says");
    }
}
