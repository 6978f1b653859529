//! `upstreams`: where inference goes, in the order of the file.

use crds::gateway::upstream::{Anthropic, AnthropicAuth, Federation, Header, Provider, Upstream};

use super::{Source, gateway::unique, lift::Kept, secrets::Purpose};

const AUDIENCE: &str = "https://api.anthropic.com";

pub(super) fn all(upstreams: &[gateway_config::Upstream], source: &mut Source<'_>) -> Vec<Upstream> {
    let mut kept = Vec::new();
    for (at, upstream) in upstreams.iter().enumerate() {
        if !source.dropped.contains(&at) {
            let place = format!("/spec/upstreams/{}", kept.len());
            kept.push(one(at, &place, upstream, source));
        }
    }
    kept
}

fn one(at: usize, place: &str, upstream: &gateway_config::Upstream, source: &mut Source<'_>) -> Upstream {
    let gateway_config::Upstream {
        name: old,
        provider,
        base_url,
        headers,
        models,
        priority,
        weight,
        max_concurrent,
        zero_retention,
        ca_cert_pem: _,
    } = upstream;
    let gateway_config::Provider::Anthropic { auth, forward_user_identity } = provider;
    let name = source.names.of_upstream(old);
    if name != *old {
        source
            .notes
            .say(&format!("{place}/name"), format!("Called {old:?} in the file; a name in an object is plainer."));
    }
    let path = format!("upstreams[{at}]");
    let authority = source.lifted.get(&format!("{path}.ca_cert_pem")).cloned();
    let base_url = source
        .is_written(&format!("/upstreams/{at}/base_url"))
        .then(|| base_url.as_str().trim_end_matches('/').to_owned());
    // The place counts unless the file says, and places have moved where one before it was left out.
    let has_moved = source.dropped.iter().any(|dropped| *dropped < at);
    let is_said = source.is_written(&format!("/upstreams/{at}/priority"));
    let auth = self::auth(auth, (&path, &name, place), source);
    let headers = headers.iter().filter_map(|header| self::header(&header.name, (&path, &name), source)).collect();
    Upstream {
        provider: Provider::Anthropic(Anthropic { base_url, auth, forward_user_identity: *forward_user_identity }),
        models: unique(models.iter().map(|glob| glob.as_str().to_owned())),
        priority: (is_said || has_moved).then_some(*priority),
        weight: *weight,
        max_concurrent: *max_concurrent,
        headers,
        zero_retention: *zero_retention,
        ca_certificate: authority.map(|kept| {
            let key = format!("{name}.ca.crt");
            source.secrets.authority(Purpose::Upstreams, &key, &format!("{path}.ca_cert_pem"), &kept)
        }),
        name,
    }
}

fn auth(
    auth: &gateway_config::AnthropicAuth,
    (path, name, place): (&str, &str, &str),
    source: &mut Source<'_>,
) -> AnthropicAuth {
    let mut credential = |file: &str, key: &str| {
        let path = format!("{path}.auth.{file}");
        let unknown =
            || Kept { value: super::lift::FILL_IN.into(), references: vec!["nothing that could be read".to_owned()] };
        let kept = source.lifted.get(&path).cloned().unwrap_or_else(unknown);
        source.secrets.keep(Purpose::Upstreams, &format!("{name}.{key}"), &path, &kept)
    };
    match auth {
        gateway_config::AnthropicAuth::ApiKey(_) => AnthropicAuth::ApiKeySecretRef(credential("api_key", "api-key")),
        gateway_config::AnthropicAuth::OauthToken(_) => {
            AnthropicAuth::OauthTokenSecretRef(credential("oauth_token", "oauth-token"))
        }
        gateway_config::AnthropicAuth::WorkloadIdentity(identity) => {
            let gateway_config::WorkloadIdentity {
                federation_rule_id,
                organization_id,
                identity_token_file: _,
                workspace_id,
                service_account_id,
            } = identity;
            source.notes.say(
                &format!("{place}/provider/anthropic/auth/federation"),
                "identity_token_file is not taken over: pods show a token of their own ServiceAccount, which is called like the \
                 gateway. The federation rule has to trust this cluster's tokens, that account, and the audience \
                 https://api.anthropic.com, unless audience says another.",
            );
            AnthropicAuth::Federation(Federation {
                federation_rule_id: federation_rule_id.clone(),
                organization_id: organization_id.clone(),
                workspace_id: workspace_id.clone(),
                service_account_id: service_account_id.clone(),
                audience: AUDIENCE.to_owned(),
            })
        }
    }
}

/// Each value goes into the Secret: the file does not say which of them are secret.
fn header(header: &str, (path, upstream): (&str, &str), source: &mut Source<'_>) -> Option<Header> {
    let prefix = format!("{path}.headers.");
    let (path, kept) = source
        .lifted
        .iter()
        .find(|(path, _)| path.strip_prefix(&prefix).is_some_and(|name| name.eq_ignore_ascii_case(header)))
        .map(|(path, kept)| (path.clone(), kept.clone()))?;
    let key = source.secrets.keep(Purpose::Upstreams, &format!("{upstream}.{header}"), &path, &kept);
    Some(Header { name: header.to_owned(), value: None, value_secret_ref: Some(key) })
}
