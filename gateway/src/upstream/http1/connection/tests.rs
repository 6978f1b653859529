//! Over real sockets: the other side is a script.

use std::{sync::Arc, sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::*;

mod tls;

/// A connection, and its other end.
async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Connection::over(Wire::Plain(ours)), listener.accept().await.unwrap().0)
}

fn asking(body: &[u8]) -> Request<Spliced> {
    Request::post("/v1/messages").header("host", "h").body(Spliced::whole(Bytes::copy_from_slice(body))).unwrap()
}

/// Reads until that much has come.
async fn hear(other: &mut TcpStream, end: &str) {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        assert_ne!(other.read_buf(&mut heard).await.unwrap(), 0, "{:?}", String::from_utf8_lossy(&heard));
    }
}

async fn whole(received: Received) -> (String, Option<Connection>) {
    let (body, connection) = received.reply.collect(1 << 20).await;
    (String::from_utf8(body.to_vec()).unwrap(), connection)
}

#[tokio::test]
async fn one_connection_carries_reply_after_reply() {
    let (mut connection, mut other) = pair().await;
    let server = tokio::spawn(async move {
        for reply in [
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ] {
            hear(&mut other, "ask").await;
            for byte in reply.bytes() {
                other.write_all(&[byte]).await.unwrap();
            }
        }
        other
    });
    for expected in ["one", "two", ""] {
        assert!(connection.is_open());
        let received = connection.send(asking(b"ask")).await.unwrap();
        assert!(received.status.is_success());
        let (body, kept) = whole(received).await;
        assert_eq!(body, expected);
        connection = kept.expect("it is kept");
    }
    drop(server.await.unwrap());
    while connection.is_open() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(connection.send(asking(b"ask")).await, Err(SendError::Stale)));
}

#[tokio::test]
async fn what_came_unasked_ends_a_connection() {
    for (reply, kept) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", false),
    ] {
        let (connection, mut other) = pair().await;
        other.write_all(reply.as_bytes()).await.unwrap();
        let (body, connection) = whole(connection.send(asking(b"ask")).await.unwrap()).await;
        assert_eq!((body.as_str(), connection.is_some()), ("a", kept), "{reply}");
    }
    let (connection, mut other) = pair().await;
    other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na").await.unwrap();
    let (_, connection) = whole(connection.send(asking(b"ask")).await.unwrap()).await;
    other.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    while connection.as_ref().unwrap().is_open() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_end_within_a_reply_is_told_from_its_end() {
    let cases = [
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", Taken::Last(Bytes::from_static(b"until the end"))),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", Taken::Broken(Bytes::from_static(b"short"))),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
            Taken::Broken(Bytes::from_static(b"short")),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshortX",
            Taken::Broken(Bytes::from_static(b"short")),
        ),
    ];
    for (text, expected) in cases {
        let (connection, mut other) = pair().await;
        other.write_all(text.as_bytes()).await.unwrap();
        drop(other.into_std().map(|other| other.shutdown(std::net::Shutdown::Write).map(|()| other)));
        let mut reply = connection.send(asking(b"ask")).await.unwrap().reply;
        let mut content = Vec::new();
        let end = loop {
            match poll_fn(|cx| reply.poll_take(cx)).await {
                Taken::Some(piece) => content.extend_from_slice(&piece),
                end => break end,
            }
        };
        let with = |last: Bytes| Bytes::from([&content[..], &last].concat());
        let end = match end {
            Taken::Some(last) => Taken::Some(with(last)),
            Taken::Last(last) => Taken::Last(with(last)),
            Taken::Broken(last) => Taken::Broken(with(last)),
        };
        assert_eq!(end, expected, "{text}");
        assert!(reply.into_connection().is_none());
    }
}

#[tokio::test]
async fn only_a_kept_connection_that_says_nothing_is_stale() {
    for (first, then, expected) in [
        (None, "", "without an answer"),
        (None, "HTTP/1.1 200", "within its response head"),
        (None, "nonsense\r\n", "not HTTP/1.1"),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), "", "kept connection"),
        (
            Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "kept connection",
        ),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n", "without an answer"),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), "HTTP/1.1 200", "within its response head"),
    ] {
        let (mut connection, mut other) = pair().await;
        if let Some(first) = first {
            other.write_all(first.as_bytes()).await.unwrap();
            connection = whole(connection.send(asking(b"ask")).await.unwrap()).await.1.unwrap();
            hear(&mut other, "ask").await;
        }
        let server = tokio::spawn(async move {
            hear(&mut other, "ask").await;
            other.write_all(then.as_bytes()).await.unwrap();
        });
        let error = connection.send(asking(b"ask")).await.err().expect("no answer").to_string();
        server.await.unwrap();
        assert!(error.contains(expected), "{then}: {error}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_ends_late_may_have_been_at_work() {
    let (mut connection, mut other) = pair().await;
    other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    connection = whole(connection.send(asking(b"ask")).await.unwrap()).await.1.unwrap();
    hear(&mut other, "ask").await;
    let server = tokio::spawn(async move {
        hear(&mut other, "ask").await;
        sleep(AGE).await;
    });
    assert!(matches!(connection.send(asking(b"ask")).await, Err(SendError::Closed)));
    server.await.unwrap();
}

/// Larger than all buffers of the two sockets.
const LARGE: usize = 32 << 20;

#[tokio::test]
async fn a_large_request_goes_whole_and_says_so_only_then() {
    let (connection, mut other) = pair().await;
    let sent = Arc::<AtomicBool>::default();
    let body = Bytes::from(vec![b'x'; LARGE]);
    let body = Spliced::replacing(&body, 5..6, Bytes::from_static(b"model")).saying_when_sent(sent.clone());
    let request = Request::post("/").header("host", "h").body(body).unwrap();
    let whole_length = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", LARGE + 4).len() + LARGE + 4;
    let was_sent = sent.clone();
    let server = tokio::spawn(async move {
        sleep(Duration::from_millis(100)).await;
        assert!(!was_sent.load(Ordering::Relaxed));
        let (mut heard, mut piece) = (0, vec![0; 1 << 20]);
        while heard < whole_length {
            heard += other.read(&mut piece).await.unwrap();
        }
        other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        other
    });
    let (body, connection) = whole(connection.send(request).await.unwrap()).await;
    assert!(body == "ok" && connection.is_some() && sent.load(Ordering::Relaxed));
    server.await.unwrap();
}

#[tokio::test]
async fn an_answer_to_half_a_request_is_heard_and_is_the_last_of_its_connection() {
    for closes in [false, true] {
        let (connection, mut other) = pair().await;
        let server = tokio::spawn(async move {
            let mut some = [0; 1000];
            other.read_exact(&mut some).await.unwrap();
            other.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nmuch").await.unwrap();
            if closes {
                // With what it has not read in its buffer, its end is a reset, which the answer may or may not outrun.
                let mut rest = vec![0; 1 << 20];
                other.shutdown().await.unwrap();
                while other.read(&mut rest).await.is_ok_and(|length| length > 0) {}
            }
            other
        });
        let received = connection.send(asking(&vec![b'x'; LARGE])).await.unwrap();
        assert_eq!(received.status, StatusCode::PAYLOAD_TOO_LARGE);
        let (body, connection) = whole(received).await;
        assert_eq!((body.as_str(), connection.is_some()), ("much", false));
        server.await.unwrap();
    }
}

/// The upstream speaks first and hears the rest only while it speaks.
#[tokio::test]
async fn a_request_goes_on_while_its_reply_comes() {
    let (connection, mut other) = pair().await;
    let server = tokio::spawn(async move {
        let mut some = [0; 1000];
        other.read_exact(&mut some).await.unwrap();
        other.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await.unwrap();
        let head = "POST /v1/messages HTTP/1.1\r\nhost: h\r\ncontent-length: 33554432\r\n\r\n".len();
        let (mut left, mut piece) = (head + LARGE - some.len(), vec![0; 1 << 20]);
        while left > 0 {
            left -= other.read(&mut piece).await.unwrap();
        }
        other.write_all(b"1\r\nb\r\n0\r\n\r\n").await.unwrap();
        other
    });
    let (body, connection) = whole(connection.send(asking(&vec![b'x'; LARGE])).await.unwrap()).await;
    assert_eq!((body.as_str(), connection.is_some()), ("ab", true));
    server.await.unwrap();
}
