//! P6: bodies that are too large, too deep, too odd, or small only until somebody inflates them.

use std::time::Duration;

use e2e::cast::{client::Response, length::short_or_full, node, process::Process};

use crate::stage::{MODEL, Stage};

const PATIENCE: Duration = Duration::from_secs(120);
const MIB: usize = 1 << 20;
/// What each bomb holds.
const INFLATED: usize = 256 * MIB;

/// P6
#[tokio::test]
async fn a_body_over_the_cap_is_413_before_it_is_read() {
    let stage = Stage::new().await;
    for length in [33 * MIB, 1 << 30] {
        let mut raw = stage.raw().await;
        raw.send(format!("{}\r\n", stage.head(&format!("content-length: {length}")))).await.unwrap();
        let (status, head) = raw.head(PATIENCE).await.unwrap();
        assert_eq!(status, 413, "{head}");
    }
    let chunked = stage.head("transfer-encoding: chunked");
    let mut raw = stage.raw().await;
    raw.send(format!("{chunked}\r\n")).await.unwrap();
    let chunk = format!("{MIB:x}\r\n{}\r\n", "x".repeat(MIB));
    for _ in 0..34 {
        if raw.send(&chunk).await.is_err() {
            break;
        }
    }
    assert_eq!(raw.head(PATIENCE).await.unwrap().0, 413);
    assert!(stage.provider().requests().is_empty());
}

async fn post(stage: &Stage, body: impl Into<Vec<u8>>) -> Response {
    stage.client.post("/v1/messages").body("application/json", body.into()).send().await.unwrap()
}

/// P6
#[tokio::test]
async fn strange_json_gets_a_verdict() {
    let stage = Stage::new().await;
    let deep = |levels: usize| format!("{{\"model\":\"{MODEL}\",\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let keys: String = (0..1_000_000).map(|n| format!("\"k{n}\":1,")).collect();
    // What passes is the provider's to judge.
    let passing = [
        deep(900),
        format!("{{{keys}\"model\":\"{MODEL}\"}}"),
        format!("{{\"k\":1,\"k\":2,\"model\":\"{MODEL}\",\"k\":3}}"),
        format!("{{\"n\":{},\"model\":\"{MODEL}\"}}", "9".repeat(4300)),
        format!("{{\"n\":-0.{}e-{},\"model\":\"{MODEL}\"}}", "9".repeat(4300), "9".repeat(4300)),
        format!("{{\"s\":\"\\ud800\",\"\\udfff\":\"\\udfff\\ud800\",\"model\":\"{MODEL}\"}}"),
        format!("{{\"s\":\"\\u0000\",\"model\":\"{MODEL}\"}}"),
    ];
    for body in passing {
        post(&stage, body.clone()).await;
        assert_eq!(stage.provider().take_requests()[0].body, body.as_bytes());
    }
    let refused = [
        deep(10_000),
        deep(100_000),
        "[".repeat(MIB),
        format!("\u{feff}{{\"model\":\"{MODEL}\"}}"),
        format!("{{\"model\":\"{MODEL}\"}}\0"),
        format!("{{\"model\":\"{MODEL}\0\"}}"),
        format!("{{\"model\":\"{MODEL}\",\"n\":{}x}}", "9".repeat(4300)),
        format!("{{\"model\":{}}}", "9".repeat(4300)),
        "{\"model\":\"\\ud800\"}".to_owned(),
        "{\"model\":\"\\u0000\"}".to_owned(),
    ];
    for body in refused {
        assert_eq!(post(&stage, body.clone()).await.status, 400, "{:.60}", body);
    }
    assert!(stage.provider().requests().is_empty());
}

/// P6
#[tokio::test]
async fn a_body_in_chunks_of_one_byte_passes() {
    let stage = Stage::new().await;
    let padding = " ".repeat(short_or_full(100_000, 10_000_000));
    let body = format!("{{{padding}\"model\":\"{MODEL}\"}}");
    let pieces: String = body.as_bytes().iter().map(|byte| format!("1\r\n{}\r\n", *byte as char)).collect();
    let mut raw = stage.raw().await;
    let head = format!("{}\r\n", stage.head("transfer-encoding: chunked"));
    raw.send(head).await.unwrap();
    raw.send(format!("{pieces}0\r\n\r\n")).await.unwrap();
    assert_eq!(raw.head(PATIENCE).await.unwrap().0, 200);
    assert!(stage.provider().requests()[0].body == body.as_bytes());
}

/// A request that would pass if somebody inflated it, and it would be large then.
async fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let mut bombs = vec![("zstd", zstd())];
    for encoding in ["gzip", "deflate", "br"] {
        bombs.push((encoding, node::compressed(encoding, &ends(), INFLATED).await.unwrap()));
    }
    for (encoding, bomb) in &bombs {
        assert!(bomb.len() * 500 < INFLATED, "{encoding}: {} bytes", bomb.len());
    }
    bombs
}

/// What stands before the blanks, and behind.
fn ends() -> (String, &'static str) {
    (format!("{{\"model\":\"{MODEL}\","), "\"messages\":[]}")
}

/// By hand (RFC 8878, section 3.1.1): a block that repeats one byte costs four.
fn zstd() -> Vec<u8> {
    const RAW: u32 = 0;
    const REPEATED: u32 = 1;
    const LARGEST: usize = 128 * 1024;
    let block = |kind: u32, size: usize, last: bool| {
        let head = u32::from(last) | kind << 1 | (size as u32) << 3;
        head.to_le_bytes()[..3].to_vec()
    };
    let (before, behind) = ends();
    // The magic number, no content size, and a window of the largest block.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    bomb.extend([block(RAW, before.len(), false), before.into_bytes()].concat());
    for _ in 0..INFLATED / LARGEST {
        bomb.extend([block(REPEATED, LARGEST, false), vec![b' ']].concat());
    }
    bomb.extend([block(RAW, behind.len(), true), behind.as_bytes().to_vec()].concat());
    bomb
}

/// P6
#[tokio::test]
async fn a_compressed_body_is_taken_as_it_is_and_never_inflated() {
    let stage = Stage::new().await;
    let process = Process(stage.gateway.pid().unwrap());
    let before = process.resident().unwrap();
    process.forget_peak().unwrap();
    let bombs = bombs().await;
    for (encoding, bomb) in &bombs {
        for path in ["/v1/messages", "/v1/messages/count_tokens"] {
            let ask = stage.client.post(path).header("content-encoding", encoding);
            let answer = ask.body("application/json", bomb.clone()).send().await.unwrap();
            let status = answer.status;
            let said = answer.text().await.unwrap();
            assert!(status == 400 && said.contains("invalid JSON"), "{path}, {encoding}: {status} {said}");
        }
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/device_authorization", "/device", "/device/deny"] {
            let form = "application/x-www-form-urlencoded";
            let ask =
                stage.client.post(path).header("content-encoding", encoding).header("sec-fetch-site", "same-origin");
            // Forms are bounded far below the others, and some bombs are too large for one even so.
            let status = ask.body(form, bomb.clone()).send().await.unwrap().status;
            let expected: &[u16] = match path {
                // It may be empty, and parameters that nobody knows are ignored.
                "/oauth/device_authorization" => &[200, 413],
                "/device" | "/device/deny" => &[200, 400, 413],
                _ => &[400, 413],
            };
            assert!(expected.contains(&status), "{path}, {encoding}: {status}");
        }
    }
    assert!(stage.provider().requests().is_empty());
    let grown = process.peak().unwrap().saturating_sub(before) as usize * 1024;
    assert!(grown < INFLATED / 4, "{grown} bytes more, where {INFLATED} are in each bomb");
}

/// The word alone changes nothing: the body is judged by its bytes, and the provider is not told it either.
#[tokio::test]
async fn a_body_that_only_claims_to_be_compressed_passes() {
    let stage = Stage::new().await;
    let ask = stage.ask(&Stage::prompt(false)).header("content-encoding", "gzip");
    assert_eq!(ask.send().await.unwrap().status, 200);
    assert_eq!(stage.provider().requests()[0].header("content-encoding"), None);
}
