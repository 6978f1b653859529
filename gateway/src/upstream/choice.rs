//! In which order upstreams are tried: a pure rule.
//!
//! Lower priority first. Among equals, weighted rendezvous hashing on the session's key: each pod comes to the same order
//! without talking to another, so a session stays where its prompt cache is. Who is closed by health comes last, in the same
//! order.

use aws_lc_rs::digest::{SHA256, digest};

use super::health::Verdict;

/// One upstream that serves the model.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub name: &'a str,
    pub priority: u32,
    pub weight: u32,
    pub verdict: Verdict,
}

/// Positions in `candidates`, best first.
pub fn in_order(candidates: &[Candidate<'_>], session_key: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    if candidates.len() > 1 {
        let scores: Vec<f64> = candidates.iter().map(|candidate| score(candidate, session_key)).collect();
        order.sort_by(|a, b| {
            let closed = |n: &usize| candidates[*n].verdict == Verdict::Closed;
            closed(a)
                .cmp(&closed(b))
                .then(candidates[*a].priority.cmp(&candidates[*b].priority))
                .then_with(|| scores[*b].total_cmp(&scores[*a]))
        });
    }
    order
}

/// The larger the weight, the likelier the highest score (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables").
fn score(candidate: &Candidate<'_>, session_key: &str) -> f64 {
    // 53 bits fit a double exactly; the half keeps the logarithm finite.
    let unit = ((hash(candidate.name, session_key) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(candidate.weight) / unit.ln()
}

/// The beginning of SHA-256: pods of two versions must agree, and the standard library's hash may change between them.
fn hash(name: &str, session_key: &str) -> u64 {
    let digest = digest(&SHA256, &[name.as_bytes(), b"\0", session_key.as_bytes()].concat());
    digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, priority: u32, weight: u32) -> Candidate<'_> {
        Candidate { name, priority, weight, verdict: Verdict::Well }
    }

    #[test]
    fn priority_decides_and_health_overrides_it() {
        let mut all = [candidate("a", 0, 1), candidate("b", 1, 1), candidate("c", 2, 1)];
        assert_eq!(in_order(&all, "s"), [0, 1, 2]);
        all[0].verdict = Verdict::Closed;
        assert_eq!(in_order(&all, "s"), [1, 2, 0]);
        all[1].verdict = Verdict::Closed;
        all[2].verdict = Verdict::Closed;
        assert_eq!(in_order(&all, "s"), [0, 1, 2], "all closed: in order all the same");
    }

    #[test]
    fn equals_share_by_weight_and_a_session_stays() {
        let all = [candidate("a", 0, 3), candidate("b", 0, 1)];
        let firsts = (0..4000).filter(|n| in_order(&all, &n.to_string())[0] == 0).count();
        assert!((2800..3200).contains(&firsts), "{firsts} of 4000 for three quarters");
        assert!((0..100).all(|_| in_order(&all, "same") == in_order(&all, "same")));
    }

    #[test]
    fn every_build_comes_to_the_same_order() {
        // As `printf 'one\0session-1' | sha256sum` has it.
        assert_eq!(hash("one", "session-1"), 0xc132_4067_452a_297b);
        assert_eq!(hash("two", "session-1"), 0x6b3d_67a6_96f5_0105);
    }
}
