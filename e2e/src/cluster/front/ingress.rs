//! The Ingress objects of a cluster, as an ingress controller reads them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::site::{Route, Site};
use crate::cluster::{kubectl::Kubectl, namespaces::HEAD};

pub(super) struct Ingresses {
    ingresses: Vec<Value>,
    /// By namespace and name.
    services: BTreeMap<(String, String), Value>,
    /// Certificate and key, by namespace and the Secret's name.
    certificates: BTreeMap<(String, String), (String, String)>,
}

impl Ingresses {
    pub(super) async fn read(kubectl: &Kubectl) -> Result<Self> {
        let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
        let ingresses = items(&kubectl.get("ingresses --all-namespaces").await?);
        let mut read = Self { ingresses, services: BTreeMap::new(), certificates: BTreeMap::new() };
        if read.ingresses.is_empty() {
            return Ok(read);
        }
        let services = items(&kubectl.get("services --all-namespaces").await?);
        read.services = services.into_iter().map(|service| (place(&service), service)).collect();
        for ingress in &read.ingresses {
            let (namespace, _) = place(ingress);
            for secret in array(&ingress["spec"]["tls"]).filter_map(|tls| tls["secretName"].as_str()) {
                let object = kubectl.get(&format!("secret {secret} --namespace {namespace}")).await?;
                // One that is still to come is made up for, as controllers do.
                if let (Some(certificate), Some(key)) = (pem(&object, "tls.crt")?, pem(&object, "tls.key")?) {
                    read.certificates.insert((namespace.clone(), secret.to_owned()), (certificate, key));
                }
            }
        }
        Ok(read)
    }

    pub(super) fn sites(&self) -> Vec<Site> {
        self.ingresses.iter().flat_map(|ingress| self.sites_of(ingress)).collect()
    }

    /// Says in each object's status where it is served.
    pub(super) async fn admit(&self, kubectl: &Kubectl) -> Result<()> {
        let served = json!({"status": {"loadBalancer": {"ingress": [{"ip": HEAD}]}}});
        for ingress in &self.ingresses {
            if ingress["status"]["loadBalancer"] != served["status"]["loadBalancer"] {
                let (namespace, name) = place(ingress);
                let patch = ["patch", "ingress", &name, "-n", &namespace, "--subresource=status", "--type=merge", "-p"];
                kubectl.run_with(&[&patch[..], &[&served.to_string()]].concat(), "").await?;
            }
        }
        Ok(())
    }

    fn sites_of(&self, ingress: &Value) -> Vec<Site> {
        let (namespace, _) = place(ingress);
        let annotations = &ingress["metadata"]["annotations"];
        let scheme = match annotations["nginx.ingress.kubernetes.io/backend-protocol"].as_str() {
            Some("HTTPS") => "https",
            _ => "http",
        };
        let rules = array(&ingress["spec"]["rules"]).filter_map(|rule| Some((rule["host"].as_str()?, rule)));
        let site = |(host, rule): (&str, &Value)| Site {
            name: host.to_owned(),
            routes: array(&rule["http"]["paths"]).filter_map(|path| self.route(&namespace, scheme, path)).collect(),
            tls: array(&ingress["spec"]["tls"])
                .filter(|tls| array(&tls["hosts"]).any(|named| named == host))
                .find_map(|tls| self.certificates.get(&(namespace.clone(), tls["secretName"].as_str()?.to_owned())))
                .cloned(),
        };
        rules.map(site).collect()
    }

    /// None while there is no such Service.
    fn route(&self, namespace: &str, scheme: &str, path: &Value) -> Option<Route> {
        let backend = &path["backend"]["service"];
        let service = self.services.get(&(namespace.to_owned(), backend["name"].as_str()?.to_owned()))?;
        let address = service["spec"]["clusterIP"].as_str().filter(|address| *address != "None")?;
        let wanted = &backend["port"];
        let mut ports = array(&service["spec"]["ports"]);
        let port = ports.find(|port| match wanted["number"].as_u64() {
            Some(number) => port["port"].as_u64() == Some(number),
            None => port["name"].is_string() && port["name"] == wanted["name"],
        })?;
        Some(Route {
            path: path["path"].as_str().unwrap_or("/").to_owned(),
            exact: path["pathType"] == "Exact",
            server: format!("{scheme}://{address}:{}", port["port"].as_u64()?),
        })
    }
}

fn place(object: &Value) -> (String, String) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn pem(secret: &Value, key: &str) -> Result<Option<String>> {
    let Some(encoded) = secret["data"][key].as_str() else { return Ok(None) };
    let bytes = STANDARD.decode(encoded).with_context(|| format!("{key} of a Secret"))?;
    Ok(Some(String::from_utf8(bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ingress_becomes_sites_with_its_services_addresses_and_its_secrets_certificate() {
        let path = |path: &str, kind: &str, port: Value| json!({"path": path, "pathType": kind, "backend": {"service": {"name": "web", "port": port}}});
        let ingress = json!({
            "metadata": {"namespace": "n", "name": "i"},
            "spec": {
                "tls": [{"hosts": ["a.test"], "secretName": "own"}],
                "rules": [
                    {"host": "a.test", "http": {"paths": [path("/", "Prefix", json!({"name": "http"}))]}},
                    {"host": "b.test", "http": {"paths": [path("/x", "Exact", json!({"number": 81})),
                                                          path("/y", "Prefix", json!({"number": 82}))]}},
                ],
            },
        });
        let service = json!({
            "metadata": {"namespace": "n", "name": "web"},
            "spec": {"clusterIP": "10.98.0.7", "ports": [{"name": "http", "port": 80}, {"port": 81}]},
        });
        let own = ("n".to_owned(), "own".to_owned());
        let ingresses = Ingresses {
            ingresses: vec![ingress],
            services: [(place(&service), service)].into(),
            certificates: [(own, ("certificate".to_owned(), "key".to_owned()))].into(),
        };
        let sites = ingresses.sites();
        let routes = |site: &Site| {
            site.routes
                .iter()
                .map(|route| format!("{} {} {}", route.path, route.exact, route.server))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (sites[0].name.as_str(), routes(&sites[0])),
            ("a.test", vec!["/ false http://10.98.0.7:80".to_owned()])
        );
        assert_eq!(
            (sites[1].name.as_str(), routes(&sites[1])),
            ("b.test", vec!["/x true http://10.98.0.7:81".to_owned()])
        );
        assert!(sites[0].tls.is_some() && sites[1].tls.is_none());
    }
}
