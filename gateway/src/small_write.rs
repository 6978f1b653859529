//! A message in a few small pieces, such as a head and a short body, written as one: to gather some hundred bytes costs less
//! than to have the kernel do it.
//!
//! Each thread has one place to gather in, so what writes must not come back here before it has returned: below a stream that
//! gathers there is none that does.

use std::{cell::RefCell, io::IoSlice};

/// A head and a short reply. More is written piece by piece, without a copy.
const SMALL: usize = 4096;

thread_local! {
    static GATHERED: RefCell<[u8; SMALL]> = const { RefCell::new([0; SMALL]) };
}

/// What `write` returns for all pieces as one; `None` where they are no several small ones.
pub fn as_one<R>(pieces: &[IoSlice<'_>], write: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    if pieces.len() < 2 || length > SMALL {
        return None;
    }
    GATHERED.with_borrow_mut(|gathered| {
        let mut left = &mut gathered[..];
        for piece in pieces {
            let (here, rest) = left.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            left = rest;
        }
        Some(write(&gathered[..length]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_one_and_large_ones_stay() {
        let pieces = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(as_one(&pieces, <[u8]>::to_vec), Some(b"headbody".to_vec()));
        let (large, exact) = ([1; SMALL], [2; SMALL - 4]);
        assert_eq!(as_one(&[IoSlice::new(b"head"), IoSlice::new(&exact)], <[u8]>::len), Some(SMALL));
        assert_eq!(as_one(&[IoSlice::new(b"head"), IoSlice::new(&large)], <[u8]>::len), None);
        assert_eq!(as_one(&pieces[..1], <[u8]>::len), None, "one piece needs no gathering");
    }
}
