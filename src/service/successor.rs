//! The process that takes this one's place: the same program with the same arguments, as it is on disk now.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::channel::Channel;

/// Says to a process that its standard input is a [`Channel`].
const MARK: &str = "FLOWGATE_TAKES_OVER";
/// For a successor that has failed, to end.
const LAST_MOMENT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// How this process was started, looked at before anybody replaces its file.
#[derive(Debug, Clone)]
pub(crate) struct StartCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl StartCommand {
    /// A link that was named stays one: it may lead to another release by then.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let named = arguments.next().map(PathBuf::from).filter(|name| name.components().count() > 1);
        let program = named.map_or_else(std::env::current_exe, std::path::absolute)?;
        Ok(Self { program, arguments: arguments.collect() })
    }

    /// Starts it, with a channel to it.
    pub(crate) fn start(&self) -> io::Result<(SuccessorProcess, Channel)> {
        let (channel, theirs) = Channel::pair()?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env(MARK, "1")
            // These name this process, or what only this process was given.
            .env_remove("WATCHDOG_PID")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_FDNAMES")
            .stdin(theirs)
            .spawn()?;
        Ok((SuccessorProcess(child), channel))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SuccessorProcess(Child);

impl SuccessorProcess {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it, if it has not ended by itself; how it ended, if that can be told.
    pub(crate) fn end(mut self) -> Option<ExitStatus> {
        if self.has_ended() {
            return self.0.wait().ok();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
        None
    }

    /// Waits a moment for it.
    fn has_ended(&self) -> bool {
        let Ok(process) = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty()) else { return false };
        let mut waits = [PollFd::new(&process, PollFlags::IN)];
        poll(&mut waits, Some(&LAST_MOMENT)).is_ok_and(|ready| ready > 0)
    }
}

/// The channel to the process whose place this one takes, if it was started for that. To be called once.
///
/// # Errors
/// Somebody else set the variable.
pub(crate) fn predecessor() -> io::Result<Option<Channel>> {
    match std::env::var_os(MARK) {
        None => Ok(None),
        Some(_) => Channel::from_stdin().map(Some).map_err(|error| {
            io::Error::new(error.kind(), format!("{MARK} is set, but nobody hands anything over: {error}"))
        }),
    }
}
