//! One script: its runtime and context, and its way from the first step to its value.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{ArrayBuffer, Context, Ctx, Function, Object, Persistent, Runtime};
use tokio::sync::mpsc;

use super::host::Host;
use super::meter::Meter;
use super::sources::CORE;
use super::threads::{ScriptThread, ThreadJob, Threads};
use super::{ScriptAnswer, ScriptBounds, ScriptEnd, ScriptError, ScriptEvent, ScriptJob, ScriptValue};

/// A script's stack: some thousand calls within each other.
const STACK: usize = 1 << 20;
/// How long a script computes before others have their turn, between two of its own steps.
const TURN: Duration = Duration::from_millis(5);

/// What a script may use of the language: no code from texts, which is taken away once its own is read, no `Proxy`, of
/// which nothing else could tell how large it is, no clock finer than a millisecond, nothing that another context shares.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// Runs a script and tells what comes of it.
pub(super) async fn drive(job: ThreadJob, threads: &Threads, thread: &ScriptThread) {
    let ThreadJob { job, told, mut answered, cancelled, place } = job;
    let meter = Rc::new(Meter::new(job.bounds, cancelled));
    let host = Rc::new(Host::new(told.clone(), &job, Rc::clone(&meter)));
    let turns = Turns { threads, thread, deadline: meter.deadline() };
    turns.begin().await;
    let result = match meter.slice(|| Vm::new(&job, &host, &meter)) {
        Ok(vm) => {
            let result = vm.run(&mut answered, &turns).await;
            // Nothing of it is left when somebody hears of its end.
            meter.slice(|| drop(vm));
            result
        }
        Err(error) => Err(error),
    };
    thread.rest();
    drop(place);
    let _ = told.send(ScriptEvent::Ended(ScriptEnd { result, computed: meter.used() }));
}

/// A script's turns at computing.
struct Turns<'t> {
    threads: &'t Threads,
    thread: &'t ScriptThread,
    deadline: Instant,
}

impl Turns<'_> {
    async fn begin(&self) {
        self.threads.turn(self.thread, self.deadline).await;
    }

    /// Others have theirs.
    async fn pass(&self) {
        self.thread.rest();
        self.begin().await;
    }
}

/// Fields go in this order: values, their context, their runtime.
struct Vm {
    api: Api,
    context: Context,
    runtime: Runtime,
    bounds: ScriptBounds,
    host: Rc<Host>,
    meter: Rc<Meter>,
}

/// The shims' functions that the host calls.
struct Api {
    answer: Persistent<Function<'static>>,
    next: Persistent<Function<'static>>,
    fire: Persistent<Function<'static>>,
}

/// What a wait has brought.
enum Woken {
    Answer(ScriptAnswer),
    Timer,
}

impl Vm {
    /// With its first steps done, to the first thing that it waits for.
    fn new(job: &ScriptJob, host: &Rc<Host>, meter: &Rc<Meter>) -> Result<Self, ScriptError> {
        let out_of_memory = |_| ScriptError::Memory(job.bounds.memory);
        let runtime = Runtime::new().map_err(out_of_memory)?;
        runtime.set_memory_limit(job.bounds.memory);
        runtime.set_max_stack_size(STACK);
        let own = Rc::clone(meter);
        runtime.set_interrupt_handler(Some(Box::new(move || own.must_stop())));
        let context = Context::builder().with::<Intrinsics>().build(&runtime).map_err(out_of_memory)?;
        let begun = context.with(|ctx| begin(&ctx, job, host).map_err(|error| thrown(&ctx, &error)));
        let bounds = job.bounds;
        match begun {
            Ok(api) => Ok(Self { api, context, runtime, bounds, host: Rc::clone(host), meter: Rc::clone(meter) }),
            Err(words) => Err(meter.error().unwrap_or_else(|| worded(words, bounds))),
        }
    }

    async fn run(
        &self,
        answered: &mut mpsc::UnboundedReceiver<ScriptAnswer>,
        turns: &Turns<'_>,
    ) -> Result<ScriptValue, ScriptError> {
        loop {
            self.jobs(turns).await;
            if let Some(settled) = self.host.take_settled() {
                return settled.map_err(|error| match error {
                    ScriptError::Thrown(words) => worded(words, self.bounds),
                    error => error,
                });
            }
            if let Some(error) = self.meter.error() {
                return Err(error);
            }
            let woken = self.woken(answered, turns.thread).await?;
            turns.begin().await;
            match woken {
                Woken::Answer(answer) => self.answer(answer),
                Woken::Timer => {
                    self.call(&self.api.fire, |ctx, fire| fire.call::<_, ()>(()).map_err(|error| thrown(ctx, &error)));
                }
            }
        }
    }

    /// Whatever can be done now.
    async fn jobs(&self, turns: &Turns<'_>) {
        let mut begun = Instant::now();
        while !self.host.has_settled() && !self.meter.must_stop() {
            // What a step of its own throws, somebody in the script was told.
            if let Ok(false) = self.meter.slice(|| self.runtime.execute_pending_job()) {
                break;
            }
            if begun.elapsed() > TURN {
                turns.pass().await;
                begun = Instant::now();
            }
        }
    }

    async fn woken(
        &self,
        answered: &mut mpsc::UnboundedReceiver<ScriptAnswer>,
        thread: &ScriptThread,
    ) -> Result<Woken, ScriptError> {
        let next = self.meter.slice(|| {
            self.context.with(|ctx| {
                let next = self.api.next.clone().restore(&ctx)?;
                next.call::<_, f64>(())
            })
        });
        let wait = next.ok().filter(|wait| *wait >= 0.0).map(|wait| Duration::from_secs_f64((wait / 1000.0).min(1e6)));
        if wait.is_none() && !self.host.is_asking() {
            let is_full = self.runtime.memory_usage().malloc_size.unsigned_abs() > self.bounds.memory as u64 / 2;
            return Err(if is_full { ScriptError::Memory(self.bounds.memory) } else { ScriptError::Idle });
        }
        let deadline = self.meter.deadline();
        let timer = wait.map_or(deadline, |wait| (Instant::now() + wait).min(deadline));
        thread.rest();
        tokio::select! {
            answer = answered.recv() => answer.map(Woken::Answer).ok_or(ScriptError::Cancelled),
            () = tokio::time::sleep_until(timer.into()) => Ok(Woken::Timer),
        }
    }

    fn answer(&self, ScriptAnswer { id, result }: ScriptAnswer) {
        self.host.answered(id);
        self.call(&self.api.answer, |ctx, answer| {
            let told = match result {
                Ok((head, bytes)) => {
                    let bytes = ArrayBuffer::new_copy(ctx.clone(), &bytes);
                    bytes.and_then(|bytes| answer.call::<_, ()>((id, true, head, bytes)))
                }
                Err(words) => answer.call((id, false, words)),
            };
            told.map_err(|error| thrown(ctx, &error))
        });
    }

    /// Calls one of the shims' functions. What goes wrong there ends the script.
    fn call(
        &self,
        function: &Persistent<Function<'static>>,
        work: impl for<'js> FnOnce(&Ctx<'js>, Function<'js>) -> Result<(), String>,
    ) {
        let done = self.meter.slice(|| {
            self.context.with(|ctx| {
                let function = function.clone().restore(&ctx).map_err(|error| error.to_string())?;
                work(&ctx, function)
            })
        });
        if let Err(words) = done {
            self.host.fail(words);
        }
    }
}

fn begin(ctx: &Ctx<'_>, job: &ScriptJob, host: &Rc<Host>) -> rquickjs::Result<Api> {
    let shims: Function<'_> = ctx.eval(CORE)?;
    let api: Object<'_> = shims.call((host.object(ctx)?,))?;
    let mut options = EvalOptions::default();
    // As Flowise runs it.
    options.strict = false;
    options.filename = Some("script.js".to_owned());
    let code: Function<'_> = ctx.eval_with_options(format!("(async function () {{{}\n}})", job.code), options)?;
    let given = Object::new(ctx.clone())?;
    given.set("values", job.values.as_str())?;
    given.set("tools", job.tools.clone())?;
    let begin: Function<'_> = api.get("begin")?;
    begin.call::<_, ()>((code, given))?;
    let kept = |name: &str| Ok::<_, rquickjs::Error>(Persistent::save(ctx, api.get::<_, Function<'_>>(name)?));
    Ok(Api { answer: kept("answer")?, next: kept("next")?, fire: kept("fire")? })
}

/// What was thrown, in words.
fn thrown(ctx: &Ctx<'_>, error: &rquickjs::Error) -> String {
    if !error.is_exception() {
        return error.to_string();
    }
    let value = ctx.catch();
    match value.as_exception() {
        Some(exception) => {
            let name: Option<String> = exception.get("name").ok();
            let message = exception.message().unwrap_or_default();
            format!("{}: {message}", name.as_deref().unwrap_or("Error"))
        }
        None => value.get::<rquickjs::Coerced<String>>().map_or_else(|_| String::from("null"), |text| text.0),
    }
}

/// What a script threw, as an error: in V8's words where they are other ones.
fn worded(words: String, bounds: ScriptBounds) -> ScriptError {
    // Where there is no room for an error, null is thrown.
    if words.contains("out of memory") || words == "null" {
        return ScriptError::Memory(bounds.memory);
    }
    let reading = words.strip_prefix("TypeError: cannot read property '").and_then(|rest| rest.split_once("' of "));
    if let Some((name, of)) = reading.filter(|(_, of)| matches!(*of, "undefined" | "null")) {
        return ScriptError::Thrown(format!("TypeError: Cannot read properties of {of} (reading '{name}')"));
    }
    ScriptError::Thrown(words)
}
