//! What commands print. Whoever reads it may go at any time, as `head` does: that ends no command with a panic, and
//! changes nothing of what its exit code says.

use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Prints the answer of a command to stdout, as it is.
///
/// # Errors
/// It cannot be written, and somebody would have read it: that is told, and the command has failed.
pub(super) fn print(text: Arguments<'_>) -> Result<(), ExitCode> {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(format_args!("stdout cannot be written: {error}"));
            Err(ExitCode::FAILURE)
        }
        _ => Ok(()),
    }
}

/// Says a line on stderr, if anybody listens.
pub(super) fn tell(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}
