//! What an HTTP/2 client sends that asks for work and brings nothing: pings, settings, priorities, windows of a byte
//! (RFC 9113, section 10.5).
//!
//! h2 answers such frames for as long as they come and their answers are read. Here their bytes are weighed against what the
//! client has asked for and was given; whoever sends little else is cut off.

use std::time::{Duration, Instant};

/// What a client may send ahead of anything of worth: some sixty thousand pings.
const FREE: u64 = 1024 * 1024;
/// Each byte of a request or a reply makes up for so many: a delta of one word brings two windows of 13 bytes.
const WORTH: u64 = 8;
/// Pings that keep a connection alive.
const FREE_PER_SECOND: u64 = 1024;

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEAD: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;

/// Walks the frames that a client sends, wherever its bytes are cut.
#[derive(Debug)]
pub struct Chatter {
    head: [u8; HEAD],
    /// How much of `head` has come.
    known: usize,
    /// What is left of the payload under way, and whether it is a request's.
    payload: usize,
    worthy: bool,
    idle_bytes: u64,
    since: Instant,
}

impl Chatter {
    pub fn new(now: Instant) -> Self {
        Self { head: [0; HEAD], known: 0, payload: PREFACE, worthy: true, idle_bytes: 0, since: now }
    }

    /// A reply's bytes are on their way to the client.
    pub fn replied(&mut self, bytes: usize) {
        self.idle_bytes = self.idle_bytes.saturating_sub(bytes as u64 * WORTH);
    }

    pub fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = if self.payload > 0 { self.payload } else { HEAD - self.known };
            let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
            if self.payload > 0 {
                self.payload -= now.len();
                if self.worthy { self.replied(now.len()) } else { self.idle_bytes += now.len() as u64 }
            } else {
                self.head[self.known..][..now.len()].copy_from_slice(now);
                self.known += now.len();
                self.begin();
            }
            bytes = rest;
        }
    }

    /// Whether the client has been heard too often for too little.
    pub fn is_flood(&mut self, now: Instant) -> bool {
        let seconds = now.duration_since(self.since).as_secs();
        self.since += Duration::from_secs(seconds);
        self.idle_bytes = self.idle_bytes.saturating_sub(seconds * FREE_PER_SECOND);
        self.idle_bytes > FREE
    }

    /// A frame's payload, once its head is whole.
    fn begin(&mut self) {
        if self.known < HEAD {
            return;
        }
        let [a, b, c, kind, ..] = self.head;
        self.known = 0;
        self.idle_bytes += HEAD as u64;
        self.payload = u32::from_be_bytes([0, a, b, c]) as usize;
        self.worthy = matches!(kind, DATA | HEADERS | CONTINUATION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let [_, length @ ..] = (payload as u32).to_be_bytes();
        [&length[..], &[kind, 0, 0, 0, 0, 0], &vec![0xff; payload]].concat()
    }

    fn opened(now: Instant) -> Chatter {
        let mut chatter = Chatter::new(now);
        chatter.hear(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        chatter
    }

    /// How many of these frames are heard before it is a flood; `None` when that never comes.
    fn heard(sent: &[u8], replied: usize) -> Option<usize> {
        let now = Instant::now();
        let mut chatter = opened(now);
        (0..200_000).find(|_| {
            chatter.hear(sent);
            chatter.replied(replied);
            chatter.is_flood(now)
        })
    }

    #[test]
    fn frames_that_bring_nothing_are_a_flood_and_requests_and_windows_are_not() {
        let (ping, settings, window) = (frame(0x6, 8), frame(0x4, 0), frame(0x8, 4));
        assert_eq!(heard(&ping, 0), Some(FREE as usize / 17));
        assert_eq!(heard(&settings, 0), Some(FREE as usize / 9));
        assert!(heard(&frame(0x2, 5), 0).is_some() && heard(&frame(0xbe, 100), 0).is_some());
        assert!(heard(&frame(DATA, 0), 0).is_some(), "data without a byte");
        assert_eq!(heard(&frame(HEADERS, 40), 0), None);
        assert_eq!(heard(&frame(DATA, 1000), 0), None);
        assert_eq!(heard(&[window.clone(), window].concat(), 40), None, "two windows for each short delta");
    }

    #[test]
    fn what_is_heard_does_not_depend_on_where_it_is_cut() {
        let now = Instant::now();
        let bytes = [frame(HEADERS, 40), frame(0x6, 8), frame(DATA, 3), frame(0x4, 18)].concat();
        let mut whole = opened(now);
        whole.hear(&bytes);
        for size in 1..bytes.len() {
            let mut cut = opened(now);
            bytes.chunks(size).for_each(|chunk| cut.hear(chunk));
            assert_eq!((cut.idle_bytes, cut.payload, cut.known), (whole.idle_bytes, 0, 0), "pieces of {size}");
        }
    }

    #[test]
    fn a_connection_that_is_kept_alive_for_a_month_is_no_flood_and_its_age_is_no_credit() {
        let start = Instant::now();
        let mut chatter = opened(start);
        let mut now = start;
        for _ in 0..30 * 24 * 360 {
            now += Duration::from_secs(10);
            chatter.hear(&frame(0x6, 8));
            assert!(!chatter.is_flood(now));
        }
        chatter.hear(&frame(0x6, 8).repeat(2 * FREE as usize / 17));
        assert!(chatter.is_flood(now));
    }
}
