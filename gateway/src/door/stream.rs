//! The streams of HTTP/2: each is a task of its own, and ends when its client leaves a frame untaken for too long.
//!
//! hyper asks a reply for its next frame only when the client's window has room for the last one. A client that never opens
//! its window, but answers pings, would keep its reply, the upstream behind it and that upstream's place for ever. Only its
//! own stream ends: a proxy carries many people's on one connection.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::{
    task::spawn_local,
    time::{Sleep, sleep},
};

use super::watch::{Said, Watch};
use crate::telemetry::Metrics;

/// Spawns a connection's streams on the thread that the connection lives on.
#[derive(Clone)]
pub struct Streams {
    pub watch: Rc<Watch>,
    /// How long a frame may wait for the client's window.
    pub patience: Duration,
    pub metrics: Arc<Metrics>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, task: F) {
        spawn_local(Stream { task, streams: self.clone(), untaken: None });
    }
}

pin_project! {
    struct Stream<F> {
        #[pin]
        task: F,
        streams: Streams,
        #[pin]
        untaken: Option<Sleep>,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Streams { watch, patience, metrics } = this.streams;
        watch.take_said();
        if this.task.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match watch.take_said() {
            // It was not asked: the frame before still waits, or there is no reply yet.
            None => {}
            Some(Said::Nothing) => this.untaken.set(None),
            Some(Said::Frame) => this.untaken.set(Some(sleep(*patience))),
        }
        match this.untaken.as_pin_mut() {
            None => Poll::Pending,
            Some(over) => {
                ready!(over.poll(cx));
                metrics.cut("stalled_stream");
                // Dropped, the task resets its stream.
                Poll::Ready(())
            }
        }
    }
}
