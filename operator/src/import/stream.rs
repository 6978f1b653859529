//! Objects as a YAML stream with comments. What JSON says, YAML says too, so texts that are not plain are written as JSON has
//! them, or as blocks where they have lines.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::Object;

const WIDTH: usize = 118;

/// Comments by the JSON Pointer of the key that they stand above; the empty one is the whole document's.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(BTreeMap<String, Vec<String>>);

#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) object: Value,
    pub(super) notes: Notes,
}

impl Notes {
    pub(super) fn say(&mut self, pointer: &str, note: impl Into<String>) {
        self.0.entry(pointer.to_owned()).or_default().push(note.into());
    }

    pub(super) fn has_below(&self, pointer: &str) -> bool {
        self.0
            .keys()
            .any(|noted| noted.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    fn at(&self, pointer: &str) -> &[String] {
        self.0.get(pointer).map(Vec::as_slice).unwrap_or_default()
    }
}

pub(super) fn write(heading: &[String], documents: &[Document]) -> String {
    let mut text = String::new();
    heading.iter().for_each(|note| comment(&mut text, 0, note));
    for Document { object, notes } in documents {
        text.push_str("---\n");
        notes.at("").iter().for_each(|note| comment(&mut text, 0, note));
        Writer { text: &mut text, notes }.mapping(object.as_object().unwrap_or(&Object::new()), 0, "");
    }
    text
}

struct Writer<'a> {
    text: &'a mut String,
    notes: &'a Notes,
}

impl Writer<'_> {
    fn mapping(&mut self, entries: &Object, indent: usize, at: &str) {
        for (number, (key, value)) in entries.iter().enumerate() {
            let below = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            // The first key of a list's entry stands behind its dash.
            let is_open = number == 0 && self.text.ends_with("- ");
            if !is_open {
                self.notes.at(&below).to_vec().iter().for_each(|note| comment(self.text, indent, note));
                self.pad(indent);
            }
            self.text.push_str(&scalar(key));
            self.text.push(':');
            self.value(value, indent, &below);
        }
    }

    fn value(&mut self, value: &Value, indent: usize, at: &str) {
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                self.text.push('\n');
                self.mapping(entries, indent + 2, at);
            }
            Value::Array(items) if !items.is_empty() => {
                self.text.push('\n');
                for (index, item) in items.iter().enumerate() {
                    self.item(item, indent + 2, &format!("{at}/{index}"));
                }
            }
            Value::String(text) if is_block(text) => self.block(text, indent + 2),
            other => {
                self.text.push(' ');
                self.text.push_str(&short(other));
                self.text.push('\n');
            }
        }
    }

    fn item(&mut self, item: &Value, indent: usize, at: &str) {
        let first = item.as_object().and_then(|entries| entries.keys().next());
        let first = first.map(|key| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")));
        let notes = self.notes.at(at).iter().chain(first.iter().flat_map(|first| self.notes.at(first)));
        notes.cloned().collect::<Vec<_>>().iter().for_each(|note| comment(self.text, indent, note));
        self.pad(indent);
        self.text.push_str("- ");
        match item {
            Value::Object(entries) if !entries.is_empty() => self.mapping(entries, indent + 2, at),
            // A list in a list, and what is short: as JSON has it.
            other => {
                self.text.push_str(&short(other));
                self.text.push('\n');
            }
        }
    }

    fn block(&mut self, text: &str, indent: usize) {
        self.text.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
        for line in text.lines() {
            if !line.is_empty() {
                self.pad(indent);
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }

    fn pad(&mut self, indent: usize) {
        let _ = write!(self.text, "{:indent$}", "");
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", quoted(key), flow(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => short(other),
    }
}

/// Plain where nobody could take it for something else than a text.
fn scalar(text: &str) -> String {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    let word = text.to_ascii_lowercase();
    let is_word = matches!(word.as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if begins && !is_word && text.bytes().all(letters) {
        return text.to_owned();
    }
    quoted(text)
}

/// As JSON has it, and what some readers of YAML take for the end of a line as its number.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for letter in Value::from(text).to_string().chars() {
        match letter {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted
}

/// A text of several lines that a literal block says unchanged.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && body.chars().all(|letter| letter == '\n' || letter == '\t' || (' '..'\u{7f}').contains(&letter))
}

fn comment(text: &mut String, indent: usize, note: &str) {
    let width = WIDTH.saturating_sub(indent + 2).max(40);
    let mut line = String::new();
    // A name that the file's author chose may hold anything; no line may leave the comment.
    let words =
        note.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    for word in words {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(text, "{:indent$}# {line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{:indent$}# {line}", "");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn round(object: Value) -> Value {
        let text = write(&["heading".to_owned()], &[Document { object, notes: Notes::default() }]);
        gateway_config::tree(&text).map(Value::Object).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }

    #[test]
    fn what_is_hard_to_write_reads_back_the_same() {
        let object = json!({
            "plain": "claude", "flag": "true", "none": "null", "number": "007", "empty": "", "colon": "a: b", "hash": "a #b",
            "lines": "first\nsecond\n", "open": "first\nsecond", "more": "a\n\n", "deep": "a\n  b\n\n  c", "lead": "  a\nb",
            "quote": "it's \"so\"", "umlaut": "über\nall", "list": ["a", 1, true, null, [], {}, ["x", ["y"]], { "k": ["v"] }],
            "map": {}, "on": { "no": 1.5, "a b": -3 }, "tab": "\ta\nb", "return": "a\r\nb", "del": "a\u{7f}\nb",
        });
        assert_eq!(round(object.clone()), object);
    }

    #[test]
    fn no_name_leaves_its_comment() {
        let mut notes = Notes::default();
        notes.say("/a", "called \"x\u{85}\u{2028}\nb: 1\r---\"");
        let text = write(&[], &[Document { object: json!({ "a": 1 }), notes }]);
        assert_eq!(gateway_config::tree(&text).unwrap().len(), 1, "{text}");
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![any::<String>(), "[ -~\n\t]{0,40}", "[a-z: #\n-]{0,20}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ -~\n]{1,9}", inner, 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_stands_in_an_object_reads_back_the_same(value in value()) {
            let object = json!({ "value": value });
            prop_assert_eq!(round(object.clone()), object);
        }
    }
}
