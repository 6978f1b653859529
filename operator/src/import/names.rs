//! Names as Kubernetes takes them, for what had others.

use std::collections::{BTreeMap, BTreeSet};

const LONGEST: usize = 63;

/// Lower-case letters, digits and single dashes, at most 63; `x` where nothing of the text is such.
pub(super) fn label(text: &str) -> String {
    label_of(text, LONGEST)
}

pub(super) fn label_of(text: &str, longest: usize) -> String {
    let mut label = String::new();
    for letter in text.chars() {
        match letter.to_ascii_lowercase() {
            plain if plain.is_ascii_lowercase() || plain.is_ascii_digit() => label.push(plain),
            _ if label.is_empty() || label.ends_with('-') => {}
            _ => label.push('-'),
        }
        if label.len() == longest {
            break;
        }
    }
    let label = label.trim_end_matches('-');
    if label.is_empty() { "x".to_owned() } else { label.to_owned() }
}

/// As [`label`], and none of those that are taken.
pub(super) fn distinct(text: &str, taken: &mut BTreeSet<String>, longest: usize) -> String {
    let first = label_of(text, longest);
    let mut name = first.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        let suffix = format!("-{number}");
        let most = longest.saturating_sub(suffix.len());
        name = format!("{}{suffix}", label_of(&first, most));
    }
    name
}

/// What each upstream of the file is called in the object.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_old: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Names {
    pub(super) fn of_upstream(&mut self, old: &str) -> String {
        if let Some(name) = self.by_old.get(old) {
            return name.clone();
        }
        let name = distinct(old, &mut self.taken, LONGEST);
        self.by_old.insert(old.to_owned(), name.clone());
        name
    }

    /// `None`: that upstream is not taken over.
    pub(super) fn known(&self, old: &str) -> Option<&str> {
        self.by_old.get(old).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_name_and_no_name_stands_twice() {
        assert_eq!(label("Finance & Legal (EU)"), "finance-legal-eu");
        assert_eq!(label("日本"), "x");
        assert_eq!(label(&"a".repeat(80)).len(), 63);
        let mut taken = BTreeSet::new();
        let names: Vec<_> = ["A b", "a-b", "a.b"].iter().map(|text| distinct(text, &mut taken, 5)).collect();
        assert_eq!(names, ["a-b", "a-b-2", "a-b-3"]);
        let long = "a".repeat(70);
        let names: Vec<_> = (0..3).map(|_| distinct(&long, &mut taken, 63)).collect();
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
    }
}
