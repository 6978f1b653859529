//! The store's rows of usage, by person.

use std::collections::BTreeMap;

use e2e::cast::postgres::pool;

#[derive(Debug, Default)]
pub(crate) struct Told {
    people: BTreeMap<String, Tokens>,
    /// What is used of their day's tokens.
    limits: BTreeMap<String, i64>,
}

/// What one person, or one reply, came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) requests: i64,
    pub(crate) input: i64,
    pub(crate) output: i64,
}

impl Told {
    pub(crate) async fn read(database: &str) -> Self {
        let pool = pool(database).await.unwrap();
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT subject, sum(requests)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint
             FROM claude_gateway.usage_hour GROUP BY subject",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        let limits: Vec<(String, i64)> =
            sqlx::query_as("SELECT subject, used FROM claude_gateway.limit_state WHERE meter = 'tokens_per_day'")
                .fetch_all(&pool)
                .await
                .unwrap();
        pool.close().await;
        let tokens = |(subject, requests, input, output)| (subject, Tokens { requests, input, output });
        Self { people: rows.into_iter().map(tokens).collect(), limits: limits.into_iter().collect() }
    }

    /// Whose limit was charged otherwise than they were counted. Somebody whose only pod died while the store was away, before
    /// the store had heard of their limit, has none.
    pub(crate) fn charged_otherwise(&self) -> Vec<String> {
        let differences = self.limits.iter().filter_map(|(person, used)| {
            let Tokens { requests: _, input, output } = self.of(person);
            (*used != input + output).then(|| format!("{person}: {used} charged, {} counted", input + output))
        });
        differences.collect()
    }

    pub(crate) fn limited(&self) -> usize {
        self.limits.len()
    }

    pub(crate) fn of(&self, subject: &str) -> Tokens {
        self.people.get(subject).copied().unwrap_or_default()
    }

    pub(crate) fn people(&self) -> impl Iterator<Item = &str> {
        self.people.keys().map(String::as_str)
    }
}
