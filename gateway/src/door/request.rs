//! What the door knows about a request, given to the rooms behind it as request extensions.

use std::{
    cell::{Cell, RefCell},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use aws_lc_rs::rand::SecureRandom;

/// The client's own address: the peer's, or what a trusted proxy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// `req_` and 32 hex digits; in the reply's headers, the audit line and the error pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 36]);

/// One request at the door.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub request_id: RequestId,
    pub client: ClientAddress,
}

/// What chance a thread's request ids are made of, drawn for many at once: a draw costs as much as a request's whole scan.
pub struct RequestIds {
    random: Arc<dyn SecureRandom + Send + Sync>,
    drawn: RefCell<[[u8; 16]; DRAWN]>,
    left: Cell<usize>,
}

const DRAWN: usize = 64;

impl RequestIds {
    pub fn new(random: Arc<dyn SecureRandom + Send + Sync>) -> Self {
        Self { random, drawn: RefCell::new([[0; 16]; DRAWN]), left: Cell::new(0) }
    }

    pub fn next(&self) -> RequestId {
        let mut drawn = self.drawn.borrow_mut();
        if self.left.get() == 0 {
            let _ = self.random.fill(drawn.as_flattened_mut());
            self.left.set(DRAWN);
        }
        let last = self.left.get() - 1;
        self.left.set(last);
        RequestId::of(drawn[last])
    }
}

impl RequestId {
    /// Never guessable: it stands in pages and logs of others. Without randomness the process has worse problems than a
    /// repeated id, so that is not an error.
    pub fn random(random: &dyn SecureRandom) -> Self {
        let mut bytes = [0; 16];
        let _ = random.fill(&mut bytes);
        Self::of(bytes)
    }

    pub fn of(bytes: [u8; 16]) -> Self {
        let mut text = *b"req_00000000000000000000000000000000";
        for (digits, byte) in text[4..].as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *digits = [byte >> 4, byte & 15].map(|nibble| b"0123456789abcdef"[usize::from(nibble)]);
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Where the door gave none.
impl Default for RequestId {
    fn default() -> Self {
        Self::of([0; 16])
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    #[test]
    fn a_request_id_has_the_documented_form() {
        let id = RequestId::random(&SystemRandom::new());
        let digits = id.as_str().strip_prefix("req_").unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{id}");
        assert_ne!(id, RequestId::random(&SystemRandom::new()));
    }

    #[test]
    fn no_id_comes_twice() {
        let ids = RequestIds::new(Arc::new(SystemRandom::new()));
        let all: std::collections::BTreeSet<String> = (0..3 * DRAWN).map(|_| ids.next().to_string()).collect();
        assert_eq!(all.len(), 3 * DRAWN);
    }
}
