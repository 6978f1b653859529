//! YAML text to a plain tree, within bounds: no duplicate keys, no alias bombs, no deep nesting.
//!
//! The parser's own messages are not passed on, because they can quote the text, and the text can hold secrets.

use serde_json::Value;
use serde_saphyr::{Error, Options, options::DuplicateKeyPolicy, options::NonFiniteFloatPolicy};

use crate::complaint::Complaint;

const MAX_BYTES: usize = 4 << 20;

pub(crate) fn parse(text: &str) -> Result<Value, Complaint> {
    if text.len() > MAX_BYTES {
        return Err(Complaint::new("is larger than 4 MiB", "check that this is the right file"));
    }
    match serde_saphyr::from_str_with_options(text, options()) {
        Ok(tree) => Ok(tree),
        Err(error) => Err(complaint(&error)),
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 400_000,
            max_nodes: 100_000,
            max_depth: 48,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn complaint(error: &Error) -> Complaint {
    let (problem, remedy) = match error.without_snippet() {
        Error::DuplicateMappingKey { .. } => ("a key stands twice in one mapping", "keep one of them"),
        Error::MultipleDocuments { .. } => ("a second document starts", "keep everything in one document"),
        Error::UnknownAnchor { .. } => {
            ("an alias names no anchor", "put quotes around a value that starts with `*` or `&`")
        }
        Error::AliasError { .. } => ("an alias cannot be followed, or grows too large", "write the value out"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            ("the document is nested too deeply or grows too large", "write it plainly, with fewer aliases and levels")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => ("an alias holds itself", "write the value out"),
        _ => ("the document is not valid YAML", "check indentation, quotes and brackets there"),
    };
    match error.location() {
        Some(location) if location.line() > 0 => {
            Complaint::new(format!("line {}, column {}: {problem}", location.line(), location.column()), remedy)
        }
        _ => Complaint::new(problem, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn problem(text: &str) -> String {
        parse(text).expect_err("refused").problem
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_its_line() {
        assert_eq!(problem("a: 1\nb: 2\na: 3\n"), "line 3, column 1: a key stands twice in one mapping");
    }

    #[test]
    fn a_secret_that_looks_like_an_alias_is_not_quoted() {
        let problem = problem("password: *hunter2\n");
        assert!(problem.contains("an alias names no anchor"), "{problem}");
        assert!(!problem.contains("hunter2"));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            let entry = [alias.as_str(); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{entry}]\n"));
        }
        assert!(problem(&text).contains("grows too large"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(problem(&text).contains("nested too deeply"), "{}", problem(&text));
    }

    #[test]
    fn only_true_and_false_are_flags() {
        let tree = parse("a: yes\nb: true\n").unwrap();
        assert!(tree["a"].is_string());
        assert!(tree["b"].is_boolean());
    }
}
