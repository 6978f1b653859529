//! Whatever is typed as a user code is refused or read as eight letters that, typed again in any of the ways we print or
//! forgive, are the same code.

#![no_main]

use claude_gateway_fuzz::user_code::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|typed: &str| {
    let letters: Vec<char> = typed.chars().filter(char::is_ascii_alphanumeric).collect();
    let Some(code) = parse(typed) else { return };
    assert_eq!(letters.len(), 8);
    assert!(letters.iter().map(char::to_ascii_uppercase).eq(code.letters().chars()));
    for again in [code.to_string(), code.letters().to_ascii_lowercase(), format!(" {} ", code.letters())] {
        assert!(parse(&again) == Some(code));
    }
    assert_eq!(format!("{code:?}"), "UserCode(…)");
});
