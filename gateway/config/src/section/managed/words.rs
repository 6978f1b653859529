//! The keys of `managed`.

use crate::vocabulary::{Fallback, Key, Shape, Table};

pub(crate) static MANAGED: Table = Table {
    about: "Policies: which models, limits and client settings apply to whom.",
    keys: &[&[
        Key::optional(
            "source",
            Shape::Choice(&["file", "store"]),
            "Where the policies are: below `policies`, or in the database, where the operator writes them.",
        )
        .or(Fallback::Text("file")),
        Key::optional(
            "policies",
            Shape::List(&Shape::Section(&POLICY)),
            "The first that matches a person is merged onto the one with the empty match.",
        ),
    ]],
};

pub(super) static POLICY: Table = Table {
    about: "What applies to the people it matches.",
    keys: &[&[
        Key::optional("name", Shape::Text, "What logs call it."),
        Key::required("match", Shape::Section(&MATCH), "Whom it is for; empty: everyone, and the base of all others."),
        Key::optional(
            "code",
            Shape::Document,
            "A managed-settings document of Claude Code. `${…}` in it is plain text.",
        ),
        Key::optional("cli", Shape::Document, "Another spelling of `code`."),
        Key::optional("settings", Shape::Document, "An old spelling of `code`."),
        Key::optional(
            "desktop",
            Shape::Document,
            "Settings of Claude Desktop; present, even if empty, Desktop may sign in. `${…}` in it is plain text.",
        ),
        Key::optional("limits", Shape::Section(&LIMITS), "Token limits, enforced by the gateway."),
        Key::optional("retention", Shape::Section(&RETENTION), "What may be kept, and where."),
        Key::optional(
            "mode",
            Shape::Choice(&["enforce", "audit"]),
            "audit: log what it would decide, and let the next match decide.",
        )
        .or(Fallback::Text("enforce")),
    ]],
};

static MATCH: Table = Table {
    about: "All parts that are written have to match.",
    keys: &[&[
        Key::optional("groups", Shape::List(&Shape::Text), "Member of one of these; exact, case included."),
        Key::optional("email_domain", Shape::Text, "The domain of the e-mail address."),
        Key::optional("emails", Shape::List(&Shape::Text), "One of these e-mail addresses."),
        Key::optional("subjects", Shape::List(&Shape::Text), "One of these subjects of the identity provider."),
    ]],
};

const COUNT: Shape = Shape::Whole(1, 1_000_000_000_000_000);

static LIMITS: Table = Table {
    about: "Input, cache writes and output count, per person.",
    keys: &[&[
        Key::optional("max_input_tokens", COUNT, "Largest input of one request."),
        Key::optional("max_output_tokens", COUNT, "Largest output that one request may ask for."),
        Key::optional("tokens_per_minute", COUNT, "Tokens in a minute."),
        Key::optional("tokens_per_day", COUNT, "Tokens in a day, UTC."),
        Key::optional("tokens_per_month", COUNT, "Tokens in a month, UTC."),
        Key::optional("requests_per_minute", COUNT, "Requests in a minute."),
        Key::optional("concurrent_requests", COUNT, "Requests at the same time."),
        Key::optional("count_cache_reads", Shape::Flag, "Count tokens read from the cache as well; false unless said."),
    ]],
};

static RETENTION: Table = Table {
    about: "The stricter of two policies wins.",
    keys: &[&[
        Key::optional("transcript_days", Shape::Whole(1, 36_500), "How long clients keep transcripts."),
        Key::optional("telemetry", Shape::Choice(&["full", "redacted", "none"]), "What telemetry may carry."),
        Key::optional(
            "upstream",
            Shape::Choice(&["any", "zero"]),
            "zero: only upstreams that are declared to keep nothing.",
        ),
    ]],
};
