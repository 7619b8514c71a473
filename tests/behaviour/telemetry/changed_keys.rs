//! Keys that were added, changed or revoked are a line of the log, by their ids.

use serde_json::Value;

use super::talking;
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::{KEY, sha256};

const OTHER: &str = "other-key-0123456789abcdef";

fn entry(id: &str, secret: &str, more: &str) -> String {
    format!("  - {{ id: {id}, sha256: {}{more} }}\n", sha256(secret))
}

fn change(gateway: &Gateway, keys: &str, field: &str, expected: &str) {
    gateway.write("keys.yaml", keys);
    let line = gateway.log_line(|line| line["message"] == "keys changed" && line[field] == expected);
    let told: Vec<_> = ["added", "changed", "revoked"].into_iter().filter(|name| line.get(*name).is_some()).collect();
    assert_eq!(told, [field], "{line}");
    assert!(line["file"].as_str().is_some_and(|file| file.ends_with("keys.yaml")), "{line}");
}

#[test]
fn a_change_of_keys_is_told_by_their_ids() {
    let upstream = talking();
    let plans = "plans: { default: { requests: 60/min }, other: { requests: 60/min } }";
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", plans), &keys(""), |_| {});
    let app = keys("");
    change(&gateway, &(app.clone() + &entry("page", OTHER, "")), "added", "page");
    change(&gateway, &(app.clone() + &entry("page", OTHER, ", plan: other")), "changed", "page");
    change(&gateway, &(app.clone() + &entry("page", OTHER, ", plan: other, enabled: false")), "revoked", "page");
    let many: String =
        (0..25).map(|n| entry(&format!("many-{n:02}"), &format!("a-key-of-many-012345-{n}"), "")).collect();
    let named: Vec<_> = (0..20).map(|n| format!("many-{n:02}")).collect();
    let expected = format!("{} and 5 more", named.join(", "));
    gateway.write("keys.yaml", app.clone() + &many);
    let line = gateway.log_line(|line| line["message"] == "keys changed" && line["added"] == *expected);
    assert_eq!(line["revoked"], "page", "it is no longer there");
    // A plan that only moves in the list is the same plan.
    let moved = "plans: { another: { requests: 60/min }, default: { requests: 60/min }, other: { requests: 60/min } }";
    gateway.write("flowgate.yaml", config(upstream.address, "", "", "", moved));
    gateway.wait_metric("flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}", 1.0);
    let is_told =
        |line: &String| serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"] == "keys changed");
    let log = gateway.log();
    assert_eq!(log.iter().filter(|line| is_told(line)).count(), 4);
    assert!(!log.join("").contains(&sha256(KEY)) && !log.join("").contains(&sha256(OTHER)));
}
