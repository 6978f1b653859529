//! Streams that end badly, clients that leave, clients that do not read.

use std::time::Duration;

use e2e::cast::provider::{Message, Reply};
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

/// R16
#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_along() {
    let stage = Stage::new().await;
    for n in 1..=20 {
        let long = Reply::stream(&Message::new(MODEL).deltas(1000)).every(Duration::from_millis(20));
        stage.provider().then(long);
        let mut events = stage.ask(&Stage::prompt(true)).send().await.unwrap().events();
        events.next().await.unwrap().unwrap();
        drop(events);
        stage.provider().wait_for_abandoned(n).await.unwrap();
    }
    let lines = stage.gateway.wait_for_audit("inference", 20).await.unwrap();
    assert!(lines.iter().all(|line| line["ending"] == "client_gone"), "{lines:#?}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_is_noticed_too() {
    let stage = Stage::new().await;
    stage.provider().then_hang();
    let asked = stage.ask(&Stage::prompt(false)).send();
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    stage.provider().wait_for_abandoned(1).await.unwrap();
}

/// R15
#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back_and_not_memory() {
    let stage = Stage::new().await;
    let piece = "x".repeat(8 * 1024);
    let mut message = Message::new(MODEL);
    for _ in 0..4000 {
        message = message.text(&piece);
    }
    let before = resident(stage.gateway.pid().unwrap());
    const CLIENTS: usize = 100;
    let mut readers = Vec::new();
    for _ in 0..CLIENTS {
        stage.provider().then_stream(&message);
        let mut raw = stage.raw().await;
        let body = Stage::prompt(true).to_string();
        raw.send(format!("{}\r\n{body}", stage.head(&format!("content-length: {}", body.len())))).await.unwrap();
        raw.head(Duration::from_secs(20)).await.unwrap();
        readers.push(raw);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident(stage.gateway.pid().unwrap()).saturating_sub(before) / CLIENTS as u64;
    assert!(grown < 1024 * 1024, "{grown} bytes for each client that does not read, of a reply of 32 MiB");
    // A client that reads is served meanwhile.
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    drop(readers);
}

fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
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
