//! Lines for the operator, written by a thread of their own.
//!
//! Whoever writes a line never waits: a full queue drops the line and counts it. What strangers cause has a share of the queue
//! and no more, so that a flood of theirs costs nobody else's lines. The writer rests a moment after each first
//! line and joins what has come by then into one write: waking a thread for every request costs more than the line itself.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

const QUEUE: usize = 8192;
const STRANGERS: usize = QUEUE / 8;
const JOINED: usize = 256 * 1024;
const REST: Duration = Duration::from_millis(5);

enum Word {
    Line(Vec<u8>),
    /// Somebody whom we do not know caused it.
    Strangers(Vec<u8>),
    Flushed(SyncSender<()>),
}

/// A handle to the writer; clones share it.
#[derive(Clone)]
pub struct Lines {
    queue: SyncSender<Word>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    dropped: AtomicU64,
    /// Lines of strangers that wait.
    strangers: AtomicUsize,
}

impl Lines {
    /// Starts the writer; it ends when the last handle is dropped.
    pub fn to(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, words) = sync_channel(QUEUE);
        let lines = Self { queue, tally: Arc::default() };
        let tally = lines.tally.clone();
        thread::Builder::new().name("lines".to_owned()).spawn(move || drain(&words, &tally.strangers, sink))?;
        Ok(lines)
    }

    /// Queues one line, its newline included.
    pub fn write(&self, line: Vec<u8>) {
        if self.queue.try_send(Word::Line(line)).is_err() {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues a line that anybody can cause as often as they like.
    pub fn write_of_stranger(&self, line: Vec<u8>) {
        let Tally { dropped, strangers } = &*self.tally;
        let waiting = strangers.fetch_add(1, Ordering::Relaxed);
        if waiting >= STRANGERS || self.queue.try_send(Word::Strangers(line)).is_err() {
            strangers.fetch_sub(1, Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was queued is written, or `limit` has passed: the last act of a process.
    pub fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        let mut word = Word::Flushed(done);
        while let Err(TrySendError::Full(refused)) = self.queue.try_send(word) {
            if Instant::now() >= end {
                return;
            }
            word = refused;
            thread::sleep(REST);
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn drain(words: &Receiver<Word>, strangers: &AtomicUsize, mut sink: impl Write) {
    let mut joined = Vec::with_capacity(JOINED);
    let mut behind = false;
    while let Ok(first) = words.recv() {
        if !matches!(first, Word::Flushed(_)) && !behind {
            thread::sleep(REST);
        }
        let mut next = Some(first);
        let mut flushed = None;
        while let Some(word) = next.take() {
            match word {
                Word::Line(line) => joined.extend_from_slice(&line),
                Word::Strangers(line) => {
                    strangers.fetch_sub(1, Ordering::Relaxed);
                    joined.extend_from_slice(&line);
                }
                Word::Flushed(done) => flushed = Some(done),
            }
            if joined.len() < JOINED && flushed.is_none() {
                next = words.try_recv().ok();
            }
        }
        behind = joined.len() >= JOINED;
        // Nobody is left to tell when the operator's own sink fails.
        let _ = sink.write_all(&joined).and_then(|()| sink.flush());
        joined.clear();
        if let Some(done) = flushed {
            let _ = done.send(());
        }
    }
}

/// One log event on its way; queued whole when it is dropped.
pub struct Line {
    bytes: Vec<u8>,
    lines: Lines,
}

impl Write for Line {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.lines.write(std::mem::take(&mut self.bytes));
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { bytes: Vec::with_capacity(256), lines: self.clone() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    pub(in super::super) struct Shared(pub(in super::super) Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(part);
            Ok(part.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing while the other end of `held` is there.
    struct Gate<S> {
        held: Receiver<()>,
        sink: S,
    }

    impl<S: Write> Write for Gate<S> {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            let _ = self.held.recv();
            self.sink.write(part)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::to(Shared(written.clone())).unwrap();
        for n in 0..100 {
            lines.write(format!("{n}\n").into_bytes());
        }
        lines.flush(Duration::from_secs(10));
        let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn a_full_queue_is_written_before_the_process_ends() {
        let (release, held) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::to(Gate { held, sink: Shared(written.clone()) }).unwrap();
        while lines.dropped() == 0 {
            lines.write(b"x\n".to_vec());
        }
        let opening = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(release);
        });
        lines.flush(Duration::from_secs(30));
        assert!(written.lock().unwrap().len() >= QUEUE * 2, "{} bytes", written.lock().unwrap().len());
        opening.join().unwrap();
    }

    #[test]
    fn a_flood_by_strangers_costs_nobody_elses_lines() {
        let (release, held) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::to(Gate { held, sink: Shared(written.clone()) }).unwrap();
        for _ in 0..QUEUE * 2 {
            lines.write_of_stranger(b"denied\n".to_vec());
        }
        let flooded = lines.dropped();
        assert!(flooded > 0);
        for _ in 0..QUEUE / 2 {
            lines.write(b"known\n".to_vec());
        }
        assert_eq!(lines.dropped(), flooded, "all others found a place");
        drop(release);
        lines.flush(Duration::from_secs(30));
        lines.write_of_stranger(b"denied\n".to_vec());
        assert_eq!(lines.dropped(), flooded, "what is written makes room");
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("known").count(), QUEUE / 2);
    }

    #[test]
    fn a_sink_that_blocks_costs_lines_and_never_waits() {
        let (release, held) = mpsc::channel();
        let lines = Lines::to(Gate { held, sink: io::sink() }).unwrap();
        for _ in 0..QUEUE * 2 {
            lines.write(b"x\n".to_vec());
        }
        assert!(lines.dropped() >= (QUEUE / 2) as u64, "{} dropped", lines.dropped());
        drop(release);
    }
}
