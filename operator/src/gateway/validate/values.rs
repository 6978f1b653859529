//! What the references hold, once every one of them is there and permitted.

use std::collections::BTreeMap;

use crds::{CaCertificate, PERMITTED_USE};

use crate::gateway::{
    condition::{Finding, Reason},
    dereference::{Dereferenced, Foreign},
};

/// What the references hold.
pub(super) struct Values<'a> {
    secrets: BTreeMap<&'a str, &'a BTreeMap<String, Vec<u8>>>,
    config_maps: BTreeMap<&'a str, &'a BTreeMap<String, Vec<u8>>>,
}

impl<'a> Values<'a> {
    pub(super) fn of(world: &'a Dereferenced) -> Result<Self, Finding> {
        let mut values = Self { secrets: BTreeMap::new(), config_maps: BTreeMap::new() };
        // The certificate of the public address is among them only where pods show it: else the Ingress controller reads it.
        for name in world.references.mounted.keys().chain(world.references.private.keys()) {
            let secret = world.secrets.get(name).unwrap_or(&Foreign::Missing);
            values.secrets.insert(name, found_secret(name, secret)?);
        }
        for (name, map) in &world.config_maps {
            let Foreign::Found(data) = map else {
                let message =
                    format!("The ConfigMap {name} does not exist. Make it; it is used as soon as it is there.");
                return Err(Finding::bad(Reason::ConfigMapMissing, message));
            };
            values.config_maps.insert(name, data);
        }
        for (name, keys) in world.references.mounted.iter().chain(&world.references.private) {
            keys.iter().try_for_each(|key| values.secret(name, key).map(drop))?;
        }
        for (name, keys) in &world.references.config_maps {
            keys.iter().try_for_each(|key| values.config_map(name, key).map(drop))?;
        }
        Ok(values)
    }

    pub(super) fn secret(&self, name: &str, key: &str) -> Result<&'a [u8], Finding> {
        let value = self.secrets.get(name).and_then(|data| data.get(key));
        value.map(Vec::as_slice).ok_or_else(|| {
            let message = format!("The Secret {name} has no key {key}. Add it, or correct the reference.");
            Finding::bad(Reason::SecretKeyMissing, message)
        })
    }

    pub(super) fn config_map(&self, name: &str, key: &str) -> Result<&'a [u8], Finding> {
        let value = self.config_maps.get(name).and_then(|data| data.get(key));
        value.map(Vec::as_slice).ok_or_else(|| {
            let message = format!("The ConfigMap {name} has no key {key}. Add it, or correct the reference.");
            Finding::bad(Reason::ConfigMapKeyMissing, message)
        })
    }

    pub(super) fn text(&self, name: &str, key: &str) -> Result<String, Finding> {
        let text = std::str::from_utf8(self.secret(name, key)?).map_err(|_| {
            let message = format!("The key {key} of the Secret {name} is not text. Put the value itself into it.");
            Finding::bad(Reason::ConfigurationInvalid, message)
        })?;
        Ok(text.trim().to_owned())
    }

    pub(super) fn ca(&self, certificate: &CaCertificate) -> Result<String, Finding> {
        let pem = match certificate {
            CaCertificate::SecretRef(key) => self.secret(&key.name, &key.key)?,
            CaCertificate::ConfigMapRef(key) => self.config_map(&key.name, &key.key)?,
        };
        Ok(String::from_utf8_lossy(pem).into_owned())
    }
}

fn found_secret<'a>(name: &str, secret: &'a Foreign) -> Result<&'a BTreeMap<String, Vec<u8>>, Finding> {
    match secret {
        Foreign::Found(data) => Ok(data),
        Foreign::Missing => {
            let message = format!("The Secret {name} does not exist. Make it; it is used as soon as it is there.");
            Err(Finding::bad(Reason::SecretMissing, message))
        }
        Foreign::NotPermitted => {
            let (label, value) = PERMITTED_USE;
            let message = format!(
                "The Secret {name} may not be used by gateways. Whoever owns it can permit that with the label \
                 {label}={value}."
            );
            Err(Finding::bad(Reason::SecretNotPermitted, message))
        }
    }
}
