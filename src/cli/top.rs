//! `flowgate top`: the console in a terminal, drawn anew every few seconds; `q` ends it.

mod draw;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::admin_client::{AdminClient, AdminError, AdminPlace};
use super::explain::unanswered;
use super::print::{print, tell};
use draw::{TopLine, TopView};

/// Where nothing says how large the terminal is.
const USUAL_SIZE: (usize, usize) = (80, 24);
/// Another screen, and no cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

#[derive(Debug, Args)]
pub(super) struct Top {
    /// Print it once, as text, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    #[command(flatten)]
    place: AdminPlace,
}

impl Top {
    /// Code 0: ended as asked; 2: the gateway cannot be asked.
    pub(super) fn run(&self) -> ExitCode {
        let client = match self.place.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        // The first look says whether there is anything to be seen.
        let first = match look(&client) {
            Ok(view) => view,
            Err(error) => return unanswered(&error),
        };
        if self.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            let (width, height) = if io::stdout().is_terminal() { size() } else { (120, 200) };
            let text: String = draw::lines(&first, width, height).iter().map(TopLine::plain).collect();
            return print(format_args!("{text}")).err().unwrap_or(ExitCode::SUCCESS);
        }
        match watch(&client, first, Duration::from_secs(self.every)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell(format_args!("the terminal cannot be used: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

fn look(client: &AdminClient) -> Result<TopView, AdminError> {
    let read = |path: &str| client.get(path);
    Ok(TopView {
        status: read("/api/status")?,
        chatflows: read("/api/chatflows")?,
        refusals: read("/api/refusals")?,
        keys: read("/api/keys")?,
        trouble: None,
    })
}

fn watch(client: &AdminClient, first: TopView, every: Duration) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    heed_signals(Arc::clone(&ended));
    let _screen = Screen::enter()?;
    let (mut view, mut looked) = (first, Instant::now());
    show(&view)?;
    while !ended.load(Relaxed) {
        // Returns after a tenth of a second at the latest.
        let mut pressed = [0; 16];
        let count = io::stdin().read(&mut pressed)?;
        let pressed = pressed.get(..count).unwrap_or_default();
        if pressed.iter().any(|key| matches!(*key, b'q' | b'Q' | CTRL_C | CTRL_D)) {
            break;
        }
        if looked.elapsed() < every && pressed.is_empty() {
            continue;
        }
        match look(client) {
            Ok(now) => view = now,
            // What was seen last stays, with what is wrong above it.
            Err(error) => view.trouble = Some(error.to_string()),
        }
        looked = Instant::now();
        show(&view)?;
    }
    Ok(())
}

fn show(view: &TopView) -> io::Result<()> {
    let (width, height) = size();
    let lines = draw::lines(view, width, height);
    // Home; each line to its end, and what is left of the screen, is wiped: no flicker.
    let mut text = String::from("\x1b[H");
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            text.push_str("\r\n");
        }
        text.push_str(&line.coloured());
        text.push_str("\x1b[K");
    }
    text.push_str("\x1b[J");
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Columns and rows.
fn size() -> (usize, usize) {
    let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(USUAL_SIZE, |size| (size.ws_col.into(), size.ws_row.into()))
}

/// Whoever ends the program from outside gets the terminal back as well.
fn heed_signals(ended: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut hang_up = signal(SignalKind::hangup())?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {}
            }
            ended.store(true, Relaxed);
            io::Result::Ok(())
        })
    });
}

/// The terminal gives keys as they are pressed and shows another screen, until dropped.
struct Screen(Termios);

impl Screen {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 1;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let screen = Self(before);
        io::stdout().write_all(ENTER.as_bytes())?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = io::stdout().write_all(LEAVE.as_bytes());
        let _ = io::stdout().flush();
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// A member of an object, if there is one.
fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}
