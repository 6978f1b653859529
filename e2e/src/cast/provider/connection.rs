//! One connection: read a request, play its script, again.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use super::{
    reply::{End, Script, Step},
    request,
    stage::Stage,
};

/// Whether the other side is still there.
enum Peer {
    There,
    Gone,
}

pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, stage: Arc<Stage>) -> Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(request) = request::read(&mut io, &mut buffer).await? {
        let script = stage.answer(request);
        if !matches!(play(&mut io, &script, &mut buffer).await, Ok(Peer::There)) {
            stage.abandoned.send_modify(|count| *count += 1);
            break;
        }
        if script.end != End::Properly {
            break;
        }
    }
    let _ = io.shutdown().await;
    Ok(())
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, script: &Script, buffer: &mut BytesMut) -> Result<Peer> {
    for step in &script.steps {
        match step {
            Step::Send(bytes) => {
                io.write_all(bytes).await?;
                io.flush().await?;
            }
            Step::Wait(pause) => {
                if let Peer::Gone = wait(io, *pause, buffer).await? {
                    return Ok(Peer::Gone);
                }
            }
        }
    }
    match script.end {
        End::Hang => loop {
            if let Peer::Gone = wait(io, Duration::from_secs(3600), buffer).await? {
                return Ok(Peer::Gone);
            }
        },
        End::Properly | End::Cut => Ok(Peer::There),
    }
}

/// Listens while it waits, so that a client that leaves is noticed at once.
async fn wait<S: AsyncRead + Unpin>(io: &mut S, pause: Duration, buffer: &mut BytesMut) -> Result<Peer> {
    let over = sleep(pause);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return Ok(Peer::There),
            read = io.read_buf(buffer) => if read? == 0 { return Ok(Peer::Gone) },
        }
    }
}
