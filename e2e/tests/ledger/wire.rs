//! The wire between the gateways and Postgres, which can be cut at the worst moment: after the commit, before its answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// `ReadyForQuery`, outside any transaction: what was asked is committed.
const COMMITTED: &[u8] = b"Z\0\0\0\x05I";

pub(crate) struct Wire {
    address: SocketAddr,
    knife: Arc<Knife>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Knife {
    drawn: AtomicBool,
    cuts: AtomicUsize,
}

impl Wire {
    /// Only statements with `mark` in them are cut.
    pub(crate) async fn to(postgres: SocketAddr, mark: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, knife) = (listener.local_addr().unwrap(), Arc::new(Knife::default()));
        let held = knife.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let knife = held.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(postgres).await {
                        carry(client, server, mark.as_bytes(), &knife).await;
                    }
                });
            }
        });
        Self { address, knife, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next statement with the mark is carried out, and its connection closed instead of answered.
    pub(crate) fn cut_next(&self) {
        self.knife.drawn.store(true, Ordering::SeqCst);
    }

    pub(crate) fn cut_no_more(&self) {
        self.knife.drawn.store(false, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.knife.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until either side closes, or the knife falls.
async fn carry(client: TcpStream, server: TcpStream, mark: &[u8], knife: &Knife) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = AtomicBool::new(false);
    let asking = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if buffer[..read].windows(mark.len()).any(|window| window == mark) {
                asked.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let answering = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let answer = &buffer[..read];
            if answer.ends_with(COMMITTED)
                && asked.swap(false, Ordering::SeqCst)
                && knife.drawn.swap(false, Ordering::SeqCst)
            {
                knife.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if to_client.write_all(answer).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}
