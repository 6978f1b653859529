//! Streams that end badly, clients that leave, clients that do not read.

use std::time::Duration;

use e2e::cast::{
    length::short_or_full,
    process::Process,
    provider::{Message, Reply, Shape},
};
use serde_json::json;

use crate::stage::{MODEL, Stage};

#[tokio::test]
async fn a_stream_that_the_upstream_cuts_ends_with_an_error_event() {
    let stage = Stage::new().await;
    let message = Message::new(MODEL).deltas(20);
    let frames = message.frames();
    let half = frames[6].slice(..frames[6].len() / 2);
    let rows = [
        Reply::stream(&message).cut_after(5),
        // Half a frame, and then the end of the connection.
        Reply::frames([&frames[..6], &[half]].concat()).cut_after(7),
        // A clean end of HTTP in the middle of the message.
        Reply::frames(frames[..5].to_vec()),
    ];
    for reply in rows {
        stage.provider().then(reply);
        let mut events = stage.ask(&Stage::prompt(true)).send().await.unwrap().events();
        let all = events.rest().await.unwrap();
        let last = all.last().unwrap();
        assert_eq!(last.name, "error");
        assert_eq!(last.json().unwrap()["error"]["type"], "api_error");
        assert!(all[..all.len() - 1].iter().all(|event| event.json().is_ok()), "no half frame was passed on");
    }
    let lines = stage.gateway.wait_for_audit("inference", 3).await.unwrap();
    assert!(lines.iter().all(|line| line["ending"] == "upstream_cut"), "{lines:#?}");
}

/// R16: and leaves nothing open behind it.
#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_along() {
    const WARM_UP: usize = 5;
    let stage = Stage::new().await;
    let gateway = Process(stage.gateway.pid().unwrap());
    let clients = short_or_full(40, 10_000);
    let mut open_before = 0;
    for n in 1..=clients {
        let long = Reply::stream(&Message::new(MODEL).deltas(1000)).every(Duration::from_millis(20));
        stage.provider().then(long);
        let mut events = stage.ask(&Stage::prompt(true)).send().await.unwrap().events();
        events.next().await.unwrap().unwrap();
        drop(events);
        stage.provider().wait_for_abandoned(n).await.unwrap();
        if n == WARM_UP {
            open_before = gateway.open_files().unwrap();
        }
    }
    let lines = stage.gateway.wait_for_audit("inference", clients).await.unwrap();
    assert!(lines.iter().all(|line| line["ending"] == "client_gone"));
    let open = gateway.open_files().unwrap();
    // A connection or two may be on their way out.
    assert!(open <= open_before + 4, "{open} files are open, {open_before} were after {WARM_UP} clients");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_is_noticed_too() {
    let stage = Stage::new().await;
    stage.provider().then_hang();
    let asked = stage.ask(&Stage::prompt(false)).send();
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    stage.provider().wait_for_abandoned(1).await.unwrap();
}

/// R15: clients that never read cost at most 96 KiB each, by what the last of many add to the first.
#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back_and_not_memory() {
    assert_held_back(&prompt_for(Shape::Stream { deltas: 120_000, every_ms: 0 })).await;
}

/// R15, of a reply that is no stream.
#[tokio::test]
async fn a_client_that_does_not_read_a_whole_reply_costs_no_more() {
    assert_held_back(&prompt_for(Shape::Json { bytes: 15 * 1024 * 1024 })).await;
}

async fn assert_held_back(endless: &str) {
    const FIRST: u64 = 50;
    const MORE: u64 = 200;
    let stage = Stage::new().await;
    let request = format!("{}\r\n{endless}", stage.head(&format!("content-length: {}", endless.len())));
    let mut readers = Vec::new();
    let mut before = 0;
    for n in 0..FIRST + MORE {
        if n == FIRST {
            tokio::time::sleep(Duration::from_secs(2)).await;
            before = resident(stage.gateway.pid().unwrap());
        }
        let mut raw = stage.raw().await;
        raw.send(&request).await.unwrap();
        assert_eq!(raw.head(Duration::from_secs(20)).await.unwrap().0, 200);
        readers.push(raw);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident(stage.gateway.pid().unwrap()).saturating_sub(before) / MORE;
    assert!(grown <= 96 * 1024, "{grown} bytes for each client that does not read, of a reply of 15 MiB");
    // A client that reads is served meanwhile.
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    drop(readers);
}

fn prompt_for(shape: Shape) -> String {
    let mut prompt = Stage::prompt(true);
    prompt["metadata"] = json!({"user_id": shape.order()});
    prompt["stream"] = json!(shape.is_stream());
    prompt.to_string()
}

/// In bytes.
fn resident(pid: i32) -> u64 {
    Process(pid).resident().unwrap() * 1024
}

#[tokio::test]
async fn a_reply_that_is_no_stream_and_breaks_does_not_end_cleanly() {
    let stage = Stage::new().await;
    stage
        .provider()
        .then(Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"id\":"));
    let whole = async { stage.ask(&json!({"model": MODEL})).send().await?.bytes().await };
    assert!(whole.await.is_err());
}
