use super::*;

fn replace(path: &Path, text: &str) {
    LockedFile::open(path).unwrap().replace(text).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_new_file_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    assert!(LockedFile::open(&path).unwrap().text().is_none());
    replace(&path, "one");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(LockedFile::open(&path).unwrap().text(), Some("one"));
}

#[test]
fn a_group_may_go_on_reading_and_others_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    fs::write(&path, "one").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    replace(&path, "two");
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn a_link_is_kept_and_its_target_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (link, file) = (folder.path().join("keys.yaml"), folder.path().join("real.yaml"));
    fs::write(&file, "one").unwrap();
    std::os::unix::fs::symlink("real.yaml", &link).unwrap();
    replace(&link, "two");
    assert_eq!(fs::read_to_string(&file).unwrap(), "two");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    fs::remove_file(&file).unwrap();
    assert!(matches!(LockedFile::open(&link), Err(DiskError::DanglingLink { .. })));
}

#[test]
fn a_file_that_another_writer_makes_in_that_moment_is_no_dangling_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    let follow = |path: &Path| {
        let found = fs::canonicalize(path);
        if found.is_err() {
            fs::write(path, "one").unwrap();
        }
        found
    };
    assert_eq!(target_with(&path, follow).unwrap(), fs::canonicalize(&path).unwrap());
}

#[test]
fn what_a_crash_left_behind_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    fs::write(folder.path().join(".keys.yaml.tmp"), "half").unwrap();
    replace(&path, "whole");
    assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    assert!(!folder.path().join(".keys.yaml.tmp").exists());
}

#[test]
fn a_read_only_folder_is_named_as_such() {
    let error = write_error(Path::new("keys.yaml"), io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(error.to_string().contains("edit the Secret"), "{error}");
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = LockedFile::open(&folder.path().join("none/keys.yaml")).err().unwrap();
    assert!(matches!(error, DiskError::Write { .. }));
}

#[test]
fn a_link_in_the_place_of_the_lock_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("keys.yaml"), folder.path().join("elsewhere"));
    std::os::unix::fs::symlink(&elsewhere, folder.path().join(".keys.yaml.lock")).unwrap();
    assert!(LockedFile::open(&path).is_err());
    assert!(!elsewhere.exists());
}
