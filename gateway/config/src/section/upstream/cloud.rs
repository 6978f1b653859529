//! The providers besides Anthropic itself: their keys, checked as far as the file alone can be.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::{complaint::Complaint, fields::Fields};

#[derive(Debug, Clone)]
pub enum CloudProvider {
    Bedrock(Bedrock),
    Mantle {
        region: String,
        auth: AwsAuth,
    },
    AnthropicAws {
        region: String,
        workspace_id: String,
        auth: AnthropicAwsAuth,
    },
    /// Without a key file: application default credentials.
    Vertex {
        region: String,
        project_id: String,
        service_account_json: Option<PathBuf>,
    },
    Foundry {
        resource: String,
        auth: FoundryAuth,
    },
}

#[derive(Debug, Clone)]
pub struct Bedrock {
    pub region: String,
    pub auth: AwsAuth,
    pub guardrail: Option<Guardrail>,
    pub assume_role: Option<AssumeRole>,
}

#[derive(Debug, Clone)]
pub enum AwsAuth {
    DefaultChain,
    Keys(AwsKeys),
    Bearer(SecretString),
}

#[derive(Debug, Clone)]
pub struct AwsKeys {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
}

#[derive(Debug, Clone)]
pub enum AnthropicAwsAuth {
    ApiKey(SecretString),
    DefaultChain,
    Keys(AwsKeys),
}

#[derive(Debug, Clone)]
pub enum FoundryAuth {
    EntraId,
    ApiKey(SecretString),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrail {
    pub id: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    pub role_arn: String,
    pub external_id: Option<String>,
    pub session_name: SessionName,
}

/// What an STS session is named by, and so how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionName {
    Shared,
    Email,
    Subject,
}

impl CloudProvider {
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let auth = fields.section("auth");
        let auth = auth.as_ref();
        match fields.text("provider")? {
            "bedrock" => Bedrock::read(fields).map(Self::Bedrock),
            "mantle" => {
                let region = fields.parsed("region", region);
                Some(Self::Mantle { auth: auth.and_then(AwsAuth::read)?, region: region? })
            }
            "anthropicAws" => {
                let region = fields.parsed("region", region);
                let auth = auth.and_then(AnthropicAwsAuth::read);
                Some(Self::AnthropicAws { region: region?, workspace_id: fields.owned("workspace_id")?, auth: auth? })
            }
            "vertex" => Some(Self::Vertex {
                region: fields.parsed("region", region)?,
                project_id: fields.owned("project_id")?,
                service_account_json: auth?.text("service_account_json").map(PathBuf::from),
            }),
            "foundry" => {
                let resource = fields.parsed("resource", resource);
                Some(Self::Foundry { auth: auth.and_then(FoundryAuth::read)?, resource: resource? })
            }
            _ => None,
        }
    }
}

impl Bedrock {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let region = fields.parsed("region", region);
        let auth = fields.section("auth").as_ref().and_then(AwsAuth::read);
        let guardrail = fields.section("guardrail").as_ref().and_then(Guardrail::read);
        let assume_role = fields.section("assume_role").as_ref().and_then(AssumeRole::read);
        if matches!(auth, Some(AwsAuth::Bearer(_))) && fields.written("assume_role") {
            fields.refuse(
                "assume_role",
                "cannot be signed with aws_bearer_token",
                "use AWS keys or the default chain, or remove assume_role",
            );
        }
        Some(Self { region: region?, auth: auth?, guardrail, assume_role })
    }
}

impl AwsAuth {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let keys = AwsKeys::read(fields)?;
        match (keys, fields.secret("aws_bearer_token")) {
            (None, None) => Some(Self::DefaultChain),
            (Some(keys), None) => Some(Self::Keys(keys)),
            (None, Some(token)) => Some(Self::Bearer(token)),
            (Some(_), Some(_)) => {
                fields.refuse_here("holds AWS keys and aws_bearer_token", "keep one of the two");
                None
            }
        }
    }
}

impl AwsKeys {
    /// The inner `None`: not written, so the default chain.
    fn read(fields: &Fields<'_>) -> Option<Option<Self>> {
        let written = ["aws_access_key_id", "aws_secret_access_key"].map(|key| fields.written(key));
        match written {
            [true, true] => Some(Some(Self {
                access_key_id: fields.owned("aws_access_key_id")?,
                secret_access_key: fields.secret("aws_secret_access_key")?,
                session_token: fields.secret("aws_session_token"),
            })),
            [false, false] if !fields.written("aws_session_token") => Some(None),
            [id, _] => {
                let missing = if id { "aws_secret_access_key" } else { "aws_access_key_id" };
                fields.refuse(missing, "is missing, and the other AWS keys need it", "write it, or remove the others");
                None
            }
        }
    }
}

impl AnthropicAwsAuth {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let keys = AwsKeys::read(fields)?;
        let api_key = fields.secret("api_key");
        Some(api_key.map(Self::ApiKey).or_else(|| keys.map(Self::Keys)).unwrap_or(Self::DefaultChain))
    }
}

impl FoundryAuth {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        match (fields.flag("use_azure_ad").unwrap_or(false), fields.secret("api_key")) {
            (true, None) => Some(Self::EntraId),
            (false, Some(key)) => Some(Self::ApiKey(key)),
            (true, Some(_)) => {
                fields.refuse_here("holds use_azure_ad and api_key", "keep one of the two");
                None
            }
            (false, None) => {
                if !fields.written("api_key") {
                    fields.refuse_here("holds no credential", "write use_azure_ad: true, or api_key");
                }
                None
            }
        }
    }
}

impl Guardrail {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let version = fields.parsed("version", |text| {
            if text == "DRAFT" || text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(text.to_owned());
            }
            Err(Complaint::new("is no version of a guardrail", "write a published number in quotes, or DRAFT"))
        });
        Some(Self { id: fields.owned("id")?, version: version? })
    }
}

impl AssumeRole {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let role_arn = fields.parsed("role_arn", |text| {
            let is_role = ["arn:aws:iam::", "arn:aws-us-gov:iam::"].iter().any(|prefix| text.starts_with(prefix));
            if is_role && text.contains(":role/") {
                return Ok(text.to_owned());
            }
            Err(Complaint::new("is no ARN of a role", "write one such as arn:aws:iam::123456789012:role/gateway"))
        });
        let session_name = match fields.text("session_name") {
            Some("email") => SessionName::Email,
            Some("sub") => SessionName::Subject,
            _ => SessionName::Shared,
        };
        Some(Self { role_arn: role_arn?, external_id: fields.owned("external_id"), session_name })
    }
}

/// Becomes part of a host name.
fn region(text: &str) -> Result<String, Complaint> {
    label(text).ok_or_else(|| Complaint::new("is no region", "write lower-case letters, digits and dashes"))
}

/// Becomes part of a host name.
fn resource(text: &str) -> Result<String, Complaint> {
    label(&text.to_ascii_lowercase())
        .ok_or_else(|| Complaint::new("is no resource name", "write only the name, without the rest of its address"))
}

fn label(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')).then(|| text.to_owned())
}

/// Failing over must not lose a guardrail, so all Bedrock upstreams have one or none does.
pub(crate) fn check_guardrails(upstreams: &[Fields<'_>]) {
    let of = |provider: &'static str| upstreams.iter().filter(move |entry| entry.text("provider") == Some(provider));
    if !of("bedrock").any(|entry| entry.written("guardrail")) {
        return;
    }
    for entry in of("bedrock").filter(|entry| !entry.written("guardrail")) {
        entry.refuse(
            "guardrail",
            "is missing, while another bedrock upstream has one",
            "set it on all of them or on none",
        );
    }
    for entry in of("mantle") {
        entry.refuse(
            "provider",
            "applies no guardrail, while a bedrock upstream has one",
            "remove this upstream, or the guardrails",
        );
    }
}
