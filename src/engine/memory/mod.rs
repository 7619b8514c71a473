//! What chats remember: turns by flow and session, in the process or in a file.

mod disk;
mod in_process;
mod on_disk;
mod write_behind;

pub(crate) use self::in_process::InProcess;
pub(crate) use self::on_disk::OnDisk;
