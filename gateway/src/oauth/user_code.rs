//! User codes: short enough to type, made of letters that form no words and are not mistaken for each other's digits.

use std::fmt;

use aws_lc_rs::rand::SecureRandom;

use crate::session::chance::{self, NoRandomness};

const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;
/// How many codes there are: 20^8, 34.6 bits.
pub const CODES: u64 = 25_600_000_000;

/// Eight letters of the alphabet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserCode([u8; LENGTH]);

/// Forgives case, spaces and dashes; nothing else.
pub fn parse(unverified: &str) -> Option<UserCode> {
    let mut letters = [0; LENGTH];
    let mut length = 0;
    for character in unverified.chars().filter(|character| !is_filler(*character)) {
        let letter = u8::try_from(character).ok()?.to_ascii_uppercase();
        if !ALPHABET.contains(&letter) {
            return None;
        }
        *letters.get_mut(length)? = letter;
        length += 1;
    }
    (length == LENGTH).then_some(UserCode(letters))
}

/// What people and their keyboards put between the halves: any space, any dash.
fn is_filler(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '_' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

impl UserCode {
    /// Every code is equally likely: bytes that would favour some letters are thrown away.
    pub fn random(random: &dyn SecureRandom) -> Result<Self, NoRandomness> {
        let alphabet = ALPHABET.len() as u8;
        let fair = u8::MAX - u8::MAX % alphabet;
        let mut letters = [0; LENGTH];
        let mut length = 0;
        while length < LENGTH {
            for byte in chance::bytes::<16>(random)?.into_iter().filter(|byte| *byte < fair) {
                if let Some(letter) = letters.get_mut(length) {
                    *letter = ALPHABET[usize::from(byte % alphabet)];
                    length += 1;
                }
            }
        }
        Ok(Self(letters))
    }

    /// The form that is hashed.
    pub fn letters(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// `XXXX-XXXX`
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.letters().split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aws_lc_rs::rand::SystemRandom;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_however_people_type_it() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "b c d f - g h j k", "BCDF–GHJK", "bcdf\u{a0}ghjk\r\n"]
        {
            assert_eq!(parse(typed).map(|code| code.to_string()).as_deref(), Some("BCDF-GHJK"), "{typed}");
        }
    }

    #[test]
    fn what_is_no_code_is_not_read_as_one() {
        for typed in ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ1", "BCDF-GHJ\u{212a}", "BCDF\0GHJK", "-"] {
            assert_eq!(parse(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn codes_are_made_of_every_letter_and_do_not_repeat() {
        let random = SystemRandom::new();
        let codes: Vec<_> = (0..500).map(|_| UserCode::random(&random).unwrap()).collect();
        let letters: HashSet<u8> = codes.iter().flat_map(|code| code.letters().bytes()).collect();
        assert_eq!(letters, ALPHABET.iter().copied().collect());
        assert_eq!(codes.iter().map(|code| code.to_string()).collect::<HashSet<_>>().len(), codes.len());
        assert_eq!(CODES, (ALPHABET.len() as u64).pow(LENGTH as u32));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(typed in "\\PC*") {
            if let Some(code) = parse(&typed) {
                prop_assert_eq!(parse(&code.to_string()), Some(code));
            }
        }
    }
}
