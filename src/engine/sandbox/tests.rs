//! Scripts in their box, without a flow around them.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;

/// Published ways out, and ways to hurt.
const ESCAPES: &str = include_str!("tests/escapes.txt");

const BOUNDS: ScriptBounds =
    ScriptBounds { memory: 16 << 20, compute: Duration::from_millis(250), time: Duration::from_secs(2) };

fn sandbox() -> Sandbox {
    Sandbox::new(&Metrics::new().unwrap())
}

fn job(code: &str, bounds: ScriptBounds) -> ScriptJob {
    let values =
        json!({ "$input": "hi", "$vars": { "v": 1 }, "$flow": { "state": {} }, "$x": { "y": [1] } }).to_string();
    let modules = crate::config::ScriptSettings::default().modules;
    ScriptJob { code: code.into(), values, tools: Vec::new(), modules, bounds }
}

/// Runs a script; whatever it asks for is a page with its own address, or a row with its statement.
async fn ended(sandbox: &Sandbox, job: ScriptJob) -> ScriptEnd {
    let mut running = sandbox.begin(job).await.unwrap();
    loop {
        match running.next().await {
            ScriptEvent::Asks { id, question } => {
                let asked: Value = serde_json::from_str(&question.head).unwrap_or_default();
                let head = json!({ "status": 200, "headers": [["content-type", "text/plain"]], "url": asked["url"] });
                let columns = json!([["n", 23], ["at", 1184], ["b", 17], ["asked", 25]]);
                let row = json!([1, "2026-01-02T03:04:05.000Z", { "type": "Buffer", "data": [104] }, question.head]);
                let rows = json!({ "columns": columns, "rows": [row], "tag": "SELECT 1" });
                let head = if question.kind == "postgres" { rows } else { head };
                let body = [question.head.as_bytes(), b"|", &question.body].concat();
                running.answer(ScriptAnswer { id, result: Ok((head.to_string(), body)) });
            }
            ScriptEvent::Says { .. } => {}
            ScriptEvent::Ended(end) => return end,
        }
    }
}

fn with<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn value(code: &str) -> Result<ScriptValue, ScriptError> {
    with(async { ended(&sandbox(), job(code, BOUNDS)).await }).result
}

fn text(code: &str) -> String {
    match value(code) {
        Ok(ScriptValue::Text(text) | ScriptValue::Json(text)) => text,
        other => panic!("{code}: {other:?}"),
    }
}

#[test]
fn nothing_gets_out_and_nothing_hurts() {
    let cases: Vec<(&str, &str)> = ESCAPES.split("\n=== ").skip(1).filter_map(|case| case.split_once('\n')).collect();
    assert!(cases.len() > 200, "{}", cases.len());
    with(async {
        let sandbox = sandbox();
        for (name, code) in cases {
            let begun = Instant::now();
            let end = ended(&sandbox, job(code, BOUNDS)).await;
            if let Ok(ScriptValue::Text(text) | ScriptValue::Json(text)) = &end.result {
                assert!(!text.contains("OUT"), "{name}: {text}");
            }
            assert_ne!(end.result, Err(ScriptError::Lost), "{name}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
            // The next finds nothing of it.
            let next = ended(&sandbox, job("return [typeof leak, ({}).url, [].indexOf(1), `${[1, 2]}`]", BOUNDS)).await;
            assert_eq!(next.result, Ok(ScriptValue::Json(r#"["undefined",null,-1,"1,2"]"#.to_owned())), "{name}");
        }
    });
}

#[test]
fn bounds_are_named() {
    let error = |code: &str| value(code).unwrap_err();
    // What is counted in time of the processor has it, however busy the machine is.
    let greedy = |code: &str| {
        let bounds = ScriptBounds { time: Duration::from_mins(1), ..BOUNDS };
        with(async { ended(&sandbox(), job(code, bounds)).await }).result.unwrap_err()
    };
    assert_eq!(greedy("while (true);"), ScriptError::Compute(BOUNDS.compute));
    assert_eq!(greedy("const a = []; while (true) a.push('x'.repeat(1000))"), ScriptError::Memory(BOUNDS.memory));
    assert_eq!(error("await new Promise((r) => setTimeout(r, 60000))"), ScriptError::Time(BOUNDS.time));
    assert_eq!(error("return 'x'.repeat(5 * 1024 * 1024)"), ScriptError::Output);
    assert_eq!(error("await new Promise(() => {})"), ScriptError::Idle);
    let told = ScriptError::Compute(BOUNDS.compute).to_string();
    assert_eq!(told, "RangeError: the script met its limit of 250ms of computing (engine.scripts.compute)");
}

/// Each step of them takes as long as what it goes over is large.
#[test]
fn scripts_of_few_long_steps_end_in_time() {
    let object = "const o = {}; for (let i = 0; i < 60000; i++) o['k' + i] = i;";
    let long = "const s = 'ab'.repeat(1 << 19);";
    for code in [
        format!("{object} while (true) Object.keys(o)"),
        format!("{object} while (true) for (const name of ['seal', 'isFrozen']) Object[name](o)"),
        format!("{object} while (true) try {{ Reflect.ownKeys(o) }} catch {{}}"),
        "const p = Array(1000).fill('[a-z]{1,3}x').join('|'); while (true) new RegExp(p + 1)".to_owned(),
        "const p = Array(1000).fill('[a-z]{1,3}x').join('|'); while (true) RegExp(p)".to_owned(),
        format!("{long} while (true) JSON.stringify(s)"),
        format!("{long} const j = JSON.stringify(s); while (true) JSON.parse(j)"),
        format!("{long} while (true) s.toUpperCase()"),
        format!("{long} while (true) encodeURIComponent(s)"),
        format!("{long} const c = require('crypto'); while (true) c.createHash('sha512').update(s).digest()"),
        "const a = new Float64Array(100000).map(Math.random); while (true) a.toSorted()".to_owned(),
        "const n = 3n ** 20000n; while (true) n.toString()".to_owned(),
        "const q = Array(60000).fill(1); while (true) Math.max.apply(null, q)".to_owned(),
    ] {
        let end = with(async {
            let bounds = ScriptBounds { time: Duration::from_mins(1), ..BOUNDS };
            let sandbox = sandbox();
            let end = ended(&sandbox, job(&code, bounds)).await;
            assert_eq!(sandbox.0.leave_behind(), 0, "{code}");
            end
        });
        assert_eq!(end.result, Err(ScriptError::Compute(BOUNDS.compute)), "{code}");
    }
}

/// Of what is written with signs nothing looks up.
#[test]
fn who_waits_for_a_script_that_hangs_is_told_in_time_and_others_run() {
    let hanging = "const n = 3n ** 60000n; while (true) n * n";
    with(async {
        let sandbox = sandbox();
        let bounds = ScriptBounds { time: Duration::from_mins(10), ..BOUNDS };
        for _ in 0..2 {
            let (hung, other) = tokio::join!(ended(&sandbox, job(hanging, bounds)), async {
                ended(&sandbox, job("await new Promise((r) => setTimeout(r, 10)); return 1", bounds)).await.result
            });
            assert_eq!(hung.result, Err(ScriptError::Compute(BOUNDS.compute)));
            assert!(hung.computed > BOUNDS.compute);
            assert_eq!(other, Ok(ScriptValue::Json("1".to_owned())));
        }
        // One that nobody waits for any more does not keep its turn either.
        drop(sandbox.begin(job(hanging, bounds)).await.unwrap());
        let all = futures_util::future::join_all((0..8).map(|_| ended(&sandbox, job("return 1", bounds)))).await;
        assert!(all.iter().all(|end| end.result == Ok(ScriptValue::Json("1".to_owned()))), "{all:?}");
    });
}

#[test]
fn scripts_that_wait_do_not_wait_for_each_other() {
    with(async {
        let sandbox = sandbox();
        let waits = |_| ended(&sandbox, job("await new Promise((r) => setTimeout(r, 500)); return 1", BOUNDS));
        let begun = Instant::now();
        let all = futures_util::future::join_all((0..20).map(waits)).await;
        assert!(all.iter().all(|end| end.result == Ok(ScriptValue::Json("1".to_owned()))));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}

#[test]
fn one_that_nobody_waits_for_ends() {
    with(async {
        let sandbox = sandbox();
        let bounds = ScriptBounds { compute: Duration::from_mins(1), time: Duration::from_mins(1), ..BOUNDS };
        let mut running = sandbox.begin(job("console.log('begun'); while (true);", bounds)).await.unwrap();
        assert!(matches!(running.next().await, ScriptEvent::Says { .. }));
        drop(running);
        // Its turn is there for others.
        for _ in 0..8 {
            assert_eq!(ended(&sandbox, job("return 1", BOUNDS)).await.result, Ok(ScriptValue::Json("1".to_owned())));
        }
    });
}

#[test]
fn code_is_sloppy_and_finds_what_it_is_given() {
    assert_eq!(text("undeclared = 1; return $input + $vars.v + $x.y[0] + typeof $flow.state"), "hi11object");
    assert_eq!(text("if (true) { return { a: [1, null], b: undefined } }"), r#"{"a":[1,null]}"#);
    assert_eq!(value("const x = 1"), Ok(ScriptValue::Nothing));
    assert_eq!(
        value("return null.x").unwrap_err().to_string(),
        "TypeError: Cannot read properties of null (reading 'x')"
    );
    assert_eq!(value("nowhere()").unwrap_err().to_string(), "ReferenceError: nowhere is not defined");
    assert_eq!(value("throw new Error('mine')").unwrap_err().to_string(), "Error: mine");
    assert_eq!(text("return await Promise.all([1, Promise.resolve(2)])"), "[1,2]");
}

/// Expected: what Node says.
#[test]
fn shims_do_as_what_they_stand_for() {
    for (code, expected) in include_str!("tests/shims.txt").split("\n=== ").skip(1).filter_map(|case| {
        let (code, expected) = case.rsplit_once("\n--- ")?;
        Some((code.split_once('\n')?.1, expected.trim_end()))
    }) {
        assert_eq!(text(code), expected, "{code}");
    }
}

#[test]
fn every_module_has_a_shim() {
    let settings = crate::config::ScriptSettings::default();
    for name in settings.modules.iter().map(|name| &**name).chain(sources::BUILTINS.iter().copied()) {
        assert_eq!(text(&format!("return typeof require('{name}') !== 'undefined'")), "true", "{name}");
    }
}
