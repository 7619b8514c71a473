//! The access log's way to stdout: off the request path, bounded, never waiting.
//!
//! A worker appends lines to a buffer of its own and hands it over when it is full or [`FLUSH_AFTER`] its first line; one
//! thread writes to stdout. If stdout does not keep up, whole buffers are dropped and their lines counted.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::IntCounter;
use tokio::sync::Notify;

use crate::wire::decimal::decimal;

/// A buffer is handed over once it holds this many bytes.
const FLUSH_AT: usize = 32 * 1024;
/// How long a line may wait in its buffer.
const FLUSH_AFTER: Duration = Duration::from_millis(100);
/// Buffers on their way to stdout; with [`FLUSH_AT`] about 2 MiB.
const QUEUE: usize = 64;

struct Batch {
    text: Vec<u8>,
    lines: u64,
}

/// The thread that writes; ends once every [`AccessLog`] and this are dropped.
#[derive(Debug)]
pub(crate) struct LogWriter {
    sender: SyncSender<Batch>,
    thread: std::thread::JoinHandle<()>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lines", self.lines)
    }
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(move || write_all(&receiver))?;
        Ok(Self { sender, thread })
    }

    pub(crate) fn handle(&self) -> LogHandle {
        LogHandle(self.sender.clone())
    }

    /// Waits until everything handed over is written.
    pub(crate) fn finish(self) {
        drop(self.sender);
        let _ = self.thread.join();
    }
}

/// Sent to a worker, which makes its [`AccessLog`] of it.
#[derive(Debug, Clone)]
pub(crate) struct LogHandle(SyncSender<Batch>);

fn write_all(receiver: &Receiver<Batch>) {
    while let Ok(batch) = receiver.recv() {
        let mut stdout = std::io::stdout().lock();
        // A closed stdout (`flowgate | head`) must not end the gateway.
        let _ = stdout.write_all(&batch.text).and_then(|()| stdout.flush());
    }
}

/// One worker's end of the access log.
#[derive(Clone)]
pub(crate) struct AccessLog(Rc<LogQueue>);

struct LogQueue {
    buffer: RefCell<Batch>,
    second: RefCell<Second>,
    /// Notified of the first line in the buffer: a worker that has nothing to tell is not woken.
    begun: Rc<Notify>,
    sender: SyncSender<Batch>,
    dropped: IntCounter,
}

impl AccessLog {
    /// Must be called on the worker's runtime: it spawns the task that flushes in time.
    pub(crate) fn new(handle: LogHandle, dropped: IntCounter) -> Self {
        let batch = Batch { text: Vec::with_capacity(FLUSH_AT), lines: 0 };
        let log = Self(Rc::new(LogQueue {
            buffer: RefCell::new(batch),
            second: RefCell::default(),
            begun: Rc::default(),
            sender: handle.0,
            dropped,
        }));
        let (weak, begun) = (Rc::downgrade(&log.0), Rc::clone(&log.0.begun));
        tokio::task::spawn_local(async move {
            loop {
                begun.notified().await;
                tokio::time::sleep(FLUSH_AFTER).await;
                let Some(queue) = weak.upgrade() else { return };
                queue.flush();
            }
        });
        log
    }

    /// Writes the time, as RFC 3339 with milliseconds.
    pub(crate) fn timestamp(&self, text: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut second = self.0.second.borrow_mut();
        if second.number != now.as_secs() {
            *second = Second::new(now.as_secs());
        }
        text.extend_from_slice(second.text.as_bytes());
        text.push(b'.');
        decimal(text, u64::from(now.subsec_millis()), 3);
        text.push(b'Z');
    }

    /// Appends one line; `write` must end it with a line feed.
    pub(crate) fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut batch = self.0.buffer.borrow_mut();
        write(&mut batch.text);
        batch.lines += 1;
        if batch.lines == 1 {
            self.0.begun.notify_one();
        }
        let full = batch.text.len() >= FLUSH_AT;
        drop(batch);
        if full {
            self.0.flush();
        }
    }
}

/// A second since the epoch and its text, which is the same for thousands of lines.
#[derive(Default)]
struct Second {
    number: u64,
    text: String,
}

impl Second {
    fn new(number: u64) -> Self {
        let time = i64::try_from(number).ok().and_then(|number| jiff::Timestamp::from_second(number).ok());
        let text = time.map(|time| time.to_string().trim_end_matches('Z').to_owned()).unwrap_or_default();
        Self { number, text }
    }
}

impl LogQueue {
    fn flush(&self) {
        let mut batch = self.buffer.borrow_mut();
        if batch.lines == 0 {
            return;
        }
        let size = batch.text.capacity().min(2 * FLUSH_AT);
        let full = std::mem::replace(&mut *batch, Batch { text: Vec::with_capacity(size), lines: 0 });
        match self.sender.try_send(full) {
            Ok(()) => {}
            Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => self.dropped.inc_by(lost.lines),
        }
    }
}

impl Drop for LogQueue {
    fn drop(&mut self) {
        self.flush();
        // Whoever waits there sees that nothing follows.
        self.begun.notify_one();
    }
}
