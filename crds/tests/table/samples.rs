//! The samples that people start from.

use std::{fs, path::Path};

use serde_json::Value;

/// File name and objects.
pub fn samples() -> Vec<(String, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/samples");
    let mut samples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let objects = serde_saphyr::from_multiple(&fs::read_to_string(&path).unwrap()).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), objects)
        })
        .collect();
    samples.sort_by(|one, other| one.0.cmp(&other.0));
    samples
}
