//! `flowgate serve`: runs until a signal says otherwise.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::found;
use super::print::tell;
use crate::app::{
    self, Gateway, HandOver, HandOverError, InheritedListeners, KeySource, Predecessor, StartError, StartOrigin,
    Watchdog,
};
use crate::config::{Log, LogFormat};
use crate::service::successor::StartCommand;
use crate::service::{self, notify};
use crate::telemetry::logging::LogReload;

pub(super) fn run(path: &Path) -> ExitCode {
    let origin = match origin() {
        Ok(origin) => origin,
        Err(error) => {
            tell(format_args!("{error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let config = match found::load(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    app::descriptors::make_room(config.server.max_connections);
    let log = config.log;
    let logging = LogReload::install(log).ok();
    let command = StartCommand::of_this_process();
    match app::start_with(config, KeySource::File, logging, origin) {
        Ok(gateway) => until_signalled(gateway, command.ok(), |gateway| announce(gateway, log)),
        Err(error) => cannot_start(error),
    }
}

/// Sockets that somebody else has bound: the process whose place this one takes, or systemd.
fn origin() -> anyhow::Result<StartOrigin> {
    if let Some(channel) = service::successor::predecessor()? {
        let (predecessor, listeners) = Predecessor::meet(channel).context("cannot take over from the old process")?;
        return Ok(StartOrigin { listeners, predecessor: Some(predecessor) });
    }
    let listeners = InheritedListeners::activated(service::activation::sockets()?);
    Ok(StartOrigin { listeners, predecessor: None })
}

pub(super) fn cannot_start(error: StartError) -> ExitCode {
    match error {
        StartError::Config(problems) => found::report(&problems),
        error => {
            tell(format_args!("{:#}", anyhow::Error::from(error)));
            ExitCode::FAILURE
        }
    }
}

fn listening(gateway: &Gateway) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let listeners = [
        ("http", gateway.http),
        ("https", gateway.https),
        ("ext_auth", gateway.ext_auth),
        ("admin", Some(gateway.admin)),
    ];
    listeners.into_iter().filter_map(|(name, address)| Some((name, address?)))
}

/// One line per listener, in the log's format but whatever its level: scripts wait for it.
fn announce(gateway: &Gateway, log: Log) {
    let mut stdout = std::io::stdout().lock();
    for (listener, address) in listening(gateway) {
        // A closed stdout must not end the gateway.
        let _ = match log.format {
            LogFormat::Json => writeln!(stdout, "{}", as_json(listener, address)),
            LogFormat::Text => writeln!(stdout, "listening {listener} {address}"),
        };
    }
    let _ = stdout.flush();
}

fn as_json(listener: &str, address: SocketAddr) -> serde_json::Value {
    serde_json::json!({
        "timestamp": format!("{:.3}", jiff::Timestamp::now()),
        "level": "INFO",
        "message": "listening",
        "listener": listener,
        "address": address.to_string(),
    })
}

/// SIGTERM and SIGINT drain, a second one stops at once; SIGHUP reloads; SIGUSR2 gives everything to the program as it is
/// on disk now, if it can be started again by `command`. `announce` is called once signals are heeded: whoever waits for
/// what it prints may send one right away.
pub(super) fn until_signalled(
    gateway: Gateway,
    command: Option<StartCommand>,
    announce: impl FnOnce(&Gateway),
) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(StartError::Thread(error)),
    };
    runtime.block_on(async {
        match wait(gateway, command, announce).await {
            Ok(code) => code,
            Err(error) => cannot_start(error),
        }
    })
}

/// The signals that end a process.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Why the gateway ends.
enum EndReason {
    Signal,
    /// That process is the service now.
    Successor(u32),
}

async fn wait(
    mut gateway: Gateway,
    command: Option<StartCommand>,
    announce: impl FnOnce(&Gateway),
) -> Result<ExitCode, StartError> {
    let mut end =
        EndSignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut upgrade = signal(SignalKind::user_defined2())?;
    gateway.take_over()?;
    let is_ending = Arc::new(AtomicBool::new(false));
    let watched = gateway.take_watchdog().map(|watchdog| tokio::spawn(watch(watchdog, Arc::clone(&is_ending))));
    announce(&gateway);
    let status = listening(&gateway).map(|(name, address)| format!("{name} {address}")).collect::<Vec<_>>().join(", ");
    notify::ready(&status);
    let mut reloading: Option<oneshot::Receiver<bool>> = None;
    let mut handing: Option<HandOver> = None;
    let (before, mut waits) = (gateway.before(), false);
    let reason = loop {
        tokio::select! {
            () = end.next() => break EndReason::Signal,
            _ = hang_up.recv() => {
                notify::reloading();
                reloading = gateway.reload_soon().or(reloading);
            }
            is_in_force = answer(&mut reloading) => {
                reloading = None;
                notify::ready(if is_in_force { &status } else { "the last reload was rejected: see the log" });
            }
            _ = upgrade.recv() => {
                // What the process before still counts and remembers comes here, and would be lost with this one.
                waits = !before.is_over();
                if waits {
                    tracing::info!("the upgrade begins once the process before this one has ended");
                } else {
                    handing = begin_upgrade(&gateway, command.as_ref(), handing);
                }
            }
            () = before.clone().wait(), if waits => {
                waits = false;
                handing = begin_upgrade(&gateway, command.as_ref(), handing);
            }
            outcome = outcome(&mut handing) => {
                handing = None;
                match outcome {
                    Ok(pid) => break EndReason::Successor(pid),
                    Err(error) => tracing::error!(%error, "the upgrade failed: this process goes on"),
                }
            }
            () = gateway.failed() => {
                tracing::error!("all workers have ended");
                return Ok(ExitCode::FAILURE);
            }
        }
    };
    let reason = match (reason, &mut handing) {
        (EndReason::Signal, Some(under_way)) => called_off(under_way).await,
        (reason, _) => reason,
    };
    is_ending.store(true, Ordering::Relaxed);
    if let (EndReason::Successor(_), Some(watched)) = (&reason, watched) {
        watched.abort();
    }
    Ok(finish(gateway, reason, &mut end).await)
}

/// Ends what is to be ended, unless it is too late to call it off.
async fn called_off(under_way: &mut HandOver) -> EndReason {
    under_way.call_off();
    under_way.outcome().await.map_or(EndReason::Signal, EndReason::Successor)
}

async fn finish(gateway: Gateway, reason: EndReason, end: &mut EndSignals) -> ExitCode {
    // The first signal after a hand-over asks for what goes on already.
    let (mut ended, mut signals_left): (Pin<Box<dyn Future<Output = usize>>>, usize) = match reason {
        EndReason::Signal => {
            tracing::info!("draining");
            notify::stopping("draining");
            (Box::pin(gateway.drain()), 0)
        }
        EndReason::Successor(pid) => {
            tracing::info!(pid, "handed over: what is open here goes on to its end");
            (Box::pin(gateway.leave()), 1)
        }
    };
    loop {
        tokio::select! {
            cut = ended.as_mut() => {
                tracing::info!(connections_cut = cut, "stopped");
                return ExitCode::SUCCESS;
            }
            () = end.next() => match signals_left.checked_sub(1) {
                Some(left) => signals_left = left,
                None => return ExitCode::FAILURE,
            }
        }
    }
}

fn begin_upgrade(gateway: &Gateway, command: Option<&StartCommand>, under_way: Option<HandOver>) -> Option<HandOver> {
    if under_way.is_some() {
        tracing::warn!("an upgrade is under way");
        return under_way;
    }
    let Some(command) = command else {
        tracing::warn!("there is no upgrade of this process");
        return None;
    };
    if std::process::id() == 1 {
        tracing::warn!("no upgrade of process 1: a container ends with it");
        return None;
    }
    match gateway.hand_over(command.clone()) {
        Ok(under_way) => Some(under_way),
        Err(error) => {
            tracing::error!(%error, "the upgrade failed: this process goes on");
            None
        }
    }
}

/// Never, if nothing is awaited.
async fn answer(awaited: &mut Option<oneshot::Receiver<bool>>) -> bool {
    match awaited {
        Some(awaited) => awaited.await.unwrap_or(false),
        None => std::future::pending().await,
    }
}

/// Never, if nothing is under way.
async fn outcome(under_way: &mut Option<HandOver>) -> Result<u32, HandOverError> {
    match under_way {
        Some(under_way) => under_way.outcome().await,
        None => std::future::pending().await,
    }
}

/// Tells systemd that this process is alive for as long as none of its threads stands still; while it ends, they may.
async fn watch(mut watchdog: Watchdog, is_ending: Arc<AtomicBool>) {
    loop {
        match watchdog.stopped().as_slice() {
            threads if threads.is_empty() || is_ending.load(Ordering::Relaxed) => notify::alive(),
            threads => tracing::error!(threads = threads.join(", "), "threads stand still: systemd's watchdog waits"),
        }
        tokio::time::sleep(watchdog.pause()).await;
    }
}
