//! `${VAR}` and `${file:/path}`: where the values come from that do not stand in the file.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use crate::{complaint::Complaint, environment::Environment};

const MAX_FILE_BYTES: usize = 1 << 20;

/// The files that a configuration names; a test or a fuzzer hands in its own.
pub trait Files {
    /// # Errors
    /// Whatever kept the file from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The real files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

/// The variables and files of one reading, and which files it took.
pub(crate) struct Sources<'a> {
    origin: Option<Origin<'a>>,
    taken: RefCell<BTreeSet<PathBuf>>,
}

#[derive(Clone, Copy)]
struct Origin<'a> {
    environment: &'a Environment,
    files: &'a dyn Files,
}

/// A string with its references replaced.
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Something was replaced, so that the text may stand for a number or a flag.
    pub(crate) referred: bool,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(environment: &'a Environment, files: &'a dyn Files) -> Self {
        Self { origin: Some(Origin { environment, files }), taken: RefCell::default() }
    }

    /// Nothing is looked up: `${…}` is plain text. For documents whose writer is not this machine's operator.
    pub(crate) fn none() -> Self {
        Self { origin: None, taken: RefCell::default() }
    }

    pub(crate) fn expand(&self, written: &str) -> Result<Expanded, Complaint> {
        let Some(Origin { environment, .. }) = self.origin else {
            return Ok(Expanded { text: written.to_owned(), referred: false });
        };
        if let Some(path) = whole_file_reference(written) {
            return self.file(path).map(|text| Expanded { text, referred: true });
        }
        let mut text = String::with_capacity(written.len());
        let mut rest = written;
        let mut referred = false;
        while let Some((before, after)) = rest.split_once("${") {
            text.push_str(before);
            let (name, after) = reference(after)?;
            let value = environment.get(name).ok_or_else(|| {
                Complaint::new(format!("the variable {name} is not set"), "set it in the gateway's environment")
            })?;
            text.push_str(value);
            referred = true;
            rest = after;
        }
        text.push_str(rest);
        Ok(Expanded { text, referred })
    }

    /// The bytes of a file, noted as one that this configuration depends on. `called` stands for it in a complaint: its
    /// path may itself be an expanded value, and then it is not said.
    pub(crate) fn read(&self, path: &Path, called: &str) -> Result<Vec<u8>, Complaint> {
        let Some(Origin { files, .. }) = self.origin else {
            return Err(Complaint::new("names a file where none is read", "write the value itself"));
        };
        self.taken.borrow_mut().insert(path.to_owned());
        let bytes = files.read(path).map_err(|error| {
            Complaint::new(
                format!("{called} cannot be read ({})", error.kind()),
                "mount it, or correct the path and the rights",
            )
        })?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Complaint::new(format!("{called} is larger than 1 MiB"), "correct the path"));
        }
        Ok(bytes)
    }

    pub(crate) fn into_files(self) -> BTreeSet<PathBuf> {
        self.taken.into_inner()
    }

    fn file(&self, path: &str) -> Result<String, Complaint> {
        let path = Path::new(path);
        if !path.is_absolute() {
            return Err(Complaint::new("the path in `${file:…}` is not absolute", "start it with a slash"));
        }
        let called = format!("the file {}", path.display());
        let text = String::from_utf8(self.read(path, &called)?)
            .map_err(|_| Complaint::new(format!("{called} is not text"), "correct the path"))?;
        match text.trim() {
            "" => Err(Complaint::new(format!("{called} is empty"), "write the value into it")),
            text => Ok(text.to_owned()),
        }
    }
}

/// What a text of the file refers to, each as it stands there; `None` where a `${` begins no reference. Nothing else of the
/// text is in it, so it may be shown where the text may not.
pub fn references(written: &str) -> Option<Vec<String>> {
    if let Some(path) = whole_file_reference(written) {
        return Some(vec![format!("${{file:{path}}}")]);
    }
    let mut found = Vec::new();
    let mut rest = written;
    while let Some((_, after)) = rest.split_once("${") {
        let (name, after) = reference(after).ok()?;
        found.push(format!("${{{name}}}"));
        rest = after;
    }
    Some(found)
}

fn whole_file_reference(written: &str) -> Option<&str> {
    let path = written.trim().strip_prefix("${file:")?.strip_suffix('}')?;
    (!path.contains('}')).then_some(path)
}

/// The variable's name and what follows the closing brace. What stands between the braces is not quoted unless it is a
/// name: a password may hold `${`.
fn reference(after: &str) -> Result<(&str, &str), Complaint> {
    if after.starts_with("file:") {
        return Err(Complaint::new("`${file:…}` stands inside a longer value", "make it the whole value"));
    }
    after.split_once('}').filter(|(name, _)| is_variable(name)).ok_or_else(|| {
        Complaint::new(
            "holds a `${` that begins no reference",
            "write ${VARIABLE}, or ${file:/path} as the whole value",
        )
    })
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        path::{Path, PathBuf},
    };

    use super::{Files, Sources, references};
    use crate::environment::Environment;

    struct OneFile;

    impl Files for OneFile {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            match path.to_str() {
                Some("/run/secret") => Ok(b"  from the file\n".to_vec()),
                Some("/run/empty") => Ok(b"\n".to_vec()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    fn expand(written: &str) -> Result<String, String> {
        let environment: Environment = [("A", "one"), ("B", "${A}")].into_iter().collect();
        let sources = Sources::new(&environment, &OneFile);
        sources.expand(written).map(|expanded| expanded.text).map_err(|complaint| complaint.problem)
    }

    #[test]
    fn a_variable_is_replaced_anywhere_and_only_once() {
        assert_eq!(expand("Bearer ${A}-${A}").unwrap(), "Bearer one-one");
        assert_eq!(expand("${B}").unwrap(), "${A}");
        assert_eq!(expand("cost $5 {A}").unwrap(), "cost $5 {A}");
    }

    #[test]
    fn a_file_is_a_whole_value_trimmed() {
        assert_eq!(expand("${file:/run/secret}").unwrap(), "from the file");
        assert_eq!(expand("x${file:/run/secret}").unwrap_err(), "`${file:…}` stands inside a longer value");
        assert_eq!(expand("${file:secret}").unwrap_err(), "the path in `${file:…}` is not absolute");
        assert_eq!(expand("${file:/run/empty}").unwrap_err(), "the file /run/empty is empty");
        assert_eq!(expand("${file:/run/none}").unwrap_err(), "the file /run/none cannot be read (entity not found)");
    }

    #[test]
    fn what_a_text_refers_to_is_told_and_nothing_else_of_it() {
        assert_eq!(references("Bearer ${A}-${B}").unwrap(), ["${A}", "${B}"]);
        assert_eq!(references(" ${file:/run/a} ").unwrap(), ["${file:/run/a}"]);
        assert_eq!(references("plain").unwrap(), [""; 0]);
        assert_eq!(references("pass${word"), None);
    }

    #[test]
    fn a_broken_reference_is_refused_without_quoting_it() {
        for text in ["${", "pass${word", "${}", "${1A}", "${MY-VAR}", "${hunter2 }"] {
            assert_eq!(expand(text).unwrap_err(), "holds a `${` that begins no reference");
        }
        assert_eq!(expand("${MISSING}").unwrap_err(), "the variable MISSING is not set");
    }

    #[test]
    fn without_sources_a_reference_is_plain_text() {
        for text in ["${A}", "${file:/run/secret}", "${", "a ${B} c"] {
            let expanded = Sources::none().expand(text).unwrap();
            assert_eq!((expanded.text.as_str(), expanded.referred), (text, false));
        }
        assert!(Sources::none().read(Path::new("/run/secret"), "it").is_err());
    }

    #[test]
    fn every_file_that_was_asked_for_is_noted() {
        let environment = Environment::default();
        let sources = Sources::new(&environment, &OneFile);
        let _ = sources.expand("${file:/run/secret}");
        let _ = sources.expand("${file:/run/none}");
        let files: Vec<PathBuf> = sources.into_files().into_iter().collect();
        assert_eq!(files, [PathBuf::from("/run/none"), PathBuf::from("/run/secret")]);
    }
}
