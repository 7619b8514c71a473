//! The command line.

mod keys;
mod manual;
mod pipes;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::harness::client;
use crate::harness::gateway::{BINARY, config, keys};
use crate::harness::ports::nowhere;
use crate::harness::tls::Authority;
use crate::harness::upstream::Upstream;
use crate::harness::wait_for;

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;

/// The program without anything of this environment that it would heed.
fn flowgate() -> Command {
    let mut command = Command::new(BINARY);
    command.env_remove("FLOWGATE_CONFIG").env_remove("FLOWISE_API_KEY").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    flowgate().args(arguments).output().expect("flowgate runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A folder with a good configuration and keys.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = config("127.0.0.1:3000".parse().unwrap(), "", "", "", "");
    fs::write(folder.path().join("flowgate.yaml"), text).unwrap();
    fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    folder
}

#[test]
fn check_says_ok_with_code_0() {
    let folder = folder();
    let file = folder.path().join("flowgate.yaml");
    let output = run(&["check", "--config", text_of(&file)]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), format!("{}: ok, 1 key, 1 chatflow\n", file.display()));
    assert_eq!(err(&output), "");
}

#[test]
fn check_names_every_mistake_with_its_place_and_ends_with_code_2() {
    let folder = folder();
    let file = folder.path().join("flowgate.yaml");
    let text = "server:\n  listen: nowhere\n  max_body: 1PiB\n  colour: red\nupstreams:\n  flowise: { flowise: { urls: \
                ['ftp://x'] } }\nchatflows:\n  support: { upstream: flowize, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 }\n";
    fs::write(&file, text).unwrap();
    let output = run(&["check", "--config", text_of(&file)]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
    let shown = err(&output);
    for (place, field) in [
        ("2:11", "server.listen"),
        ("3:13", "server.max_body"),
        ("4:3", "colour"),
        ("6:32", "upstreams.flowise.flowise.urls"),
        ("8:24", "chatflows.support.upstream"),
    ] {
        let start = format!("{}:{place}: ", file.display());
        let line = shown.lines().find(|line| line.starts_with(&start));
        assert!(line.is_some_and(|line| line.contains(field)), "{place} {field} in\n{shown}");
    }
    assert_eq!(shown.lines().count(), 5, "{shown}");

    // Keys and certificates are part of it, and their mistakes are told together.
    let text = config("127.0.0.1:3000".parse().unwrap(), ", tls: { listen: '127.0.0.1:0' }", "", "", "");
    fs::write(&file, text).unwrap();
    fs::write(folder.path().join("keys.yaml"), "keys:\n  - { id: app, sha256: abc }\n  - { id: b c }\n").unwrap();
    fs::write(folder.path().join("tls.crt"), "no certificate").unwrap();
    fs::write(folder.path().join("tls.key"), "no key").unwrap();
    let shown = err(&run(&["check", "--config", text_of(&file)]));
    for part in ["keys.yaml:2:24: keys[0].sha256: ", "keys.yaml:3:11: keys[1].id: ", "tls.crt: server.tls.cert_file: "]
    {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn check_online_says_of_each_url_what_is_wrong_with_code_1() {
    let alive = Upstream::answering();
    let clear = Upstream::raw(|_, mut stream| {
        let _ = std::io::Read::read(&mut stream, &mut [0; 512]);
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let ill = Upstream::start(|_, reply| reply.json("503 Service Unavailable", "{}"));
    let (closed, folder) = (nowhere(), folder());
    let file = folder.path().join("flowgate.yaml");
    let check = |urls: &[String], more: &str| {
        let one = format!("'http://{}'", alive.address);
        let text = config(alive.address, "", more, "", "").replace(&one, &urls.join(", "));
        fs::write(&file, text).unwrap();
        run(&["check", "--online", "--config", text_of(&file)])
    };
    let url = |address: std::net::SocketAddr| format!("'http://{address}'");
    let output = check(&[url(alive.address)], ", health: { path: /up }");
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    let ok = format!("upstreams.flowise: http://{}: ok", alive.address);
    assert_eq!(out(&output), format!("{ok}\n{}: ok, 1 key, 1 chatflow\n", file.display()));
    assert_eq!(alive.wait_request("GET", "/up").header("authorization"), None);

    let tls = format!("'https://{}'", clear.address);
    let unknown = "'http://flowise.invalid:3000'".to_owned();
    let output = check(&[url(alive.address), url(closed), url(ill.address), tls, unknown], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), format!("{ok}\n"), "nothing says that all is well");
    assert_eq!(alive.wait_request("GET", "/api/v1/ping").header("x-api-key"), None);
    let shown = err(&output);
    for (url, what) in [
        (format!("http://{closed}"), "cannot connect: Connection refused"),
        (format!("http://{}", ill.address), "the check was answered with 503"),
        (format!("https://{}", clear.address), "the server does not speak TLS on this port"),
        ("http://flowise.invalid:3000".to_owned(), "cannot resolve the name"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(&format!("upstreams.flowise: {url}: ")));
        assert!(line.is_some_and(|line| line.contains(what)), "{url} {what} in\n{shown}");
    }
    assert_eq!(shown.lines().count(), 4, "{shown}");
    // Mistakes come first.
    fs::write(&file, "upstreams: {}").unwrap();
    assert_eq!(run(&["check", "--online", "--config", text_of(&file)]).status.code(), Some(2));
}

#[test]
fn a_missing_configuration_is_named_with_code_2() {
    for command in ["check", "serve"] {
        let output = run(&[command, "--config", "/nonexistent/flowgate.yaml"]);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
        assert!(err(&output).starts_with("/nonexistent/flowgate.yaml: "), "{}", err(&output));
    }
}

#[test]
fn every_sample_configuration_passes_check() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = BTreeSet::new();
    for entry in fs::read_dir(&samples).unwrap() {
        let sample = entry.unwrap().path();
        // Beside them are their pages, and a folder of flows.
        if sample.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(sample.file_name().unwrap());
        fs::copy(&sample, &file).unwrap();
        fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
        fs::write(folder.path().join("key"), "flowise-key\n").unwrap();
        Authority::new().write_into(folder.path());
        fs::create_dir(folder.path().join("flows")).unwrap();
        fs::copy(samples.join("flows/assistant.json"), folder.path().join("flows/assistant.json")).unwrap();
        let output = flowgate()
            .args(["check", "--config", text_of(&file)])
            .envs(["FLOWGATE_TLS_DIR", "FLOWISE_KEY_DIR", "FLOWGATE_KEYS_DIR"].map(|name| (name, folder.path())))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}: {}", sample.display(), err(&output));
        checked.insert(sample.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for name in [
        "engine.yaml",
        "fleet.yaml",
        "full.yaml",
        "identity.yaml",
        "kubernetes.yaml",
        "mcp.yaml",
        "minimal.yaml",
        "traces.yaml",
    ] {
        assert!(checked.contains(name), "{name}");
    }
}

#[test]
fn the_configuration_is_found_in_the_documented_order() {
    let folder = folder();
    let local = folder.path().join("config");
    fs::create_dir(&local).unwrap();
    for name in ["flowgate.yaml", "keys.yaml"] {
        fs::copy(folder.path().join(name), local.join(name)).unwrap();
    }
    let check = |variable: Option<&Path>, arguments: &[&str]| {
        let mut command = flowgate();
        command.current_dir(folder.path()).arg("check").args(arguments);
        variable.map(|path| command.env("FLOWGATE_CONFIG", path));
        command.output().unwrap()
    };
    let named = folder.path().join("flowgate.yaml");
    assert!(out(&check(None, &[])).starts_with("config/flowgate.yaml: ok"));
    assert!(out(&check(Some(&named), &[])).starts_with(&format!("{}: ok", named.display())));
    let flag = check(Some(Path::new("/nonexistent")), &["--config", "config/flowgate.yaml"]);
    assert!(out(&flag).starts_with("config/flowgate.yaml: ok"));
    // Who forgot the variable looks for the file's name in vain.
    let lost = check(Some(Path::new("/nonexistent")), &[]);
    assert_eq!(err(&lost), "/nonexistent: no such file\nFLOWGATE_CONFIG names it\n");
    fs::remove_dir_all(local).unwrap();
    if !Path::new("/etc/flowgate/flowgate.yaml").exists() {
        let output = check(None, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).starts_with("/etc/flowgate/flowgate.yaml: no such file"), "{}", err(&output));
        // One that lies at hand is pointed to, not taken.
        assert!(err(&output).contains("FLOWGATE_CONFIG=flowgate.yaml"), "{}", err(&output));
    }
}

#[test]
fn serve_ends_with_code_2_for_a_bad_configuration_and_1_for_a_taken_address() {
    let folder = folder();
    let file = folder.path().join("flowgate.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("upstream: flowise", "upstream: flowize")).unwrap();
    let output = run(&["serve", "--config", text_of(&file)]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
    assert!(err(&output).starts_with(&format!("{}:6:", file.display())), "{}", err(&output));

    fs::write(&file, &good).unwrap();
    fs::write(folder.path().join("keys.yaml"), "keys: []\n").unwrap();
    let output = run(&["serve", "--config", text_of(&file)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("keys.yaml: "), "{}", err(&output));

    fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for section in ["server: { listen: '127.0.0.1:0'", "admin: { listen: '127.0.0.1:0'"] {
        fs::write(&file, good.replace(section, &section.replace("127.0.0.1:0", &address.to_string()))).unwrap();
        let output = run(&["serve", "--config", text_of(&file)]);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""), "{section}");
        assert!(err(&output).contains(&format!("cannot listen on {address}")), "{}", err(&output));
    }
}

#[test]
fn bad_usage_ends_with_code_2_and_help_with_0() {
    for arguments in [&["fly"][..], &[], &["check", "--colour"], &["keys"], &["keys", "create"], &["keys", "rotate"]] {
        let output = run(arguments);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err(&output).contains("Usage: flowgate"), "{}", err(&output));
    }
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    let (name, lines) = (format!("flowgate {}", env!("CARGO_PKG_VERSION")), out(&version));
    let told: Vec<_> = lines.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(told, [name.as_str(), "commit", "target", "profile", "features"]);
    let short = out(&run(&["-V"]));
    assert!(short.starts_with(&format!("{name} (")) && short.lines().count() == 1, "{short}");
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["serve", "demo", "check", "keys"] {
        assert!(out(&help).contains(&format!("\n  {command} ")), "{}", out(&help));
        assert_eq!(run(&[command, "--help"]).status.code(), Some(0));
    }
}

/// Killed with the test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `curl` with those arguments, or none if there is no curl.
fn shell(line: &str) -> Option<Output> {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
    found.then(|| Command::new("sh").args(["-c", line]).env("no_proxy", "*").output().expect("a shell"))
}

/// The value of a curl option in a line.
fn option<'a>(line: &'a str, start: &str) -> &'a str {
    let rest = line.split_once(start).unwrap_or_else(|| panic!("no {start} in {line}")).1;
    rest.split_once('\'').expect("a quote").0
}

#[test]
fn the_requests_that_demo_prints_work_as_printed() {
    let mut child = flowgate().args(["demo", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut demo = Demo(child);
    let mut shown = String::new();
    while shown.matches("\n  -H").count() < 2 {
        assert_ne!(stdout.read_line(&mut shown).unwrap(), 0, "demo ended: {shown}");
    }
    // Nothing may stop it from logging.
    std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    let key = shown.lines().find_map(|line| line.strip_prefix("key: ")).expect("the key");
    assert!(key.starts_with("fg_sk_"), "{key}");
    assert!(shown.starts_with("flowgate demo on http://127.0.0.1:"), "{shown}");
    let link = shown.lines().find(|line| line.starts_with("http://")).expect("a link");
    let (page, fragment) = link.split_once("/#").expect("what stands behind the link's #");
    assert_eq!(fragment, key, "the key goes to no server with the link");
    let address = page["http://".len()..].parse().unwrap();
    let page = client::get(address, "/", &[]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("script-src 'sha256-")));
    assert!(page.text().contains("/api/v1/prediction/demo") && !page.text().contains("http"), "no outside asset");
    let joined = shown.replace("\\\n", "");
    let curls: Vec<_> = joined.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 2, "{shown}");
    for (line, is_stream) in curls.iter().zip([false, true]) {
        let url = line.split(' ').find(|word| word.starts_with("http://")).expect("a URL");
        let (address, path) = url["http://".len()..].split_at(url["http://".len()..].find('/').unwrap());
        assert_eq!(option(line, "-H 'X-API-KEY: "), key);
        let response = client::post(address.parse().unwrap(), path, &[("x-api-key", key)], option(line, "-d '"));
        assert_eq!(response.status, 200, "{}", response.text());
        let by_curl = shell(line).map(|output| {
            assert!(output.status.success(), "{line}: {}", err(&output));
            out(&output)
        });
        for answer in by_curl.into_iter().chain([response.text()]) {
            assert!(answer.contains("sourceDocuments") && answer.contains("README.md"), "{answer}");
            assert_eq!(answer.ends_with("{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n"), is_stream, "{answer}");
        }
        client::post(address.parse().unwrap(), path, &[], ASK).assert_refused(401, "missing_api_key");
    }
    assert!(Command::new("kill").args(["-TERM", &demo.0.id().to_string()]).status().unwrap().success());
    let status = wait_for("the end of demo", || demo.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn serve_tells_each_listener_in_the_format_of_the_log() {
    let folder = folder();
    let file: PathBuf = folder.path().join("flowgate.yaml");
    Authority::new().write_into(folder.path());
    let text = config(
        "127.0.0.1:3000".parse().unwrap(),
        ", tls: { listen: '127.0.0.1:0' }",
        "",
        "",
        "log: { format: text, level: error }",
    );
    fs::write(&file, text).unwrap();
    let mut child = flowgate().args(["serve", "--config", text_of(&file)]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let _serve = Demo(child);
    let lines: Vec<_> = stdout.lines().take(3).map(Result::unwrap).collect();
    for (line, start) in lines.iter().zip(["listening http ", "listening https ", "listening admin "]) {
        let address = line.strip_prefix(start).unwrap_or_else(|| panic!("{lines:?}"));
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{line}");
    }
}
