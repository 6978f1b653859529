//! Prints the schema that stands in `docs/gateway.schema.json`; `make schema` writes it there.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(gateway_config::schema().as_bytes())
}
