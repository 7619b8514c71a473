use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const TEMPORARY: &str = ".quota.json.tmp";
const ASIDE: &str = "quota.json.bad";

fn counts() -> QuotaCounts {
    let text = r#"{"keys":{"app":{"period":20261123,"count":3}},
            "visitors":{"anonymous":{"192.0.2.7":{"period":202611,"count":1}}}}"#;
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a/state");
    assert_eq!(read(&state).unwrap(), QuotaCounts::default());
    let tokens = serde_json::from_str(r#"{"keys":{"app":{"period":202611,"count":7}},"visitors":{}}"#).unwrap();
    for counts in [counts(), QuotaCounts::default(), QuotaCounts { tokens, ..counts() }, counts()] {
        write(&state, &counts).unwrap();
        assert_eq!(read(&state).unwrap(), counts);
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_folder_is_one_ledgers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let first = Ledger::open(&state).unwrap();
    first.write(&counts()).unwrap();
    assert_eq!(Ledger::open(&state).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(first.is_of(&state) && !first.is_of(folder.path()));
    fs::remove_dir_all(&state).unwrap();
    assert!(!first.is_of(&state));
    let second = Ledger::open(&state).unwrap();
    assert!(second.is_of(&state) && !first.is_of(&state), "the folder was made anew");
    second.write(&counts()).unwrap();
    drop((first, second));
    assert_eq!(Ledger::open(&state).unwrap().read().unwrap(), counts());
}

#[test]
fn what_a_crash_left_behind_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(TEMPORARY), "half").unwrap();
    write(folder.path(), &counts()).unwrap();
    assert_eq!(read(folder.path()).unwrap(), counts());
    assert!(!folder.path().join(TEMPORARY).exists());
}

#[test]
fn a_damaged_file_is_kept_aside() {
    let whole = serde_json::to_string(&counts()).unwrap();
    for damaged in ["", "{}", "nonsense", &whole[..whole.len() - 1], &whole.replace("3}", "-3}")] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), damaged).unwrap();
        assert_eq!(read(folder.path()).unwrap(), QuotaCounts::default(), "{damaged}");
        assert_eq!(fs::read_to_string(folder.path().join(ASIDE)).unwrap(), damaged);
        write(folder.path(), &counts()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), counts());
    }
}
