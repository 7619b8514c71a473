use super::*;

fn cleaned(words: &str) -> String {
    Redactor::default().sentence(words).into_string()
}

#[test]
fn nothing_about_the_inside_leaves() {
    for (words, clean) in [
        ("Error: a.b - 429 stub error 429", "Error: a.b - 429 stub error 429"),
        ("Error: x\n    at Object.<anonymous> (/app/x.js:1:2)", "Error: x"),
        ("Error: x\r\n    at f (/app/x.js:1:2)", "Error: x"),
        ("Error: x\\n    at f (/app/x.js:1:2)", "Error: x"),
        ("Error: x at f (/app/x.js:1:2) at g (node:internal/y:3:4)", "Error: x"),
        ("{\"message\":\"x\",\"stack\":\"y\"}", "{\"message\":\"x\","),
        ("Oh no: Traceback (most recent call last):\n  File \"/srv/a.py\", line 1", "Oh no:"),
        ("fetch http://10.0.0.5:8000/v1/chat failed", "fetch [address] failed"),
        ("connect ECONNREFUSED 127.0.0.1:13999", "connect ECONNREFUSED [address]"),
        ("getaddrinfo ENOTFOUND ollama", "getaddrinfo ENOTFOUND [address]"),
        ("see (localhost:11434).", "see ([address])."),
        ("to 10.0.0.5:5432/orders and [fe80::1%eth0]:80", "to [address] and [[address]]:80"),
        ("for 'root'@'db.internal' by postgres://u:p@db/x", "for 'root'@'[address]' by [address]"),
        ("u:hunter2@db said no", "[address] said no"),
        ("credential 9d2b4ae3-1f5e-4c00-9000-000000000000 not found", "credential [id] not found"),
        ("session=9d2b4ae3-1f5e-4c00-9000-000000000000/x", "session=[id]/x"),
        ("Incorrect API key provided: sk-proj-abcdefgh1234.", "Incorrect API key provided: [key]"),
        ("Incorrect API key provided: sk-pr***********1234.", "Incorrect API key provided: [key]"),
        ("key:sk-abcdefgh1234, Bearer abcdefgh", "key:[key], Bearer [key]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [key]"),
        ("{\"password\": \"hunter2\", \"a\": 1}", "{\"password\": \"[key]\", \"a\": 1}"),
        ("(using password: hunter2) token=abc", "(using password: [key]) token=[key]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "[key]"),
        ("open '/usr/src/app/.env' of C:\\app\\x and dist/a.js:1:2", "open '[path]' of [path] and [path]"),
        ("Please provide Prompt Values for: a, b", "Please provide Prompt Values for: a, b"),
        ("at 10:30 today, and/or at noon", "at 10:30 today, and/or at noon"),
        (
            "model meta-llama/Llama-3.1-70B-Instruct-Turbo not found, 404",
            "model meta-llama/Llama-3.1-70B-Instruct-Turbo not found, 404",
        ),
        ("max_tokens: 4096 is too many", "max_tokens: 4096 is too many"),
        ("", "The chatflow failed."),
        ("\n    at f (/app/x.js:1:2)", "The chatflow failed."),
    ] {
        assert_eq!(cleaned(words), clean, "{words}");
        assert_eq!(cleaned(clean), clean, "what is clean stays as it is");
    }
}

#[test]
fn what_is_known_leaves_in_no_spelling() {
    let redactor = Redactor { known: KnownSecrets::secret("correct horse") };
    for words in ["x correct horse y", "x correct%20horse y", "x dTpjb3JyZWN0IGhvcnNl== y"] {
        let clean = redactor.sentence(words).into_string();
        assert!(clean.starts_with("x [key]") && clean.ends_with(" y"), "{clean}");
    }
}

#[test]
fn sentences_have_an_end() {
    let long = "word ".repeat(100_000);
    assert_eq!(cleaned(&long).chars().count(), LONGEST + 1);
    assert_eq!(cleaned(&"x".repeat(100_000)), "The chatflow failed.");
}

#[test]
fn an_honest_answer_loses_keys_and_nothing_else() {
    let mut known = KnownSecrets::secret("correct horse");
    known.add("10.0.0.7", Placeholder::Address);
    known.settle();
    let redactor = Redactor { known };
    let honest = Bytes::from_static(b"at 10.0.0.7 /srv/x.js \xff");
    assert_eq!(redactor.without_keys(honest.clone()), honest);
    let told = redactor.without_keys(Bytes::from_static(b"correct horse at 10.0.0.7, correct%20horse"));
    assert_eq!(told, "[key] at 10.0.0.7, [key]");
}
