//! People at work: short requests at a steady pace, and streams that never stop coming; every byte of every reply is compared.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::interval};

use super::{
    client::{Client, Events},
    provider::Shape,
    stage::MODEL,
};

const SHORT: Shape = Shape::Json { bytes: 64 };

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Who ask short questions, each of them once in every pause.
    pub asking: usize,
    pub pause: Duration,
    /// At once, each begun as another ends.
    pub streams: usize,
    pub stream: Shape,
}

/// Goes on until it is ended.
pub struct Load {
    work: Arc<Work>,
    clients: JoinSet<()>,
}

/// What was asked, and what went wrong.
#[derive(Debug)]
pub struct Tally {
    pub requests: usize,
    pub streams: usize,
    pub failures: Vec<String>,
}

struct Work {
    client: Client,
    pace: Pace,
    begun: Instant,
    over: AtomicBool,
    /// Whoever has asked so often may stop when it is over.
    enough: [AtomicUsize; 2],
    requests: AtomicUsize,
    streams: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    pub fn begin(client: Client, pace: Pace) -> Self {
        let work = Arc::new(Work {
            client,
            pace,
            begun: Instant::now(),
            over: AtomicBool::new(false),
            enough: [const { AtomicUsize::new(0) }; 2],
            requests: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            failures: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for _ in 0..pace.asking {
            clients.spawn(work.clone().ask_on());
        }
        for _ in 0..pace.streams {
            clients.spawn(work.clone().stream_on());
        }
        Self { work, clients }
    }

    /// What went wrong so far.
    pub fn failures(&self) -> Vec<String> {
        self.work.failures().clone()
    }

    /// Lets everybody finish what was begun.
    pub async fn end(self) -> Tally {
        self.end_after(0, 0).await
    }

    /// As [`end`](Self::end), but not before there were so many of each.
    pub async fn end_after(self, requests: usize, streams: usize) -> Tally {
        let [enough_requests, enough_streams] = &self.work.enough;
        enough_requests.store(requests, Ordering::Relaxed);
        enough_streams.store(streams, Ordering::Relaxed);
        self.work.over.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        Tally {
            requests: self.work.requests.load(Ordering::Relaxed),
            streams: self.work.streams.load(Ordering::Relaxed),
            failures: self.work.failures().clone(),
        }
    }
}

impl Tally {
    /// Says the first of what went wrong.
    pub fn expect_none_failed(&self) {
        let failures = &self.failures;
        assert!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(20)]);
    }
}

impl Work {
    async fn ask_on(self: Arc<Self>) {
        let mut pace = interval(self.pace.pause);
        while !self.over.load(Ordering::Relaxed)
            || self.requests.load(Ordering::Relaxed) < self.enough[0].load(Ordering::Relaxed)
        {
            pace.tick().await;
            let outcome = self.ask().await;
            self.count(&self.requests, "a request", outcome);
        }
    }

    async fn stream_on(self: Arc<Self>) {
        while !self.over.load(Ordering::Relaxed)
            || self.streams.load(Ordering::Relaxed) < self.enough[1].load(Ordering::Relaxed)
        {
            let outcome = self.stream().await;
            self.count(&self.streams, "a stream", outcome);
        }
    }

    fn count(&self, count: &AtomicUsize, what: &str, outcome: Result<()>) {
        count.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = outcome {
            self.failures().push(format!("{:.1?} on, {what}: {error:#}", self.begun.elapsed()));
        }
    }

    async fn ask(&self) -> Result<()> {
        let answer = self.client.post("/v1/messages").json(&order(SHORT, false)).send().await?;
        let (status, said) = (answer.status, answer.text().await?);
        ensure!(status == 200, "{status} {said}");
        ensure!(serde_json::from_str::<Value>(&said)? == SHORT.message().json(), "another answer: {said}");
        Ok(())
    }

    async fn stream(&self) -> Result<()> {
        let stream = begin_stream(&self.client, self.pace.stream).await?;
        to_the_last_byte(stream, self.pace.stream).await
    }

    fn failures(&self) -> MutexGuard<'_, Vec<String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream of this shape, whose head has come.
pub async fn begin_stream(client: &Client, shape: Shape) -> Result<Events> {
    let answer = client.post("/v1/messages").json(&order(shape, true)).send().await?;
    ensure!(answer.status == 200, "{}", answer.status);
    Ok(answer.events())
}

/// An error if it breaks off, or if it is not the provider's own bytes.
pub async fn to_the_last_byte(mut stream: Events, shape: Shape) -> Result<()> {
    stream.rest().await?;
    let expected = shape.message().frames().concat();
    ensure!(stream.seen() == expected, "{} bytes of {}", stream.seen().len(), expected.len());
    Ok(())
}

fn order(shape: Shape, stream: bool) -> Value {
    json!({"model": MODEL, "metadata": {"user_id": shape.order()}, "stream": stream, "max_tokens": 9, "messages": []})
}
