//! The file as a pod would read it.

use std::{io, path::Path};

use crds::{ClaudeGatewaySpec, gateway::exposure::Tls};
use gateway_config::{Config, Environment, Files};

use super::values::Values;
use crate::gateway::{
    condition::{Finding, Reason},
    references::{CONFIG_MAPS, SECRETS},
    rendering::{self, Decided},
};

/// Reads the file as a pod would, with the values that pods will find.
pub(super) fn judge_file(spec: &ClaudeGatewaySpec, database_url: &str, values: &Values<'_>) -> Result<(), Finding> {
    // Whatever the login and the keys will be, they are of this form.
    let stand_in = Decided {
        database_url: database_url.to_owned(),
        username: "pods".to_owned(),
        password_path: format!("{}/password", rendering::CONFIG),
        key_ids: vec!["key".to_owned()],
    };
    let mut file = rendering::tree(spec, &stand_in);
    // It is issued when the gateway is found in order, and pods wait for it.
    if let (Some(Tls::CertManager(_)), Some(listen)) = (&spec.exposure.tls, file["listen"].as_object_mut()) {
        listen.remove("tls");
    }
    let text = file.to_string();
    let environment: Environment = [("CLAUDE_GATEWAY_LOG_LEVEL", spec.log_level.word())].into_iter().collect();
    match Config::parse(&text, &environment, &Mounted(values)) {
        Ok(_) => Ok(()),
        Err(errors) => {
            let errors = errors.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ");
            Err(Finding::bad(Reason::ConfigurationInvalid, format!("The gateway would not start: {errors}")))
        }
    }
}

/// The volumes of a pod.
struct Mounted<'a>(&'a Values<'a>);

impl Files for Mounted<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let part = |below: &str| {
            let inside = path.strip_prefix(below).ok()?.to_str()?;
            inside.split_once('/')
        };
        if let Some((name, key)) = part(SECRETS) {
            return self.0.secret(name, key).map(<[u8]>::to_vec).map_err(|_| missing());
        }
        if let Some((name, key)) = part(CONFIG_MAPS) {
            return self.0.config_map(name, key).map(<[u8]>::to_vec).map_err(|_| missing());
        }
        // What the operator itself puts there.
        match path.starts_with(rendering::CONFIG) || path.starts_with(rendering::KEYS) {
            true => Ok([b'x'; 64].to_vec()),
            false => Err(missing()),
        }
    }
}
