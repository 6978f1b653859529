//! Writes a container image of one static program, for `make image`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads this in a terminal")]

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::cluster::Image;

#[derive(Parser)]
struct Arguments {
    /// Its name and tag: `claude-gateway:1.2.3`.
    reference: String,
    /// The program. It must need no library.
    program: PathBuf,
    /// The archive to write.
    out: PathBuf,
}

fn main() -> ExitCode {
    match write(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.reference.contains(':'), "a name and a tag, as claude-gateway:1.2.3");
    let archive = Image::of_program(&arguments.reference, &arguments.program)?.with_surroundings()?.archive()?;
    fs::create_dir_all(arguments.out.parent().context("a folder")?)?;
    // Whole or not there.
    let part = arguments.out.with_extension("part");
    fs::write(&part, &archive)?;
    fs::rename(&part, &arguments.out)?;
    println!("{} ({}, {} MiB)", arguments.out.display(), arguments.reference, archive.len() >> 20);
    Ok(())
}
