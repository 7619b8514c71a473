use serde_json::{Value, json};

use super::{parse, run};

fn returned(code: &str) -> Result<Option<Value>, String> {
    let Value::Object(mut scope) = json!({ "$input": "Hello World", "$n": 5, "$o": { "a": ["x", "y"] }, "$s": "5" })
    else {
        panic!()
    };
    let names: Vec<String> = scope.keys().cloned().collect();
    run(&parse(code, &names)?, &mut scope)
}

/// Expected: what node says.
#[test]
fn conditions_are_evaluated_as_javascript_does() {
    for (code, value) in [
        ("if (\"hello\" == \"hello\") {\n    return true;\n}", json!(true)),
        ("return false;", json!(false)),
        ("return $input.toLowerCase().includes('world') && $n > 4", json!(true)),
        ("if ($n === '5') { return 1 } else if ($n == $s) { return 2 } else { return 3 }", json!(2)),
        ("const x = $o.a[1]; // note\nreturn x !== 'x' ? x + 1 : 'no'", json!("y1")),
        ("return $o.a.includes('x') || $missing", Value::Null),
        ("return !$o.b && $o.a.length >= 2", json!(true)),
        ("return $n - 2 < 4 - -1", json!(true)),
        ("return 'b' > 'a' === true", json!(true)),
        ("return null == undefined", json!(true)),
        ("return 0 || '' || 'last'", json!("last")),
        ("return 1 + 2 + '3'", json!("33")),
        ("return $input.startsWith('Hell') && $input.trim().endsWith(`World`)", json!(true)),
    ] {
        if value.is_null() {
            assert!(returned(code).unwrap_err().contains("does not know \"$missing\""), "{code}");
        } else {
            assert_eq!(returned(code), Ok(Some(value)), "{code}");
        }
    }
    assert_eq!(returned("if ($n < 1) { return true }"), Ok(None));
    assert_eq!(returned(""), Ok(None));
}

#[test]
fn what_is_not_simple_is_refused() {
    let deep = format!("return {}1", "(".repeat(1000));
    let nots = format!("return {}1", "!".repeat(100_000));
    let sum = format!("return 1{}", " + 1".repeat(100_000));
    let fields = format!("return $o{}", ".a".repeat(100_000));
    let doubled = format!("let x = $input; {} return x", "let x = x + x; ".repeat(100));
    for code in [
        "return fetch('x')",
        "while (true) {}",
        "for (const x of $o) {}",
        "return $input.match(/x/)",
        "return `a ${$n}`",
        "return (() => 1)()",
        "require('fs')",
        "return process.env.HOME",
        "if (true) { return 1",
        "return 'open",
        "return a = 1",
        "return new Date()",
        &deep,
        &nots,
        &sum,
        &fields,
        &doubled,
    ] {
        assert!(returned(code).is_err(), "{code}");
    }
}
