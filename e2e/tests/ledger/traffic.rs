//! Clients that know what each of their replies costs, and how much of it they received.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use e2e::cast::{
    client::{Client, Response},
    people::People,
    provider::Shape,
    stage::MODEL,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    fleet::{Fleet, PERSON},
    told::{Tokens, Told},
};

const CLIENTS: u64 = 12;
/// Every other reply is one of these people's; the others have a person each, so that every reply can be told from all others.
const SHARED: u64 = 3;

pub(crate) struct Traffic {
    going: Arc<AtomicBool>,
    clients: JoinSet<Vec<Reply>>,
}

/// One reply, as far as its client received it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    subject: String,
    whole: Tokens,
    seen: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Another status than 200: nobody asked the provider.
    Refused,
    /// No usage at all.
    Nothing,
    /// What a stream says first.
    Input,
    /// The last usage frame.
    All,
}

impl Traffic {
    pub(crate) fn begin(fleet: &Fleet) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let numbers = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for first in 0..CLIENTS {
            let (going, numbers, pods, people) =
                (going.clone(), numbers.clone(), fleet.clients(), fleet.people.clone());
            clients.spawn(async move {
                let (mut replies, mut turn) = (Vec::new(), first);
                while going.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                    replies.push(ask(&pods[turn as usize % pods.len()], &people, number).await);
                    if replies.last().is_some_and(|reply| reply.seen == Seen::Nothing) {
                        // Whoever is not there is not asked again at once.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                replies
            });
        }
        Self { going, clients }
    }

    pub(crate) async fn end(self) -> Vec<Reply> {
        self.going.store(false, Ordering::Relaxed);
        self.clients.join_all().await.concat()
    }
}

/// Streams, slow and at once, and whole replies, each of a cost of its own.
async fn ask(pod: &Client, people: &People, number: u64) -> Reply {
    let (input, output) = (1_000 + 7 * number, 50 + number);
    let (deltas, every_ms) = match number % 5 {
        0 => (10, None),
        1 => (40, Some(25)),
        _ => (10, Some(number % 3)),
    };
    let shape = Shape::Counted { input, output, deltas, every_ms };
    let subject = match number % 2 {
        0 => format!("{PERSON}{number}"),
        _ => format!("{PERSON}shared-{}", number % SHARED),
    };
    let body = json!({
        "model": MODEL, "metadata": {"user_id": shape.order()}, "stream": every_ms.is_some(), "max_tokens": 64,
        "messages": [{"role": "user", "content": "hello"}],
    });
    let request = pod.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
    let seen = match request.bearer(&people.bearer(&subject)).send().await {
        Err(_) => Seen::Nothing,
        Ok(response) if response.status != 200 => Seen::Refused,
        Ok(response) if every_ms.is_some() => seen_of_stream(response).await,
        Ok(response) => response.json::<Value>().await.map_or(Seen::Nothing, |_| Seen::All),
    };
    let whole = Tokens { requests: 1, input: i64::try_from(input).unwrap(), output: i64::try_from(output).unwrap() };
    Reply { subject, whole, seen }
}

async fn seen_of_stream(response: Response) -> Seen {
    let (mut events, mut seen) = (response.events(), Seen::Nothing);
    while let Ok(Some(event)) = events.next().await {
        match event.name.as_str() {
            "message_start" => seen = Seen::Input,
            "message_delta" => seen = Seen::All,
            _ => {}
        }
    }
    seen
}

impl Reply {
    pub(crate) fn is_whole(&self) -> bool {
        self.seen == Seen::All
    }

    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.seen, Seen::Nothing | Seen::Input)
    }

    /// What it may have been counted as, from the least to the most.
    fn possible(&self) -> Vec<Tokens> {
        let (none, began) = (Tokens::default(), Tokens { output: 1, ..self.whole });
        match self.seen {
            Seen::Refused => vec![none],
            Seen::Nothing => vec![none, began, self.whole],
            Seen::Input => vec![began, self.whole],
            Seen::All => vec![self.whole],
        }
    }
}

/// What of the rows is not as the replies say.
pub(crate) fn mistakes(replies: &[Reply], told: &Told) -> Vec<String> {
    let mut by_person: BTreeMap<&str, Vec<&Reply>> = BTreeMap::new();
    for reply in replies {
        by_person.entry(&reply.subject).or_default().push(reply);
    }
    let mut mistakes: Vec<String> = told
        .people()
        .filter(|person| !by_person.contains_key(person))
        .map(|person| format!("who is {person}?"))
        .collect();
    for (person, replies) in by_person {
        let counted = told.of(person);
        let is_right = match replies.as_slice() {
            [one] => one.possible().contains(&counted),
            many => is_between(many, counted),
        };
        if !is_right {
            mistakes.push(format!("{person}: {counted:?} for {replies:?}"));
        }
    }
    mistakes
}

fn is_between(replies: &[&Reply], counted: Tokens) -> bool {
    let sum = |part: fn(&Tokens) -> i64, of: fn(Vec<Tokens>) -> Option<Tokens>| -> i64 {
        replies.iter().filter_map(|reply| of(reply.possible())).map(|tokens| part(&tokens)).sum()
    };
    let least = |possible: Vec<Tokens>| possible.first().copied();
    let most = |possible: Vec<Tokens>| possible.last().copied();
    let parts: [fn(&Tokens) -> i64; 3] = [|tokens| tokens.requests, |tokens| tokens.input, |tokens| tokens.output];
    parts.into_iter().all(|part| (sum(part, least)..=sum(part, most)).contains(&part(&counted)))
}
