//! Who may know whom: the rooms' arrows, read off the manifests and the `use` lines.

#![expect(clippy::unwrap_used, reason = "a file of ours that cannot be read fails its test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The workspace members that a manifest's section names.
fn members_in(manifest: &str, section: &str) -> BTreeSet<String> {
    const MEMBERS: [&str; 7] =
        ["crds", "gateway-config", "gateway-egress", "claude-gateway-migrations", "gateway", "operator", "e2e"];
    let manifest = fs::read_to_string(root().join(manifest)).unwrap();
    let body = manifest.split(&format!("[{section}]")).nth(1).unwrap_or_default();
    let body = body.split("\n[").next().unwrap_or_default();
    let names = body.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| MEMBERS.contains(name)).map(str::to_owned).collect()
}

#[test]
fn each_crate_knows_only_whom_the_design_lets_it_know() {
    let allowed = [
        ("crds/Cargo.toml", vec![]),
        ("gateway/config/Cargo.toml", vec![]),
        ("gateway/egress/Cargo.toml", vec![]),
        ("migrations/Cargo.toml", vec![]),
        ("crds/Cargo.toml", vec![]),
        ("gateway/Cargo.toml", vec!["gateway-config", "gateway-egress", "claude-gateway-migrations"]),
        ("operator/Cargo.toml", vec!["crds", "gateway-config", "gateway-egress", "claude-gateway-migrations"]),
        ("e2e/Cargo.toml", vec![]),
    ];
    for (manifest, allowed) in allowed {
        let allowed: BTreeSet<String> = allowed.into_iter().map(str::to_owned).collect();
        let known = members_in(manifest, "dependencies");
        assert!(known.is_subset(&allowed), "{manifest} knows {known:?}, and may know {allowed:?}");
    }
    // Tests of the pod may meet the cast; nobody else's tests meet the pod.
    let tests: BTreeSet<String> = [String::from("e2e")].into();
    assert!(members_in("gateway/Cargo.toml", "dev-dependencies").is_subset(&tests));
}

/// Which crates only some rooms of the pod may use.
const KEPT: [(&str, &[&str]); 7] = [
    ("sqlx", &["store"]),
    ("axum", &["admin", "door", "oauth", "policy", "inference", "boot", "protocol_page.rs"]),
    ("openidconnect", &["identity"]),
    ("gateway_egress", &["upstream", "identity", "telemetry", "boot", "inference"]),
    ("prometheus_client", &["telemetry"]),
    ("hyper::client", &["upstream"]),
    ("kube", &[]),
];

#[test]
fn only_the_rooms_that_may_use_a_library_name_it() {
    let pod = root().join("gateway/src");
    let mut broken = Vec::new();
    for file in sources(&pod) {
        let inside = file.strip_prefix(&pod).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        for (library, rooms) in KEPT {
            let named = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
                line.match_indices(&format!("{library}::")).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
                })
            });
            if named && !rooms.contains(&room.as_str()) {
                broken.push(format!("{} uses {library}", inside.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn rooms_below_do_not_look_up() {
    const BELOW: [(&str, &[&str]); 7] = [
        ("store", &["door", "oauth", "inference", "upstream", "boot"]),
        ("identity", &["door", "oauth", "inference", "session", "store", "upstream", "boot"]),
        ("upstream", &["door", "oauth", "inference", "store", "boot"]),
        ("telemetry", &["door", "oauth", "inference", "identity", "session", "store", "upstream", "boot"]),
        ("session", &["door", "oauth", "inference", "upstream", "boot"]),
        ("policy", &["admin", "oauth", "inference", "upstream", "boot"]),
        ("inference", &["admin", "oauth", "store", "boot"]),
    ];
    let pod = root().join("gateway/src");
    let mut broken = Vec::new();
    for (room, above) in BELOW {
        for file in sources(&pod.join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            // `use crate::{a::…, b::…}` is written over several lines; what follows `crate::` or opens a line in it counts.
            let group: String =
                code.split("use crate::{").skip(1).filter_map(|rest| rest.split("\n};").next()).collect();
            for upper in above.iter() {
                let direct = code.contains(&format!("crate::{upper}::"));
                let grouped = group.lines().any(|line| line.trim_start().starts_with(&format!("{upper}::")));
                if direct || grouped {
                    broken.push(format!("{} looks up to {upper}", file.strip_prefix(&pod).unwrap().display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn in_the_operator_only_its_store_speaks_sql_and_only_who_reads_applies_or_tells_holds_a_client() {
    // The controller and the reconcile hand the client on.
    const HOLD: [&str; 5] = ["sight.rs", "apply.rs", "update_status.rs", "controller.rs", "reconcile.rs"];
    let operator = root().join("operator/src");
    let mut broken = Vec::new();
    for file in sources(&operator) {
        let inside = file.strip_prefix(&operator).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        if room != "store" && code.iter().any(|line| line.contains("sqlx::")) {
            broken.push(format!("{} uses sqlx", inside.display()));
        }
        let asks = |line: &&&str| line.contains("Api::<") || line.contains("Api<") || line.contains("kube::Client");
        if room == "gateway" && !HOLD.contains(&name) && code.iter().any(|line| asks(&line)) {
            broken.push(format!("{} asks the API server", inside.display()));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
