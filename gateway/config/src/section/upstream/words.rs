//! The keys of an entry of `upstreams`, provider by provider.

use crate::vocabulary::{Fallback, Key, Shape, Table};

pub(crate) const UPSTREAM: Shape = Shape::Cases {
    tag: "provider",
    cases: &[
        ("anthropic", &ANTHROPIC),
        ("bedrock", &BEDROCK),
        ("mantle", &MANTLE),
        ("anthropicAws", &ANTHROPIC_AWS),
        ("vertex", &VERTEX),
        ("foundry", &FOUNDRY),
    ],
};

const COMMON: &[Key] = &[
    Key::required("provider", Shape::Text, "Who serves the models."),
    Key::optional(
        "name",
        Shape::Text,
        "What the rest of the file calls this upstream; the provider's name unless said.",
    ),
    Key::optional("base_url", Shape::Text, "Where requests go, if not to the provider's own address."),
    Key::optional(
        "headers",
        Shape::Map(&Shape::Secret),
        "Headers added to every inference request; none that the gateway or the provider sets.",
    ),
    Key::optional(
        "priority",
        Shape::Whole(0, 10_000),
        "Lower is tried first, equals share by weight; unless set, the place in the list.",
    ),
    Key::optional("weight", Shape::Whole(1, 1_000), "Share among upstreams of the same priority.")
        .or(Fallback::Whole(1)),
    Key::optional(
        "max_concurrent",
        Shape::Whole(1, 1_000_000),
        "Requests in flight from one replica; more go elsewhere.",
    ),
    Key::optional("region_prefix", Shape::Text, "Prefix of model ids, where the one derived from the region is wrong."),
    Key::optional("zero_retention", Shape::Flag, "The operator declares that this upstream keeps nothing.")
        .or(Fallback::Flag(false)),
    Key::optional(
        "ca_cert_pem",
        Shape::Text,
        "CA certificates, in PEM form, that take the place of the system's here.",
    ),
];

const ANY_MODELS: &[Key] =
    &[Key::optional("models", Shape::List(&Shape::Text), "Only these models go here; one `*` may stand in each.")];

const REGION: Key = Key::required("region", Shape::Text, "The provider's region.");

static ANTHROPIC: Table = Table {
    about: "The Anthropic API, or a proxy that speaks it.",
    keys: &[
        COMMON,
        ANY_MODELS,
        &[
            Key::required("auth", Shape::Section(&ANTHROPIC_AUTH), "The credential: one of three kinds."),
            Key::optional(
                "forward_user_identity",
                Shape::Flag,
                "Tell a proxy of your own who sent each request, by three headers; refused for Anthropic's own address.",
            )
            .or(Fallback::Flag(false)),
        ],
    ],
};

static ANTHROPIC_AUTH: Table = Table {
    about: "api_key, or oauth_token, or workload identity federation.",
    keys: &[&[
        Key::optional("api_key", Shape::Secret, "Sent as x-api-key."),
        Key::optional("oauth_token", Shape::Secret, "Sent as a bearer token."),
        Key::optional("federation_rule_id", Shape::Text, "The federation rule that trusts the identity token."),
        Key::optional("organization_id", Shape::Text, "The organization that the rule belongs to."),
        Key::optional(
            "identity_token_file",
            Shape::Text,
            "Path of the workload's identity token, read again at every exchange.",
        ),
        Key::optional("workspace_id", Shape::Text, "The workspace, where the rule covers more than one."),
        Key::optional("service_account_id", Shape::Text, "The service account that the exchange must yield."),
    ]],
};

static BEDROCK: Table = Table {
    about: "Amazon Bedrock.",
    keys: &[
        COMMON,
        ANY_MODELS,
        &[
            REGION,
            Key::required("auth", Shape::Section(&AWS_AUTH), "The credential; empty: the default chain of AWS."),
            Key::optional(
                "guardrail",
                Shape::Section(&GUARDRAIL),
                "Applied to every request; on all Bedrock upstreams or none.",
            ),
            Key::optional("assume_role", Shape::Section(&ASSUME_ROLE), "A role to sign requests with."),
        ],
    ],
};

static MANTLE: Table = Table {
    about: "Amazon Bedrock's Mantle endpoint.",
    keys: &[
        COMMON,
        &[
            REGION,
            Key::required("models", Shape::List(&Shape::Text), "The models granted on Mantle, as clients name them."),
            Key::optional("auth", Shape::Section(&AWS_AUTH), "The credential; empty: the default chain of AWS.")
                .or(Fallback::Section),
        ],
    ],
};

static AWS_AUTH: Table = Table {
    about: "Static keys, or a bearer token, or nothing for the default chain.",
    keys: &[
        AWS_KEYS,
        &[Key::optional("aws_bearer_token", Shape::Secret, "A Bedrock API key, sent as a bearer token.")],
    ],
};

const AWS_KEYS: &[Key] = &[
    Key::optional("aws_access_key_id", Shape::Text, "Goes with aws_secret_access_key."),
    Key::optional("aws_secret_access_key", Shape::Secret, "Goes with aws_access_key_id."),
    Key::optional("aws_session_token", Shape::Secret, "Of temporary keys; goes with both of them."),
];

static GUARDRAIL: Table = Table {
    about: "A Bedrock guardrail.",
    keys: &[&[
        Key::required("id", Shape::Text, "Its id or ARN."),
        Key::required("version", Shape::Text, "A published version in quotes, or DRAFT."),
    ]],
};

static ASSUME_ROLE: Table = Table {
    about: "A role that the gateway's own identity assumes through STS.",
    keys: &[&[
        Key::required("role_arn", Shape::Text, "The ARN of the role."),
        Key::optional("external_id", Shape::Text, "The external id, where the role's trust policy asks for one."),
        Key::optional(
            "session_name",
            Shape::Choice(&["email", "sub"]),
            "One STS session a person, named by this claim; unless set one session for all.",
        ),
    ]],
};

static ANTHROPIC_AWS: Table = Table {
    about: "Claude Platform on AWS.",
    keys: &[
        COMMON,
        ANY_MODELS,
        &[
            REGION,
            Key::required("workspace_id", Shape::Text, "Sent with every request."),
            Key::required(
                "auth",
                Shape::Section(&ANTHROPIC_AWS_AUTH),
                "The credential; empty: the default chain of AWS.",
            ),
        ],
    ],
};

static ANTHROPIC_AWS_AUTH: Table = Table {
    about: "An API key, or static keys, or nothing for the default chain.",
    keys: &[AWS_KEYS, &[Key::optional("api_key", Shape::Secret, "Sent as x-api-key; wins over the AWS keys.")]],
};

static VERTEX: Table = Table {
    about: "Google Cloud's Agent Platform.",
    keys: &[
        COMMON,
        ANY_MODELS,
        &[
            Key::required("region", Shape::Text, "A region, or global."),
            Key::required("project_id", Shape::Text, "The project that is billed."),
            Key::required("auth", Shape::Section(&VERTEX_AUTH), "Empty: application default credentials."),
        ],
    ],
};

static VERTEX_AUTH: Table = Table {
    about: "Application default credentials unless a key is named.",
    keys: &[&[Key::optional("service_account_json", Shape::Text, "Path of a service account's JSON key.")]],
};

static FOUNDRY: Table = Table {
    about: "Microsoft Foundry.",
    keys: &[
        COMMON,
        ANY_MODELS,
        &[
            Key::required("resource", Shape::Text, "The name of the Foundry resource."),
            Key::required("auth", Shape::Section(&FOUNDRY_AUTH), "Entra ID, or an API key."),
        ],
    ],
};

static FOUNDRY_AUTH: Table = Table {
    about: "One of the two.",
    keys: &[&[
        Key::optional("use_azure_ad", Shape::Flag, "Use the workload's or machine's own identity."),
        Key::optional("api_key", Shape::Secret, "The resource's API key."),
    ]],
};
