//! The data path's threads: one a core, each with its listener, its tasks and its upstream connections.

use std::{cell::Cell, io, net::TcpListener as StdListener, rc::Rc, sync::Arc, thread};

use aws_lc_rs::rand::SecureRandom;
use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    runtime::Builder,
    sync::watch,
    task::{LocalSet, spawn_local},
};

use crate::{
    door::{
        Door,
        connection::{Closing, Threads},
        listener::accept,
        request::RequestIds,
        watch::Patience,
    },
    inference::{Desk, Shared},
};

/// What each thread gets a share of.
#[derive(Clone)]
pub struct Work {
    pub door: Arc<Door>,
    pub shared: Arc<Shared>,
    pub random: Arc<dyn SecureRandom + Send + Sync>,
    pub tls: Option<Arc<ServerConfig>>,
    pub patience: Patience,
    pub max_head: usize,
    pub closing: watch::Receiver<Closing>,
}

/// Starts one thread for each socket.
pub fn spawn(work: &Work, sockets: Vec<StdListener>) -> io::Result<Vec<thread::JoinHandle<()>>> {
    let count = sockets.len();
    let threads = sockets.into_iter().enumerate().map(|(n, socket)| {
        let work = work.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name(format!("data-{n}"))
            .spawn(move || LocalSet::new().block_on(&runtime, run(work, socket, count)))
    });
    threads.collect()
}

async fn run(work: Work, socket: StdListener, count: usize) {
    let Work { door, shared, random, tls, patience, max_head, mut closing } = work;
    let Ok(listener) = TcpListener::from_std(socket) else {
        tracing::error!("a listening socket cannot be used");
        return;
    };
    let phase = Cell::new(Closing::Open);
    let (desk, request_ids) = (Desk::new(shared, count), RequestIds::new(random));
    let threads = Rc::new(Threads { door, desk, request_ids, tls, patience, max_head, phase });
    spawn_local(accept(threads.clone(), listener));
    while closing.changed().await.is_ok() {
        let phase = *closing.borrow_and_update();
        threads.phase.set(phase);
        if phase == Closing::Gone {
            return;
        }
    }
}
