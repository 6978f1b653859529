//! How long things last in a test: shortened, unless the run is one at full length (`make test-long`).

/// `short` as a rule; `full`, what operators and people meet, where `GATEWAY_TEST_FULL_LENGTH` is set.
pub fn short_or_full<T>(short: T, full: T) -> T {
    match std::env::var_os("GATEWAY_TEST_FULL_LENGTH").is_some_and(|value| !value.is_empty()) {
        true => full,
        false => short,
    }
}
