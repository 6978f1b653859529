//! No text makes the reader of gateway.yaml panic; what it refuses, it refuses in whole lines, and the same way twice.

#![no_main]

use std::{io, path::Path};

use gateway_config::{Config, Environment, Files};
use libfuzzer_sys::fuzz_target;

/// One file that is text, one that is not, and nothing else.
struct Few;

impl Files for Few {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/a") => Ok(b"a-secret-of-32-bytes-or-more-in-a-file\n".to_vec()),
            Some("/b") => Ok(vec![0xff; 40]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fuzz_target!(|text: &str| {
    let environment: Environment =
        [("A", "a-secret-of-32-bytes-or-more-here"), ("E", ""), ("N", "8080")].into_iter().collect();
    let verdict = || Config::parse(text, &environment, &Few).map(|loaded| loaded.warnings);
    let first = verdict();
    if let Err(errors) = &first {
        assert!(errors.to_string().lines().count() == errors.iter().count());
    }
    assert!(first == verdict());
});
