//! How the words of the file are declared: one table of keys per section, from which the check, the defaults and the JSON
//! schema all come.

/// The keys of one mapping.
pub(crate) struct Table {
    pub(crate) about: &'static str,
    /// In groups, so that mappings can share some.
    pub(crate) keys: &'static [&'static [Key]],
}

pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
    pub(crate) presence: Presence,
}

#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Not empty.
    Text,
    /// Not empty, and nothing that a schema or a tool should show.
    Secret,
    Choice(&'static [&'static str]),
    Flag,
    /// From the first to the second, both included.
    Whole(u64, u64),
    Number(f64, f64),
    List(&'static Shape),
    /// One value, or a list of them.
    OneOrMore(&'static Shape),
    /// Keys that the operator chooses.
    Map(&'static Shape),
    Section(&'static Table),
    /// Which keys there are depends on the value of one of them.
    Cases {
        tag: &'static str,
        cases: &'static [(&'static str, &'static Table)],
    },
    /// A mapping of somebody else's words, taken as it is: `${…}` in it is plain text.
    Document,
}

#[derive(Clone, Copy)]
pub(crate) enum Presence {
    Required,
    Optional,
    Default(Fallback),
}

#[derive(Clone, Copy)]
pub(crate) enum Fallback {
    Flag(bool),
    Whole(u64),
    Number(f64),
    Text(&'static str),
    Texts(&'static [&'static str]),
    /// The section's own defaults.
    Section,
}

impl Key {
    pub(crate) const fn required(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, about, presence: Presence::Required }
    }

    pub(crate) const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, about, presence: Presence::Optional }
    }

    pub(crate) const fn or(mut self, fallback: Fallback) -> Self {
        self.presence = Presence::Default(fallback);
        self
    }
}

impl Table {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().flatten()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'static Key> {
        self.iter().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.iter().map(|key| key.name)
    }
}

/// The known word that an unknown one was probably meant to be.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_ascii_lowercase();
    let allowed = (unknown.chars().count() / 3).max(2);
    known
        .map(|word| (strsim::damerau_levenshtein(&unknown, &word.to_ascii_lowercase()), word))
        .filter(|(distance, word)| *distance <= allowed && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_finds_none() {
        let known = ["issuer", "client_id", "client_secret", "scopes"];
        assert_eq!(nearest("isuer", known.into_iter()), Some("issuer"));
        assert_eq!(nearest("clientId", known.into_iter()), Some("client_id"));
        assert_eq!(nearest("Client_Secrte", known.into_iter()), Some("client_secret"));
        assert_eq!(nearest("telemetry", known.into_iter()), None);
    }
}
