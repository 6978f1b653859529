//! The same from real files.

use std::fs;

use gateway_config::Config;

use crate::support::{LEAST, environment};

#[test]
fn a_file_and_what_it_names_are_read_and_listed() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("api-key");
    let file = directory.path().join("gateway.yaml");
    fs::write(&secret, "from-the-disk\n").unwrap();
    fs::write(&file, LEAST.replace("${API_KEY}", &format!("${{file:{}}}", secret.display()))).unwrap();
    let loaded = Config::load(&file, &environment()).unwrap();
    assert_eq!(loaded.config.files, [file, secret]);
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.yaml");
    let refusal = |file| Config::load(file, &environment()).unwrap_err().to_string();
    assert!(refusal(&file).contains("gateway.yaml cannot be read (entity not found)"));
    fs::write(&file, b"\xff\xfe").unwrap();
    assert!(refusal(&file).contains("gateway.yaml is not UTF-8 text"));
}
