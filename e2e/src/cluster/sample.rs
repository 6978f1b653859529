//! `deploy/samples/minimal.yaml`, with the values of a company in the places that it names.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    kubectl::Kubectl,
    surroundings::{ISSUER, Surroundings},
};
use crate::{
    cast::{certificate::Leaf, gateway::CLIENT_SECRET, provider::API_KEY},
    chart,
};

/// Where its objects are unless somebody puts them elsewhere, and what its ClaudeGateway is called.
pub const NAMESPACE: &str = "claude";
pub const GATEWAY: &str = "claude";
/// The Secret with the certificate of the public address.
pub const TLS: &str = "claude-tls";

/// What a gateway is told of its surroundings.
pub struct Values {
    /// That of its URL.
    pub host: String,
    /// For the public address.
    pub certificate: Leaf,
    /// Who vouches for the identity provider.
    pub identity_authority: String,
    /// The model provider's URL, and who vouches for it.
    pub model: (String, String),
    /// The database's URL, of a role that may do anything in it.
    pub database: String,
}

/// Objects, in the order in which they are applied.
pub struct Sample(Vec<Value>);

impl Values {
    pub async fn of(surroundings: &Surroundings<'_>, host: &str) -> Result<Self> {
        let (url, authority) = surroundings.model_url()?;
        Ok(Self {
            host: host.to_owned(),
            certificate: surroundings.front.certificate(host)?,
            identity_authority: surroundings.front.authority_pem().to_owned(),
            model: (url, authority.to_owned()),
            database: surroundings.database().await?,
        })
    }
}

impl Sample {
    pub fn with(values: &Values) -> Result<Self> {
        let url = format!("https://{}", values.host);
        let mut text = fs::read_to_string(chart::root().join("deploy/samples/minimal.yaml"))?;
        for (of_the_sample, own) in [
            ("https://claude.example.com", url.as_str()),
            ("https://login.example.com", ISSUER),
            ("clientId: claude-gateway", "clientId: basic"),
            ("from-the-registration-at-the-identity-provider", CLIENT_SECRET),
            ("from-the-console-of-your-organization", API_KEY),
            (
                "postgres://gateway_owner:its-password@postgres.example.com:5432/claude?sslmode=require",
                &values.database,
            ),
        ] {
            ensure!(text.contains(of_the_sample), "the sample has no `{of_the_sample}`");
            text = text.replace(of_the_sample, own);
        }
        let mut sample = Self(vec![tls(&values.certificate), authorities(values)]);
        sample.0.extend(serde_saphyr::from_multiple::<Value>(&text).context("the sample is not YAML")?);
        // What a company has whose servers the world does not know.
        let authority = |key: &str| json!({"configMapRef": {"name": "authorities", "key": key}});
        let spec = &mut sample.object("ClaudeGateway")["spec"];
        spec["oidc"]["caCertificate"] = authority("identity.pem");
        // The certified provider gives a refresh token only to somebody who was asked.
        spec["oidc"]["extraAuthParams"] = json!([{"name": "prompt", "value": "consent"}]);
        spec["upstreams"][0]["caCertificate"] = authority("model.pem");
        spec["upstreams"][0]["provider"]["anthropic"]["baseUrl"] = json!(values.model.0);
        Ok(sample)
    }

    /// The one of this kind, to be changed before it is applied. A sample without it is none, so this panics.
    pub fn object(&mut self, kind: &str) -> &mut Value {
        let found = self.0.iter_mut().find(|object| object["kind"] == kind);
        found.unwrap_or_else(|| panic!("the sample has no {kind}"))
    }

    /// As a person does it: `kubectl apply -f`, into a namespace that is there.
    pub async fn apply(&self, kubectl: &Kubectl, namespace: &str) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": self.0});
        kubectl.apply_in(namespace, &list.to_string()).await.map(drop)
    }
}

/// Returns when the gateway of this name is Ready; an error has its status.
pub async fn until_ready(kubectl: &Kubectl, namespace: &str, name: &str) -> Result<()> {
    let wait = format!("wait -n {namespace} claudegateway/{name} --for=condition=Ready --timeout=180s");
    let Err(error) = kubectl.run(&wait).await else { return Ok(()) };
    let seen = kubectl.run(&format!("get -n {namespace} claudegateway/{name} -o yaml")).await.unwrap_or_default();
    Err(error.context(seen))
}

/// A Secret that holds this certificate for the public address.
pub fn tls(certificate: &Leaf) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        // Without the label no gateway may use a Secret.
        "metadata": {"name": TLS, "labels": {"claude-gateway.dev/use": "gateway"}},
        "stringData": {"tls.crt": certificate.certificate_pem, "tls.key": certificate.key_pem},
    })
}

fn authorities(values: &Values) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities"},
        "data": {"identity.pem": values.identity_authority, "model.pem": values.model.1},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cast::certificate::Authority, cluster::Plane};

    #[tokio::test]
    async fn the_sample_with_a_companys_values_is_what_an_api_server_takes() {
        let plane = Plane::start().await.unwrap();
        let crds = chart::folder().join("files/crds").display().to_string();
        plane.kubectl().run_with(&["apply", "--server-side", "--filename", &crds], "").await.unwrap();
        plane.kubectl().run("wait crd --all --for=condition=Established --timeout=30s").await.unwrap();
        plane.kubectl().run(&format!("create namespace {NAMESPACE}")).await.unwrap();
        let authority = Authority::new().unwrap();
        let values = Values {
            host: "localhost".to_owned(),
            certificate: authority.leaf(&["localhost"]).unwrap(),
            identity_authority: authority.pem().to_owned(),
            model: ("https://model.test:1234".to_owned(), authority.pem().to_owned()),
            database: "postgres://somebody:secret@10.99.0.1:5432/claude".to_owned(),
        };
        Sample::with(&values).unwrap().apply(plane.kubectl(), NAMESPACE).await.unwrap();
        for object in ["claudegateway/claude", "userpolicy/everyone"] {
            assert!(!plane.kubectl().get(&format!("{object} -n {NAMESPACE}")).await.unwrap().is_null(), "{object}");
        }
    }
}
