//! `flowgate serve`: runs until a signal says otherwise.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::print::tell;
use crate::app::{self, Gateway, KeySource, StartError};
use crate::config::{Log, LogFormat};
use crate::telemetry::logging::LogReload;

pub(super) fn run(path: &Path) -> ExitCode {
    let config = match super::load(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let log = config.log;
    let logging = LogReload::install(log).ok();
    match app::start_with(config, KeySource::File, logging) {
        Ok(gateway) => until_signalled(gateway, |gateway| announce(gateway, log)),
        Err(error) => cannot_start(error),
    }
}

pub(super) fn cannot_start(error: StartError) -> ExitCode {
    match error {
        StartError::Config(problems) => super::report(&problems),
        error => {
            tell(format_args!("{:#}", anyhow::Error::from(error)));
            ExitCode::FAILURE
        }
    }
}

/// One line per listener, in the log's format but whatever its level: scripts wait for it.
fn announce(gateway: &Gateway, log: Log) {
    let listeners = [
        ("http", gateway.http),
        ("https", gateway.https),
        ("ext_auth", gateway.ext_auth),
        ("admin", Some(gateway.admin)),
    ];
    let mut stdout = std::io::stdout().lock();
    for (listener, address) in listeners.into_iter().filter_map(|(name, address)| Some((name, address?))) {
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

/// SIGTERM and SIGINT drain, a second one stops at once; SIGHUP reloads. `announce` is called once signals are heeded:
/// whoever waits for what it prints may send one right away.
pub(super) fn until_signalled(gateway: Gateway, announce: impl FnOnce(&Gateway)) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(StartError::Thread(error)),
    };
    runtime.block_on(async {
        match wait(gateway, announce).await {
            Ok(code) => code,
            Err(error) => cannot_start(StartError::Thread(error)),
        }
    })
}

async fn wait(mut gateway: Gateway, announce: impl FnOnce(&Gateway)) -> std::io::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    announce(&gateway);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => gateway.reload_soon(),
            () = gateway.failed() => {
                tracing::error!("all workers have ended");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    tracing::info!("draining");
    tokio::select! {
        cut = gateway.drain() => {
            tracing::info!(connections_cut = cut, "stopped");
            Ok(ExitCode::SUCCESS)
        }
        _ = terminate.recv() => Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => Ok(ExitCode::FAILURE),
    }
}
