//! What a control plane reads at its start: certificates, keys, tokens, and who may call themselves what.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use rcgen::KeyPair;

use super::{API_SERVICE, SERVICES, Site};
use crate::{cast::certificate::Authority, cluster::kubeconfig::Kubeconfig};

/// Name, user and groups of those whom a token makes somebody; the name is the token.
const USERS: [(&str, &str, &str); 5] = [
    ("admin", "admin", "system:masters"),
    ("controllers", "system:kube-controller-manager", "system:masters"),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("names", "system:names", "system:masters"),
];

pub(super) struct Files {
    home: PathBuf,
    pub(super) authority_pem: String,
}

impl Files {
    pub(super) fn write(home: &Path, site: &Site) -> Result<Self> {
        let files = Self { home: home.to_owned(), authority_pem: files_of_tls(home, site)? };
        let accounts = KeyPair::generate()?;
        fs::write(home.join("accounts.key"), accounts.serialize_pem())?;
        fs::write(home.join("accounts.pub"), accounts.public_key_pem())?;
        let users = USERS.map(|(name, user, groups)| format!("{name},{user},{name},\"{groups}\"\n")).concat();
        let node = |n| format!("node{n},system:node:node{n},node{n},\"system:nodes\"\n");
        let nodes = (1..=site.nodes).map(node).collect::<String>();
        fs::write(home.join("tokens.csv"), users + &nodes)?;
        for name in
            USERS.map(|(name, ..)| name.to_owned()).into_iter().chain((1..=site.nodes).map(|n| format!("node{n}")))
        {
            files.kubeconfig_by(&name, &site.url(), &name)?;
        }
        Ok(files)
    }

    pub(super) fn kubeconfig_by(&self, name: &str, url: &str, token: &str) -> Result<Kubeconfig> {
        let path = self.home.join(format!("{name}.kubeconfig"));
        Kubeconfig::write(path, url, &self.home.join("authority.pem"), token)
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    pub(super) fn api_server_options(&self, site: &Site) -> Vec<String> {
        let [clients, _] = site.store;
        let mut options = vec![
            format!("--etcd-servers=http://{clients}"),
            format!("--bind-address={}", site.address.ip()),
            format!("--advertise-address={}", site.address.ip()),
            format!("--secure-port={}", site.address.port()),
            format!("--tls-cert-file={}", self.path("server.pem")),
            format!("--tls-private-key-file={}", self.path("server.key")),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--allow-privileged=true".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-signing-key-file={}", self.path("accounts.key")),
            format!("--service-account-key-file={}", self.path("accounts.pub")),
            "--authorization-mode=Node,RBAC".to_owned(),
            // ServiceAccount, NamespaceLifecycle and PodSecurity, among others, are on as they are everywhere.
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            format!("--token-auth-file={}", self.path("tokens.csv")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
        ];
        if site.address.ip().is_loopback() {
            // Nobody could reach an endpoint at loopback, and the API server refuses to write one.
            options.push("--endpoint-reconciler-type=none".to_owned());
        }
        options.extend_from_slice(&site.options);
        options
    }

    pub(super) fn controller_options(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.path("controllers.kubeconfig")),
            format!("--service-account-private-key-file={}", self.path("accounts.key")),
            format!("--root-ca-file={}", self.path("authority.pem")),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--leader-elect=false".to_owned(),
            // It is asked nothing.
            "--secure-port=0".to_owned(),
        ]
    }
}

/// The API server's certificate; who vouches for it is the answer.
fn files_of_tls(home: &Path, site: &Site) -> Result<String> {
    let authority = Authority::new()?;
    let address = site.address.ip().to_string();
    let leaf = authority.leaf(&[&address, "127.0.0.1", API_SERVICE, "kubernetes.default.svc", "localhost"])?;
    fs::write(home.join("authority.pem"), authority.pem())?;
    fs::write(home.join("server.pem"), leaf.certificate_pem)?;
    fs::write(home.join("server.key"), leaf.key_pem)?;
    Ok(authority.pem().to_owned())
}
