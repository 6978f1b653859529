//! The control groups of a cluster's nodes.
//!
//! Each kubelet gets a root of its own: two that share one remove each other's pods. In the old layout (v1) that is a folder
//! in each hierarchy, in the new one (v2) a folder whose controllers its parents must pass on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const MOUNTED: &str = "/sys/fs/cgroup";
/// What a kubelet asks for.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// Removes all groups below a name, in every hierarchy, and tries again while their last processes end.
pub(super) const REMOVE: &str = r#"
    tries=0
    while [ $tries -lt 100 ]; do
        left=
        for group in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
            [ -d "$group" ] || continue
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
            [ -d "$group" ] && left=1
        done
        [ -z "$left" ] && break
        tries=$((tries + 1))
        sleep 0.1
    done
"#;

/// Makes `/<name>/<node>` in every hierarchy.
pub(super) fn make(name: &str, node: &str) -> Result<()> {
    for root in roots()? {
        let mut parent = root;
        for part in [name, node] {
            let group = parent.join(part);
            pass_controllers_on(&parent)?;
            match fs::create_dir(&group) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.with_context(|| format!("making {}", group.display()))?,
            }
            copy_processors(&parent, &group)?;
            parent = group;
        }
        // So that the kubelet finds them on in its own root.
        pass_controllers_on(&parent)?;
    }
    Ok(())
}

/// Where groups are made: one folder in the new layout, one for each controller in the old.
fn roots() -> Result<Vec<PathBuf>> {
    let mounted = Path::new(MOUNTED);
    if mounted.join("cgroup.controllers").exists() {
        return Ok(vec![mounted.to_owned()]);
    }
    let mut roots = Vec::new();
    for entry in fs::read_dir(mounted).context("no control groups are mounted")? {
        let entry = entry?;
        // Links are second names of a hierarchy; the new layout beside the old has no controllers.
        if entry.file_type()?.is_dir() && !entry.path().join("cgroup.controllers").exists() {
            roots.push(entry.path());
        }
    }
    Ok(roots)
}

/// In the new layout, a group's children have the controllers that the group says they have.
fn pass_controllers_on(group: &Path) -> Result<()> {
    let Ok(available) = fs::read_to_string(group.join("cgroup.controllers")) else { return Ok(()) };
    for controller in CONTROLLERS.iter().filter(|wanted| available.split_whitespace().any(|there| there == **wanted)) {
        let passed_on = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
        passed_on.with_context(|| format!("passing {controller} on from {}", group.display()))?;
    }
    Ok(())
}

/// In the old layout, a group has no processor and no memory until it is told which.
fn copy_processors(parent: &Path, group: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let new_layout = parent.join("cgroup.controllers").exists();
        if !new_layout && let Ok(all) = fs::read(parent.join(file)) {
            fs::write(group.join(file), all).with_context(|| format!("giving {} its {file}", group.display()))?;
        }
    }
    Ok(())
}
