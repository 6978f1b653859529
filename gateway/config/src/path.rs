//! The place of a value in the file: `upstreams[1].auth.api_key`.

use std::fmt;

/// Steps from the root of the file; the root itself is empty. Orders as an operator reads: by key, then by index.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Key(String),
    Index(usize),
}

impl FieldPath {
    pub fn root() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend(self.0.iter().cloned());
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("the file");
        }
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                // A key that could break the line or be misread as several steps stands quoted.
                Step::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::FieldPath;

    #[test]
    fn a_path_reads_like_the_file() {
        let path = FieldPath::root().key("upstreams").index(1).key("headers").key("x-source");
        assert_eq!(path.to_string(), "upstreams[1].headers.x-source");
        assert_eq!(FieldPath::root().to_string(), "the file");
    }

    #[test]
    fn a_hostile_key_cannot_break_the_line() {
        assert_eq!(FieldPath::root().key("a\nb.c").to_string(), r#"["a\nb.c"]"#);
    }

    #[test]
    fn the_tenth_entry_comes_after_the_second() {
        let list = FieldPath::root().key("upstreams");
        assert!(list.index(2) < list.index(10));
    }
}
