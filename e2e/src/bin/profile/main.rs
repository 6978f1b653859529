//! Turns what an instrumented gateway wrote while it served into the profile that release builds are laid out by.
//!
//! The compiler's own `llvm-profdata` is not among what this project asks a machine to have, and Debian's is older than the
//! raw format. The text form is the bridge: every version reads it, and the index that an old one writes is read by every
//! newer compiler. So this reads the raw form and writes the text, and Debian's `llvm-profdata` makes the index.

#![expect(clippy::print_stdout, reason = "it says what it found")]

mod raw;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use raw::Function;

/// Makes a profile for the compiler.
#[derive(Parser)]
struct Arguments {
    /// Where instrumented processes have left their `*.profraw`.
    raw: PathBuf,
    /// What to write.
    profile: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut functions = BTreeMap::new();
    let mut files = 0;
    for entry in fs::read_dir(&arguments.raw)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "profraw") {
            let bytes = fs::read(&path)?;
            add(&mut functions, raw::functions(&bytes).with_context(|| format!("reading {}", path.display()))?);
            files += 1;
        }
    }
    ensure!(files > 0, "no *.profraw in {}: did the instrumented process end in order?", arguments.raw.display());
    let text = arguments.raw.join("profile.txt");
    write(&functions, &mut BufWriter::new(File::create(&text)?))?;
    let status = Command::new("llvm-profdata").arg("merge").arg(&text).arg("-o").arg(&arguments.profile).status();
    ensure!(status.context("llvm-profdata: install Debian's llvm")?.success(), "llvm-profdata refused the profile");
    println!("{} functions ran, in {files} processes: {}", functions.len(), arguments.profile.display());
    Ok(())
}

/// How often each place in a function was reached, by its name and the hash of its shape.
type Counts = BTreeMap<(Vec<u8>, u64), Vec<u64>>;

fn add(counts: &mut Counts, functions: Vec<Function>) {
    for Function { name, shape, counts: more } in functions {
        let all = counts.entry((name, shape)).or_insert_with(|| vec![0; more.len()]);
        for (sum, one) in all.iter_mut().zip(more) {
            *sum = sum.saturating_add(one);
        }
    }
}

/// LLVM's text form of an IR-level profile.
fn write(functions: &Counts, out: &mut impl Write) -> Result<()> {
    out.write_all(b":ir\n")?;
    for ((name, shape), counts) in functions {
        out.write_all(name)?;
        writeln!(out, "\n{shape}\n{}", counts.len())?;
        for count in counts {
            writeln!(out, "{count}")?;
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
