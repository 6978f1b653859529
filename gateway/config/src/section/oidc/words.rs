//! The keys of `oidc`.

use crate::vocabulary::{Fallback, Key, Shape, Table};

pub(crate) static OIDC: Table = Table {
    about: "The company's OpenID Connect provider and who may sign in.",
    keys: &[PROVIDER, CLIENT, ADMISSION, SIGN_IN],
};

const PROVIDER: &[Key] = &[
    Key::required("issuer", Shape::Text, "The provider's issuer URL, exactly as its discovery document names it."),
    Key::optional(
        "discovery_url",
        Shape::Text,
        "Where the discovery document is, if not below the issuer; the path holds `/.well-known/`.",
    ),
    Key::optional(
        "ca_cert_pem",
        Shape::Text,
        "CA certificates, in PEM form, that take the place of the system's for requests to the provider.",
    ),
    Key::optional(
        "use_proxy",
        Shape::Flag,
        "Requests to the provider go through the proxy of the environment. Unless set they go direct.",
    ),
    Key::optional(
        "id_token_signed_response_alg",
        Shape::Choice(&["RS256", "ES256", "PS256", "EdDSA"]),
        "The algorithm that id_tokens must be signed with.",
    )
    .or(Fallback::Text("RS256")),
    Key::optional("clock_skew_seconds", Shape::Whole(0, 3_600), "How far the provider's clock may be off.")
        .or(Fallback::Whole(0)),
];

const CLIENT: &[Key] = &[
    Key::required("client_id", Shape::Text, "From the registration at the provider."),
    Key::optional(
        "client_secret",
        Shape::Secret,
        "From the registration at the provider; not with `private_key_jwt`, which takes a certificate instead.",
    ),
    Key::optional(
        "token_endpoint_auth_method",
        Shape::Choice(&["client_secret_basic", "client_secret_post", "private_key_jwt"]),
        "How the gateway proves itself at the token endpoint; unless set, what the provider advertises.",
    ),
    Key::optional(
        "client_assertion",
        Shape::Section(&CLIENT_ASSERTION),
        "Key and certificate for `private_key_jwt`, and only for it.",
    ),
    Key::optional(
        "additional_authorized_parties",
        Shape::List(&Shape::Text),
        "Values of `azp` that are accepted besides the client's own id.",
    ),
];

static CLIENT_ASSERTION: Table = Table {
    about: "The PEM text of both, not paths.",
    keys: &[&[
        Key::required(
            "private_key_pem",
            Shape::Secret,
            "An unencrypted RSA key of 2048 bits or more, as PKCS#8 or PKCS#1 PEM.",
        ),
        Key::required("certificate_pem", Shape::Text, "The one certificate of that key, registered at the provider."),
    ]],
};

const ADMISSION: &[Key] = &[
    Key::optional(
        "allowed_email_domains",
        Shape::List(&Shape::Text),
        "Only people with an e-mail address in one of these domains sign in; case does not matter.",
    ),
    Key::optional(
        "allowed_groups",
        Shape::List(&Shape::Text),
        "Only members of one of these groups sign in; compared exactly, case included.",
    ),
    Key::optional(
        "groups_claim",
        Shape::Text,
        "The claim that holds a person's groups: a key, or a JSON Pointer that starts with a slash.",
    )
    .or(Fallback::Text("groups")),
    Key::optional(
        "email_claim",
        Shape::OneOrMore(&Shape::Text),
        "The claim that holds the e-mail address: a key, a JSON Pointer, or a list of which the first present one counts.",
    )
    .or(Fallback::Texts(&["email"])),
    Key::optional(
        "google_groups",
        Shape::Section(&GOOGLE_GROUPS),
        "Ask Google's Directory API for a person's groups, because Google's id_tokens hold none.",
    ),
    Key::optional(
        "userinfo_fallback",
        Shape::Flag,
        "Fetch from the userinfo endpoint what the id_token lacks; what it has stands.",
    )
    .or(Fallback::Flag(false)),
];

static GOOGLE_GROUPS: Table = Table {
    about: "A group's e-mail address is its name.",
    keys: &[&[
        Key::required(
            "service_account_json_path",
            Shape::Text,
            "Path of the key of a service account with domain-wide delegation for admin.directory.group.readonly.",
        ),
        Key::required("admin_email", Shape::Text, "A Workspace administrator whom the service account acts for."),
    ]],
};

const SIGN_IN: &[Key] = &[
    Key::optional("scopes", Shape::List(&Shape::Text), "The scopes to ask for, all of them; openid is a must.")
        .or(Fallback::Texts(&["openid", "profile", "email", "offline_access"])),
    Key::optional("scope_on_refresh", Shape::Flag, "Send the scopes with a refresh too.").or(Fallback::Flag(false)),
    Key::optional(
        "extra_auth_params",
        Shape::Map(&Shape::Text),
        "Query parameters added to the authorization request; none that the gateway sets itself.",
    ),
    Key::optional("use_pkce", Shape::Flag, "Send a PKCE challenge; false only for a provider that refuses it.")
        .or(Fallback::Flag(true)),
    Key::optional(
        "form_action_origins",
        Shape::List(&Shape::Text),
        "Further origins that signing in may redirect through, for the pages' Content-Security-Policy.",
    ),
];
