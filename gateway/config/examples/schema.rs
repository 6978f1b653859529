//! Writes `docs/gateway.schema.json`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::create_dir_all(&docs)?;
    fs::write(docs.join("gateway.schema.json"), gateway_config::schema())
}
