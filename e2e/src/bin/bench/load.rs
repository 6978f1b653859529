//! Load: so many connections, each asking again as soon as it has its answer, for a time or a number of replies.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Result;
use e2e::cast::provider::Shape;
use serde_json::json;
use tokio::{
    task::LocalSet,
    time::{sleep, timeout},
};

use crate::{contestant::Contestant, wire::Wire};

/// No reply takes longer; a hang is an error.
const PATIENCE: Duration = Duration::from_secs(60);
/// Over which slow streams start.
const RAMP: Duration = Duration::from_secs(1);
/// A broken contestant must not spin.
const MAX_ERRORS: usize = 20;

#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Bytes of the request's body.
    pub(crate) body: usize,
    pub(crate) connections: usize,
    pub(crate) bound: Bound,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    For(Duration),
    /// On each connection.
    Replies(usize),
}

/// What one turn showed.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) replies: usize,
    pub(crate) elapsed: Duration,
    pub(crate) cpu_seconds: f64,
    /// Sorted.
    pub(crate) first_bytes: Vec<Duration>,
    pub(crate) errors: Vec<String>,
}

/// Connections open, caches warm, code paged in; none of it is counted.
pub(crate) async fn warm_up(contestant: &Contestant, cell: &Cell) {
    if let Bound::For(turn) = cell.bound {
        run(contestant, &Cell { bound: Bound::For(turn / 8), ..cell.clone() }).await;
    }
}

pub(crate) async fn run(contestant: &Contestant, cell: &Cell) -> Sample {
    let request: Rc<[u8]> = request(contestant, cell).into();
    let expected: Rc<[u8]> = expected(cell.shape).into();
    let (started, cpu) = (Instant::now(), contestant.process.map(|process| process.cpu_seconds()));
    let local = LocalSet::new();
    let visitors: Vec<_> = (0..cell.connections)
        .map(|place| {
            let (contestant, bound, connections) = (contestant.clone(), cell.bound, cell.connections);
            let (request, expected) = (request.clone(), expected.clone());
            local.spawn_local(async move {
                if let Bound::Replies(_) = bound {
                    // People do not start in the same millisecond: that would measure a storm of connections.
                    sleep(RAMP.mul_f64(place as f64 / connections as f64)).await;
                }
                visit(&contestant, bound, &request, &expected).await
            })
        })
        .collect();
    local.await;
    let mut sample = Sample { elapsed: started.elapsed(), ..Sample::default() };
    for visitor in visitors {
        let Ok(seen) = visitor.await else { continue };
        sample.replies += seen.replies;
        sample.first_bytes.extend(seen.first_bytes);
        sample.errors.extend(seen.errors);
    }
    sample.first_bytes.sort();
    let spent = contestant.process.map(|process| process.cpu_seconds());
    sample.cpu_seconds = spent.zip(cpu).map_or(f64::NAN, |(after, before)| after - before);
    sample
}

/// One connection's life.
async fn visit(contestant: &Contestant, bound: Bound, request: &[u8], expected: &[u8]) -> Sample {
    let (mut sample, started) = (Sample::default(), Instant::now());
    let mut wire = None;
    let more = |sample: &Sample| match bound {
        Bound::For(turn) => started.elapsed() < turn,
        Bound::Replies(replies) => sample.replies + sample.errors.len() < replies,
    };
    while more(&sample) && sample.errors.len() < MAX_ERRORS {
        match timeout(PATIENCE, once(contestant, &mut wire, request, expected)).await {
            Ok(Ok(first_byte)) => {
                sample.replies += 1;
                sample.first_bytes.push(first_byte);
            }
            Ok(Err(error)) => {
                wire = None;
                sample.errors.push(format!("{error:#}"));
            }
            Err(_) => {
                wire = None;
                sample.errors.push("no end of a reply in 60 s".to_owned());
            }
        }
    }
    sample
}

async fn once(contestant: &Contestant, wire: &mut Option<Wire>, request: &[u8], expected: &[u8]) -> Result<Duration> {
    let wire = match wire {
        Some(wire) => wire,
        None => wire.insert(Wire::to(contestant).await?),
    };
    let asked = Instant::now();
    Ok(wire.exchange(request, expected).await? - asked)
}

pub(crate) fn request(contestant: &Contestant, cell: &Cell) -> Vec<u8> {
    let stream = cell.shape.is_stream();
    let body = |text: &str| {
        json!({
            "model": "claude-sonnet-4-5", "max_tokens": 1024, "metadata": {"user_id": cell.shape.order()}, "stream": stream,
            "messages": [{"role": "user", "content": text}],
        })
        .to_string()
    };
    let empty = body("").len();
    let body = body(&"a".repeat(cell.body.saturating_sub(empty)));
    let head = format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: localhost:{}\r\n{}\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\nanthropic-beta: claude-code-20250219\r\nuser-agent: bench\r\naccept: */*\r\n\
         content-length: {}\r\n\r\n",
        contestant.address.port(),
        contestant.credential,
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

pub(crate) fn expected(shape: Shape) -> Vec<u8> {
    match shape.is_stream() {
        true => shape.message().frames().concat(),
        false => shape.message().json().to_string().into_bytes(),
    }
}
