//! What chats remember: turns by flow and session, in the process, in a file, or in the store that replicas share. Beside it
//! lies what record managers keep.

mod disk;
mod import;
mod import_records;
mod in_process;
mod in_store;
mod on_disk;
mod records;
mod remote;
mod write_behind;

pub(crate) use self::import::{CHATS_FILE, ImportedChat, import_chats};
pub(crate) use self::import_records::{ImportedRecords, RECORDS_FILE, import_records};
pub(crate) use self::in_process::InProcess;
pub(crate) use self::in_store::InStore;
pub(crate) use self::on_disk::OnDisk;
pub(crate) use self::remote::serve_predecessor;
