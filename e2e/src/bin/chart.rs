//! Prints what is made from the chart: `chart values` the reference of its values, `chart install` the plain manifest.

#![expect(clippy::print_stdout, reason = "what it prints is a file")]

use anyhow::{Result, bail};
use e2e::chart::{helm::Helm, plain, values};

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("values") => print!("{}", values::reference()?),
        Some("install") => print!("{}", plain::manifest(&Helm::newest()?)?),
        _ => bail!("`values` or `install`"),
    }
    Ok(())
}
