//! Where an operator looks: everywhere, or in the namespaces it was given.

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// One namespace, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Cluster,
    Namespace(String),
}

impl Scope {
    /// Each is watched for itself, so that no right is needed but those in the namespaces named.
    pub fn of(namespaces: &[String]) -> Vec<Self> {
        let mut named: Vec<_> = namespaces.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        named.sort_unstable();
        named.dedup();
        match named.is_empty() {
            true => vec![Self::Cluster],
            false => named.into_iter().map(|name| Self::Namespace(name.to_owned())).collect(),
        }
    }

    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(own) => own == namespace,
        }
    }

    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }

    /// The same for a kind that is known by its name only.
    pub fn dynamic<K>(&self, client: &Client, kind: &K::DynamicType) -> Api<K>
    where
        K: Resource<Scope = kube::core::DynamicResourceScope>,
    {
        match self {
            Self::Cluster => Api::all_with(client.clone(), kind),
            Self::Namespace(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_means_all_and_a_namespace_named_twice_is_watched_once() {
        assert_eq!(Scope::of(&[]), [Scope::Cluster]);
        assert_eq!(Scope::of(&[String::new(), " ".to_owned()]), [Scope::Cluster]);
        let two = [Scope::Namespace("a".to_owned()), Scope::Namespace("b".to_owned())];
        assert_eq!(Scope::of(&["b".to_owned(), " a".to_owned(), "b".to_owned()]), two);
    }
}
