//! `flowgate demo`: the gateway on loopback with a built-in flow and a fresh key, nothing to set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::print::{print, tell};
use super::serve::{cannot_start, until_signalled};
use crate::app::{self, KeySource, StartError, StartOrigin};
use crate::config::{
    Admin, AuthFailures, Chatflow, Config, Cors, Log, LogFormat, LogLevel, Plan, Secret, SecretFile, Server, Upstream,
    UpstreamKind,
};
use crate::keys::{Key, KeyStore, secret};
use crate::telemetry::logging::LogReload;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Port on loopback; 0 takes a free one [default: 8080, or a free one if that is taken]
    #[arg(long)]
    port: Option<u16>,
}

impl Demo {
    pub(super) fn run(self) -> ExitCode {
        let secret = match secret::generate(secret::KeyKind::Secret) {
            Ok(secret) => secret,
            Err(error) => {
                tell(format_args!("{error}"));
                return ExitCode::FAILURE;
            }
        };
        let start = |port| {
            let config = config(port);
            let keys = KeyStore::from_iter([Key::new("demo", secret::digest(secret.expose()))]);
            app::start_with(config, KeySource::Fixed(keys), None, StartOrigin::default())
        };
        let started = match self.port {
            Some(port) => start(port),
            None => match start(8080) {
                Err(StartError::Listen { .. }) => start(0),
                started => started,
            },
        };
        let gateway = match started {
            Ok(gateway) => gateway,
            Err(error) => return cannot_start(error),
        };
        // After the addresses are known, so that the log does not come first.
        let _ = LogReload::install(LOG);
        until_signalled(gateway, None, |gateway| {
            if let Some(address) = gateway.http {
                // Nobody need read it for the demo to go on.
                let _ = print(format_args!("{}\n", greeting(address, gateway.admin, &secret)));
            }
        })
    }
}

const LOG: Log = Log { level: LogLevel::Info, format: LogFormat::Text, access: true };

fn greeting(address: SocketAddr, admin: SocketAddr, secret: &Secret) -> String {
    let key = secret.expose();
    format!(
        "flowgate demo on http://{address} (console on http://{admin}/), until Ctrl-C\n\
         \n\
         Open it in a browser, with all that stands behind the #:\n\
         \n\
         http://{address}/#{key}\n\
         \n\
         Its chatflow answers questions about flowgate from its pages: no network, no model, only quotes.\n\
         \n\
         key: {key}\n\
         \n\
         One answer:\n\
         \n\
         curl -s http://{address}/api/v1/prediction/demo -H 'X-API-KEY: {key}' \\\n  \
           -H 'Content-Type: application/json' -d '{{\"question\":\"What is flowgate?\"}}'\n\
         \n\
         A stream:\n\
         \n\
         curl -sN http://{address}/api/v1/prediction/demo -H 'X-API-KEY: {key}' \\\n  \
           -H 'Content-Type: application/json' -d '{{\"question\":\"What does exit code 2 mean?\",\"streaming\":true}}'\n"
    )
}

fn config(port: u16) -> Config {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Config {
        path: PathBuf::from("demo"),
        server: Server { listen: Some(loopback(port)), workers: NonZeroUsize::MIN, ..Server::default() },
        admin: Admin { listen: loopback(0), console: true, token: None, hosts: Vec::new() },
        log: LOG,
        upstreams: vec![Upstream { name: "demo".into(), kind: UpstreamKind::Demo }],
        keys_file: PathBuf::from("demo"),
        plans: ["default", "anonymous"].map(|name| Plan::new(name, 60, 10, 8)).into(),
        cors: Cors::default(),
        auth_failures: Some(AuthFailures::default()),
        state_dir: PathBuf::from("demo"),
        names_state_dir: false,
        valkey: None,
        otlp: None,
        session_secret: None,
        chatflows: vec![Arc::new(Chatflow { isolate_sessions: false, ..Chatflow::named("demo") })],
        wildcard: None,
        identity: Vec::new(),
        source: SecretFile::new(PathBuf::new(), Vec::new()),
        places: Arc::default(),
        secret_files: Vec::new(),
    }
}
