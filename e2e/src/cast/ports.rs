//! Ports for those who have to be told where to listen before they do.
//!
//! Invariant: none is given twice by a process, and none is one that the kernel gives to whoever asks for any
//! (`net.ipv4.ip_local_port_range` begins at 32768), so that it is still free when it is taken.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Result, bail};

const PORTS: Range<u16> = 20_000..30_000;
/// How far apart processes that follow one another begin.
const STRIDE: u32 = 331;

/// On loopback.
pub fn free_address() -> Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

pub fn free_port() -> Result<u16> {
    static GIVEN: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(STRIDE)));
    for _ in PORTS {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(given)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of {PORTS:?} is free")
}
