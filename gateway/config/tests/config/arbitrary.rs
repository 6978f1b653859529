//! No text makes the reader panic, and what it refuses it refuses in whole lines.

use proptest::prelude::*;

use super::{complete::COMPLETE, not_yet::NOT_YET};
use crate::support::complaints;

fn is_orderly(complaints: &str) -> bool {
    complaints.lines().all(|line| line.split(": ").count() >= 3)
}

/// YAML that looks like the file: known keys with unlikely values.
fn likely() -> impl Strategy<Value = String> {
    let words: Vec<String> = [COMPLETE, NOT_YET]
        .iter()
        .flat_map(|text| text.split(|sign: char| sign.is_whitespace() || "{}[],".contains(sign)))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let value = prop_oneof![
        prop::sample::select(words),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("~".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just("\"${API_KEY}\"".to_owned()),
        "[ -~]{0,12}",
    ];
    prop::collection::vec((0_usize..5, value), 0..40)
        .prop_map(|lines| lines.iter().map(|(depth, word)| format!("{}{word}\n", "  ".repeat(*depth))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        prop_assert!(is_orderly(&complaints(&text)));
    }

    #[test]
    fn any_likely_text_is_read_or_refused(text in likely()) {
        prop_assert!(is_orderly(&complaints(&text)));
    }

    #[test]
    fn a_right_file_with_one_line_changed_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        line in "[ ]{0,4}[a-z_]{0,10}:? ?[ -~]{0,10}",
    ) {
        let mut lines: Vec<_> = COMPLETE.lines().collect();
        let at = at.index(lines.len());
        lines[at] = &line;
        prop_assert!(is_orderly(&complaints(&lines.join("\n"))));
    }

    #[test]
    fn a_cut_file_is_read_or_refused(at in any::<prop::sample::Index>()) {
        let text = &COMPLETE[..at.index(COMPLETE.len())];
        prop_assert!(is_orderly(&complaints(text)));
    }
}
