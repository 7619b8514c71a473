//! What `flowgate --version` says of the build: the commit, without asking git, and only where it is worth building again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=FLOWGATE_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    // Who builds a package may say it; another commit is no reason to build again what is only tried out.
    let told = Some(variable("FLOWGATE_COMMIT")).filter(|commit| !commit.is_empty());
    let commit = told.or_else(|| if variable("PROFILE") == "release" { of_sources(&root) } else { None });
    println!("cargo:rustc-env=FLOWGATE_BUILT_COMMIT={}", commit.unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rustc-env=FLOWGATE_BUILT_TARGET={}", variable("TARGET"));
    println!("cargo:rustc-env=FLOWGATE_BUILT_PROFILE={}", variable("PROFILE"));
    let mut features: Vec<String> = env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-")))
        .collect();
    features.sort();
    let features = if features.is_empty() { "all (none can be left out)".to_owned() } else { features.join(", ") };
    println!("cargo:rustc-env=FLOWGATE_BUILT_FEATURES={features}");
}

/// Of a clone, or of a crate that cargo has packed. A tarball without either has none.
fn of_sources(root: &Path) -> Option<String> {
    let packed = root.join(".cargo_vcs_info.json");
    if let Ok(text) = fs::read_to_string(&packed) {
        let (_, rest) = text.split_once("\"sha1\"")?;
        return rest.split('"').find(|part| is_commit(part)).map(str::to_owned);
    }
    let git = root.join(".git");
    // A work tree has a file that names the folder.
    let folder = match fs::read_to_string(&git) {
        Ok(text) => root.join(text.trim().strip_prefix("gitdir: ")?),
        Err(_) => git,
    };
    let head = read(&folder.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref: ") else { return Some(head).filter(|commit| is_commit(commit)) };
    let common =
        fs::read_to_string(folder.join("commondir")).map_or_else(|_| folder.clone(), |path| folder.join(path.trim()));
    let loose = read(&common.join(reference));
    let packed = || {
        let refs = read(&common.join("packed-refs"))?;
        let line = refs.lines().find(|line| line.ends_with(reference))?.to_owned();
        line.split(' ').next().map(str::to_owned)
    };
    loose.or_else(packed).filter(|commit| is_commit(commit))
}

/// A file that says another thing after the next commit.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}

fn is_commit(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
