//! The built-in models: ids, aliases, context windows and list prices, read from `data/models.csv`.
//!
//! Matching is exact. The one equivalence is a dated id and its alias; a prefix never matches.

use std::collections::HashMap;

const TABLE: &str = include_str!("../../data/models.csv");

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltinModel {
    pub id: &'static str,
    pub alias: &'static str,
    pub anthropic: &'static str,
    pub context_tokens: u64,
    pub list_price: ListPrice,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListPrice {
    pub input: f64,
    pub cache_write_5m: f64,
    pub cache_read: f64,
    pub output: f64,
}

/// All of them, in the table's order.
#[derive(Debug, Clone)]
pub struct Catalogue {
    models: Vec<BuiltinModel>,
    by_name: HashMap<&'static str, usize>,
}

impl Catalogue {
    /// The table is part of the binary; a broken row is a broken build, which a test catches.
    pub fn builtin() -> Self {
        let models: Vec<_> = TABLE.lines().skip(1).filter_map(row).collect();
        let by_name = models.iter().enumerate().flat_map(|(n, model)| [(model.id, n), (model.alias, n)]).collect();
        Self { models, by_name }
    }

    /// By id or alias.
    pub fn named(&self, name: &str) -> Option<&BuiltinModel> {
        self.by_name.get(name).map(|n| &self.models[*n])
    }

    pub fn iter(&self) -> impl Iterator<Item = &BuiltinModel> {
        self.models.iter()
    }
}

fn row(line: &'static str) -> Option<BuiltinModel> {
    let mut columns = line.split(',');
    let mut next = || columns.next();
    let (id, alias, anthropic) = (next()?, next()?, next()?);
    let (_bedrock, _vertex, _foundry) = (next()?, next()?, next()?);
    let context_tokens = next()?.parse().ok()?;
    let mut price = || next()?.parse().ok();
    let list_price = ListPrice { input: price()?, cache_write_5m: price()?, cache_read: price()?, output: price()? };
    Some(BuiltinModel { id, alias, anthropic, context_tokens, list_price })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        let rows = TABLE.lines().count() - 1;
        assert!(rows > 10);
        assert_eq!(Catalogue::builtin().iter().count(), rows);
    }

    #[test]
    fn a_dated_id_and_its_alias_are_one_model_and_a_prefix_is_none() {
        let catalogue = Catalogue::builtin();
        assert_eq!(catalogue.named("claude-haiku-4-5"), catalogue.named("claude-haiku-4-5-20251001"));
        assert!(catalogue.named("claude-haiku-4-5").is_some());
        assert!(catalogue.named("claude-haiku-4-5-2025").is_none());
        assert!(catalogue.named("claude-haiku").is_none());
        assert!(catalogue.named("").is_none());
    }
}
