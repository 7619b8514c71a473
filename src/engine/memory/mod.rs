//! What chats remember: turns by flow and session, in the process or in a file.

mod disk;
mod in_process;
mod kept;
mod on_disk;

pub(crate) use self::in_process::InProcess;
pub(crate) use self::on_disk::OnDisk;
