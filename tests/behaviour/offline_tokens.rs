//! The examples that sign session tokens without asking the gateway: Node and Python make the same token, byte by byte.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Of the key `app` with the secret `fg_sk_of_the_tests`, at second 1000, for 60 seconds. Computed with OpenSSL.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImFwcCJ9.\
    eyJhdWQiOiJmbG93Z2F0ZSIsImlhdCI6MTAwMCwiZXhwIjoxMDYwLCJjaGF0ZmxvdyI6InN1cHBvcnQiLCJzdWIiOiJhbm5hIn0.\
    Kz5xR851iuo6Utpxs4kDPeq5BiUN9SeZZyL_P4X4Bng";

#[test]
fn node_signs_the_token() {
    let script = "import { mint } from './mint.mjs'\n\
        console.log(mint('app', 'fg_sk_of_the_tests', { chatflow: 'support', sub: 'anna' }, 1000, 60))";
    assert_prints_the_token("node", &["--input-type=module", "-e", script]);
}

#[test]
fn python_signs_the_token() {
    let script = "from mint import mint\n\
        print(mint('app', 'fg_sk_of_the_tests', {'chatflow': 'support', 'sub': 'anna'}, 1000, 60))";
    // -B: no compiled copy beside the example.
    assert_prints_the_token("python3", &["-B", "-c", script]);
}

fn assert_prints_the_token(interpreter: &str, arguments: &[&str]) {
    if !Command::new(interpreter).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no {interpreter} here");
        return;
    }
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/browser");
    let output = Command::new(interpreter).args(arguments).current_dir(examples).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed.trim_end(), TOKEN, "{}", String::from_utf8_lossy(&output.stderr));
}
