//! The chart as the last commit had it, under an earlier version: what an upgrade comes from.

use std::{fs, path::Path, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use super::{folder, root};

/// Earlier than any release.
pub const VERSION: &str = "0.0.1";

/// In this folder. Where the tree has no history (an archive of it), today's chart under that version.
pub fn write(place: &Path) -> Result<PathBuf> {
    let name = folder().strip_prefix(root())?.to_owned();
    let chart = place.join(&name);
    let archive = Command::new("git").current_dir(root()).args(["archive", "HEAD~1"]).arg(&name).output();
    match archive {
        Ok(archive) if archive.status.success() => tar::Archive::new(&archive.stdout[..]).unpack(place)?,
        _ => {
            fs::create_dir_all(chart.parent().context("a chart's folder")?)?;
            let copied = Command::new("cp").arg("-a").arg(folder()).arg(&chart).status()?;
            ensure!(copied.success(), "the chart was not copied: {copied}");
        }
    }
    let file = chart.join("Chart.yaml");
    let text = fs::read_to_string(&file)?;
    let lines = text.lines().map(|line| match line.split_once(':') {
        Some((key @ ("version" | "appVersion"), _)) => format!("{key}: {VERSION}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(&file, lines.collect::<String>())?;
    Ok(chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_chart_has_its_version_and_all_its_templates() {
        let place = tempfile::tempdir().unwrap();
        let chart = write(place.path()).unwrap();
        let text = fs::read_to_string(chart.join("Chart.yaml")).unwrap();
        assert!(text.contains("\nversion: 0.0.1\n") && text.contains("\nappVersion: 0.0.1\n"), "{text}");
        assert!(chart.join("templates/deployment.yaml").exists());
    }
}
