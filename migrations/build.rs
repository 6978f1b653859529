//! `sqlx::migrate!` reads a directory; without this line a new file in it would not be noticed.

fn main() {
    println!("cargo:rerun-if-changed=sql");
}
