//! Container images without a container engine: an archive as `docker save` writes it, of one layer.
//!
//! Invariant: the same content makes the same bytes. No time, no name of this machine, no order of a folder gets in.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use tar::{Builder, EntryType, Header};

/// Whom its process runs as: nobody on any machine.
const USER: &str = "65532:65532";
/// Where programs look for the authorities that the world trusts.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// One static program at the root of an otherwise empty place.
pub struct Image {
    reference: String,
    /// The program's name, and its path once there is a `/` before it.
    program: String,
    layer: Builder<Vec<u8>>,
}

impl Image {
    /// The reference has a tag: `name:1.2.3`.
    pub fn of_program(reference: &str, program: &Path) -> Result<Self> {
        let name = program.file_name().and_then(|name| name.to_str()).context("a program's name")?;
        let content = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
        // There is no loader in the image, and a pod would say only "no such file".
        ensure!(!asks_for_a_loader(&content), "{} is not static", program.display());
        let mut layer = Builder::new(Vec::new());
        add(&mut layer, EntryType::Regular, (name, 0o755), &content)?;
        Ok(Self { reference: reference.to_owned(), program: name.to_owned(), layer })
    }

    /// With what a server needs beside itself: the authorities it trusts, as this machine has them, and a place to write.
    pub fn with_surroundings(mut self) -> Result<Self> {
        let authorities = Path::new("/").join(AUTHORITIES);
        let content = fs::read(&authorities).with_context(|| format!("no {}", authorities.display()))?;
        for folder in ["etc/", "etc/ssl/", "etc/ssl/certs/"] {
            add(&mut self.layer, EntryType::Directory, (folder, 0o755), &[])?;
        }
        add(&mut self.layer, EntryType::Regular, (AUTHORITIES, 0o644), &content)?;
        // Everybody may write there and nobody may remove what is another's.
        add(&mut self.layer, EntryType::Directory, ("tmp/", 0o1777), &[])?;
        Ok(self)
    }

    /// The archive's bytes.
    pub fn archive(self) -> Result<Vec<u8>> {
        let layer = self.layer.into_inner()?;
        let digest = sha256(&layer);
        let config = json!({
            "architecture": architecture()?,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": [format!("/{}", self.program)], "User": USER, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
            "history": [{"created": "1970-01-01T00:00:00Z", "comment": self.program}],
        })
        .to_string();
        let (config_file, layer_file) = (format!("{}.json", sha256(config.as_bytes())), format!("{digest}/layer.tar"));
        let manifest =
            json!([{"Config": config_file, "RepoTags": [self.reference], "Layers": [layer_file]}]).to_string();
        let mut archive = Builder::new(Vec::new());
        add(&mut archive, EntryType::Regular, (&config_file, 0o644), config.as_bytes())?;
        add(&mut archive, EntryType::Regular, (&layer_file, 0o644), &layer)?;
        add(&mut archive, EntryType::Regular, ("manifest.json", 0o644), manifest.as_bytes())?;
        Ok(archive.into_inner()?)
    }
}

fn add(archive: &mut Builder<Vec<u8>>, kind: EntryType, (path, mode): (&str, u32), content: &[u8]) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len().try_into()?);
    Ok(archive.append_data(&mut header, path, content)?)
}

/// Whether a 64-bit program's headers name an interpreter.
fn asks_for_a_loader(program: &[u8]) -> bool {
    const INTERPRETER: [u8; 4] = 3_u32.to_le_bytes();
    let number = |at: usize, width: usize| {
        let bytes = program.get(at..at + width).unwrap_or_default();
        bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let mut headers = (0..count).filter_map(|index| program.get(table + index * size..)?.get(..4));
    program.starts_with(b"\x7fELF") && headers.any(|kind| kind == INTERPRETER)
}

/// As Go calls it, and so every registry.
fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no image for {other}"),
    })
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use serde_json::Value;

    use super::*;

    fn entries(archive: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let (path, mode) = (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (path, (mode, content))
        });
        entries.collect()
    }

    fn archive(program: &Path) -> Vec<u8> {
        Image::of_program("name:1.2.3", program).unwrap().with_surroundings().unwrap().archive().unwrap()
    }

    #[test]
    fn an_image_is_one_program_the_authorities_and_a_place_to_write_for_nobody_in_particular() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("server");
        fs::write(&program, "a program").unwrap();
        let archive = entries(&archive(&program));
        let manifest: Value = serde_json::from_slice(&archive["manifest.json"].1).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!(["name:1.2.3"]));
        let config: Value = serde_json::from_slice(&archive[manifest[0]["Config"].as_str().unwrap()].1).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/server"]));
        assert_eq!(config["config"]["User"], json!("65532:65532"));
        let layer = &archive[manifest[0]["Layers"][0].as_str().unwrap()].1;
        assert_eq!(config["rootfs"]["diff_ids"][0], json!(format!("sha256:{}", sha256(layer))));
        let inside = entries(layer);
        let modes: Vec<_> = inside.iter().map(|(path, (mode, _))| (path.as_str(), *mode)).collect();
        let wanted = [("etc/", 0o755), ("etc/ssl/", 0o755), ("etc/ssl/certs/", 0o755)].into_iter();
        let wanted = wanted.chain([(AUTHORITIES, 0o644), ("server", 0o755), ("tmp/", 0o1777)]);
        assert_eq!(modes, wanted.collect::<Vec<_>>());
        assert_eq!(inside["server"].1, b"a program");
    }

    #[test]
    fn a_program_that_needs_a_loader_is_refused() {
        let refused = Image::of_program("name:1", Path::new("/bin/sh")).err().unwrap();
        assert_eq!(refused.to_string(), "/bin/sh is not static");
    }

    #[test]
    fn the_same_content_makes_the_same_bytes() {
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let made = homes.each_ref().map(|home| {
            fs::write(home.path().join("server"), "a program").unwrap();
            archive(&home.path().join("server"))
        });
        assert!(made[0] == made[1]);
    }
}
