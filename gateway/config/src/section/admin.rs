//! `admin` and `enforcement`: the admin API, and how spend limits behave.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use crate::{
    fields::Fields,
    vocabulary::{Fallback, Key, Shape, Table},
};

const LEAST_KEY_CHARACTERS: usize = 32;

pub(crate) static ADMIN: Table = Table {
    about: "The admin API and spend limits; present, they are on.",
    keys: &[&[
        Key::optional("write_keys", ADMIN_KEYS, "Keys that may read and change spend limits."),
        Key::optional("read_keys", ADMIN_KEYS, "Keys that may only read."),
        Key::optional(
            "admin_groups",
            Shape::List(&Shape::Text),
            "Members of these groups administer with their own sign-in.",
        ),
        Key::optional("blocked_message", Shape::Text, "What a blocked developer is told to do, word for word."),
        Key::optional("audit_retention_days", Shape::Whole(1, 36_500), "How long audit rows are kept.")
            .or(Fallback::Whole(365)),
        Key::optional("spend_retention_months", Shape::Whole(1, 1_200), "How long spend counters are kept.")
            .or(Fallback::Whole(13)),
        Key::optional(
            "identity_retention_days",
            Shape::Whole(1, 36_500),
            "How long a person's address and groups are kept.",
        )
        .or(Fallback::Whole(90)),
        Key::optional(
            "group_limit_mode",
            Shape::Choice(&["min", "max"]),
            "Which limit holds for a member of several groups: the smallest or the largest.",
        )
        .or(Fallback::Text("min")),
        Key::optional("billing_group_tag", Shape::Text, "The request tag that names the group to bill."),
    ]],
};

const ADMIN_KEYS: Shape = Shape::List(&Shape::Section(&ADMIN_KEY));

static ADMIN_KEY: Table = Table {
    about: "A static key, sent as x-api-key.",
    keys: &[&[
        Key::required("id", Shape::Text, "What the audit log calls it."),
        Key::required("key", Shape::Secret, "32 characters or more."),
    ]],
};

pub(crate) static ENFORCEMENT: Table = Table {
    about: "What limits do while the database does not answer.",
    keys: &[&[Key::optional(
        "fail_closed_on_error",
        Shape::Flag,
        "Refuse everyone while limits cannot be checked; false: let them pass.",
    )
    .or(Fallback::Flag(false))]],
};

#[derive(Debug, Clone)]
pub struct Admin {
    pub write_keys: Vec<AdminKey>,
    pub read_keys: Vec<AdminKey>,
    pub admin_groups: Vec<String>,
    pub blocked_message: Option<String>,
    pub audit_retention_days: u32,
    pub spend_retention_months: u32,
    pub identity_retention_days: u32,
    pub group_limit_mode: GroupLimitMode,
    pub billing_group_tag: Option<String>,
}

/// Ids and keys are unique among all of them.
#[derive(Debug, Clone)]
pub struct AdminKey {
    pub id: String,
    pub key: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupLimitMode {
    Min,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforcement {
    pub fail_closed_on_error: bool,
}

impl Admin {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let mut seen = Seen::default();
        let write_keys = seen.keys(fields, "write_keys");
        let read_keys = seen.keys(fields, "read_keys");
        Some(Self {
            write_keys,
            read_keys,
            admin_groups: fields.owned_texts("admin_groups"),
            blocked_message: fields.owned("blocked_message"),
            audit_retention_days: fields.whole("audit_retention_days")?,
            spend_retention_months: fields.whole("spend_retention_months")?,
            identity_retention_days: fields.whole("identity_retention_days")?,
            group_limit_mode: match fields.text("group_limit_mode")? {
                "max" => GroupLimitMode::Max,
                _ => GroupLimitMode::Min,
            },
            billing_group_tag: fields.owned("billing_group_tag"),
        })
    }
}

impl Enforcement {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self { fail_closed_on_error: fields.flag("fail_closed_on_error")? })
    }
}

#[derive(Default)]
struct Seen {
    ids: BTreeSet<String>,
    keys: BTreeSet<String>,
}

impl Seen {
    fn keys(&mut self, fields: &Fields<'_>, list: &str) -> Vec<AdminKey> {
        fields.sections(list).iter().filter_map(|entry| self.key(entry)).collect()
    }

    fn key(&mut self, fields: &Fields<'_>) -> Option<AdminKey> {
        let (id, key) = (fields.owned("id")?, fields.secret("key")?);
        if !self.ids.insert(id.clone()) {
            fields.refuse("id", "is the id of an earlier key too", "give each key its own id");
        }
        if key.expose_secret().chars().count() < LEAST_KEY_CHARACTERS {
            fields.refuse(
                "key",
                format!("is shorter than {LEAST_KEY_CHARACTERS} characters"),
                "make one with `openssl rand -base64 32`",
            );
        }
        if !self.keys.insert(key.expose_secret().to_owned()) {
            fields.refuse("key", "is the key of an earlier entry too", "give each id its own key");
        }
        Some(AdminKey { id, key })
    }
}
