//! The forms that a setting of Claude Code can have, and the check of a document against them.
//!
//! A wrong type is refused at its own path. A key or a word that is not known here may be a newer client's: it is warned of,
//! with the nearest that is.

use serde_json::{Map, Value};

use crate::{complaint::Complaint, fields::Fields, path::FieldPath, vocabulary::nearest};

#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Known, but of no form that is documented.
    Any,
    Flag,
    Text,
    /// From here up.
    Whole(u64),
    Number,
    /// From 0 to 1.
    Share,
    /// Nothing else means anything.
    Choice(&'static [&'static str]),
    /// Newer clients may know more.
    Word(&'static [&'static str]),
    List(&'static Form),
    /// Keys that the operator chooses.
    Mapping(&'static Form),
    Keys(&'static Keys),
    /// Told apart by their JSON type.
    OneOf(&'static [Form]),
}

/// A mapping whose keys are known.
pub(super) struct Keys {
    pub(super) forms: &'static [(Form, &'static [&'static str])],
    pub(super) required: &'static [&'static str],
    /// Of a key that is not known here.
    pub(super) unknown: Form,
}

pub(super) const TEXTS: Form = Form::List(&Form::Text);

impl Keys {
    pub(super) const fn optional(forms: &'static [(Form, &'static [&'static str])]) -> Self {
        Self { forms, required: &[], unknown: Form::Any }
    }

    pub(super) const fn requiring(mut self, required: &'static [&'static str]) -> Self {
        self.required = required;
        self
    }

    fn form(&self, key: &str) -> Option<Form> {
        self.forms.iter().find(|(_, names)| names.contains(&key)).map(|(form, _)| *form)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.forms.iter().flat_map(|(_, names)| names.iter().copied())
    }
}

impl Form {
    /// By its JSON type alone.
    fn may_take(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Flag => value.is_boolean(),
            Self::Text | Self::Choice(_) | Self::Word(_) => value.is_string(),
            Self::Whole(_) | Self::Number | Self::Share => value.is_number(),
            Self::List(_) => value.is_array(),
            Self::Mapping(_) | Self::Keys(_) => value.is_object(),
            Self::OneOf(forms) => forms.iter().any(|form| form.may_take(value)),
        }
    }

    fn called(self) -> String {
        match self {
            Self::Any => "anything".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Whole(0) => "a whole number".to_owned(),
            Self::Whole(least) => format!("a whole number, {least} or more"),
            Self::Number => "a number".to_owned(),
            Self::Share => "a number from 0 to 1".to_owned(),
            Self::Choice([only]) => format!("{only}, if it is written"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Word(_) => "text".to_owned(),
            Self::List(Self::Text) => "a list of texts".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Mapping(Self::Text) => "a mapping to text".to_owned(),
            Self::Mapping(_) | Self::Keys(_) => "a mapping".to_owned(),
            Self::OneOf(forms) => forms.iter().map(|form| form.called()).collect::<Vec<_>>().join(", or "),
        }
    }
}

/// One document against its form.
pub(super) struct Inspection<'a> {
    pub(super) fields: &'a Fields<'a>,
}

impl Inspection<'_> {
    pub(super) fn check(&self, value: &Value, form: Form, path: &FieldPath) {
        if !form.may_take(value) || !fits(value, form) {
            let remedy = "write it as Claude Code's settings reference has it";
            return self.fields.refuse_at(path.clone(), Complaint::new(format!("must be {}", form.called()), remedy));
        }
        match (form, value) {
            (Form::Word(known), Value::String(word)) if !known.contains(&word.as_str()) => {
                self.warn(path, "is no value known here", word, known.iter().copied());
            }
            (Form::List(item), Value::Array(items)) => {
                for (at, value) in items.iter().enumerate() {
                    self.check(value, *item, &path.index(at));
                }
            }
            (Form::Mapping(item), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.check(value, *item, &path.key(key));
                }
            }
            (Form::Keys(keys), Value::Object(entries)) => self.keys(entries, keys, path),
            (Form::OneOf(forms), _) => {
                if let Some(form) = forms.iter().find(|form| form.may_take(value)) {
                    self.check(value, *form, path);
                }
            }
            _ => {}
        }
    }

    pub(super) fn keys(&self, entries: &Map<String, Value>, keys: &Keys, path: &FieldPath) {
        for missing in keys.required.iter().filter(|key| !entries.contains_key(**key)) {
            let complaint = Complaint::new("is missing", "write it, as Claude Code's settings reference has it");
            self.fields.refuse_at(path.key(missing), complaint);
        }
        for (key, value) in entries {
            let form = keys.form(key).unwrap_or_else(|| {
                self.warn(&path.key(key), "is no setting known here", key, keys.names());
                keys.unknown
            });
            self.check(value, form, &path.key(key));
        }
    }

    fn warn(&self, path: &FieldPath, problem: &str, unknown: &str, known: impl Iterator<Item = &'static str>) {
        let hint = nearest(unknown, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
        self.fields.warn_at(path.clone(), format!("{problem}{hint}"));
    }
}

/// Beyond its JSON type.
fn fits(value: &Value, form: Form) -> bool {
    match (form, value) {
        (Form::Whole(least), Value::Number(number)) => whole(number).is_some_and(|number| number >= least),
        (Form::Share, Value::Number(number)) => number.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)),
        (Form::Choice(choices), Value::String(text)) => choices.contains(&text.as_str()),
        _ => true,
    }
}

/// `30.0` is the whole number that a JavaScript client reads in it.
fn whole(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| number.as_f64()?.to_string().parse().ok())
}
