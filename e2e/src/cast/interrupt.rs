//! How a person ends what runs in a terminal: Ctrl-C, a polite kill, or closing it.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From its making on, none of the three ends the process by itself: make it before anything that must be ended in order.
pub struct Interrupt([Signal; 3]);

impl Interrupt {
    pub fn new() -> Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    /// Returns when somebody wants it to end; asked again, when somebody is impatient.
    pub async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
