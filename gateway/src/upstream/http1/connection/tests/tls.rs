//! What TLS adds: an end of its own, and buffers of its own.

use e2e::cast::certificate::{Authority, client_config};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

type Peer = tokio_rustls::server::TlsStream<TcpStream>;

/// A connection over TLS, and its other end.
async fn tls_pair() -> (Connection, Peer) {
    let authority = Authority::new().unwrap();
    let (client, server) =
        (client_config(authority.pem()).unwrap(), authority.loopback_leaf().unwrap().server_config().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let (ours, theirs) = tokio::join!(
        TlsConnector::from(client).connect("localhost".try_into().unwrap(), ours),
        TlsAcceptor::from(server).accept(theirs)
    );
    (Connection::over(Wire::Tls(Box::new(ours.unwrap()))), theirs.unwrap())
}

#[tokio::test]
async fn a_tls_connection_that_ended_with_its_reply_is_not_open() {
    for ends in [false, true] {
        let (connection, mut other) = tls_pair().await;
        other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na").await.unwrap();
        other.flush().await.unwrap();
        if ends {
            // TLS's end alone, as a proxy sends it that closes its socket later.
            other.get_mut().1.send_close_notify();
            other.flush().await.unwrap();
        }
        sleep(Duration::from_millis(100)).await;
        let (body, connection) = whole(connection.send(asking(b"ask")).await.unwrap()).await;
        assert_eq!((body.as_str(), connection.unwrap().is_open()), ("a", !ends));
    }
}

#[tokio::test]
async fn a_body_until_the_end_is_whole_only_where_tls_says_so() {
    for says_so in [true, false] {
        let (connection, mut other) = tls_pair().await;
        other.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").await.unwrap();
        other.flush().await.unwrap();
        match says_so {
            true => other.shutdown().await.unwrap(),
            false => other.get_mut().0.shutdown().await.unwrap(),
        }
        let (body, _) = whole(connection.send(asking(b"ask")).await.unwrap()).await;
        assert_eq!(body, if says_so { "until the end" } else { "" });
    }
}

#[tokio::test]
async fn a_large_request_goes_whole_over_tls() {
    let (connection, mut other) = tls_pair().await;
    let sent = Arc::<AtomicBool>::default();
    let body = Spliced::whole(Bytes::from(vec![b'x'; LARGE])).saying_when_sent(sent.clone());
    let request = Request::post("/").header("host", "h").body(body).unwrap();
    let mut left = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {LARGE}\r\n\r\n").len() + LARGE;
    let was_sent = sent.clone();
    let server = tokio::spawn(async move {
        sleep(Duration::from_millis(100)).await;
        assert!(!was_sent.load(Ordering::Relaxed));
        let mut piece = vec![0; 1 << 20];
        while left > 0 {
            left -= other.read(&mut piece).await.unwrap();
        }
        other.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await.unwrap();
        other.flush().await.unwrap();
        other
    });
    let (body, connection) = whole(connection.send(request).await.unwrap()).await;
    assert!(body == "ok" && connection.is_some_and(|connection| connection.is_open()));
    assert!(sent.load(Ordering::Relaxed));
    server.await.unwrap();
}
