//! `sqlx::migrate!` reads a directory; without this line a new file in it would not be noticed.

#![expect(clippy::print_stdout, reason = "cargo reads it")]

fn main() {
    println!("cargo:rerun-if-changed=sql");
}
