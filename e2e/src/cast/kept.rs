//! Everything that a gateway keeps, for a test that looks through it for what must not be there.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use sqlx::AssertSqlSafe;

use super::postgres;

/// Every row of every table of the gateway's schema, as text.
pub async fn rows(database: &str) -> Result<Vec<String>> {
    let pool = postgres::pool(database).await?;
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'claude_gateway'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&pool).await?;
    ensure!(tables.len() > 8 && tables.iter().any(|table| table.ends_with(".session")), "not all tables: {tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let rows = format!("SELECT row_to_json(t)::text FROM {table} t");
        all.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(rows)).fetch_all(&pool).await?);
    }
    Ok(all)
}

/// What is in the files below a folder.
pub fn files(below: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(files(&path)),
            path => all.extend(fs::read(path)),
        }
    }
    all
}
