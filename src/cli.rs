//! The commands: `serve`, `demo`, `check`, `keys`, `flows`.
//!
//! Exit codes: 0 clean, 1 runtime failure, 2 bad usage or configuration.

mod check;
mod demo;
mod flows;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Problems};
use crate::keys;

/// Bad usage or configuration.
const BAD_CONFIG: u8 = 2;

/// An authenticating gateway in front of Flowise.
#[derive(Debug, Parser)]
#[command(name = "flowgate", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(ConfigFile),
    /// Run on loopback with a built-in flow and a fresh key
    Demo(demo::Demo),
    /// Validate configuration, keys, certificates and flows
    Check(ConfigFile),
    /// Edit the keys file
    #[command(subcommand)]
    Keys(keys::command::Command),
    /// Look at flows for the built-in engine
    #[command(subcommand)]
    Flows(flows::Command),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file [default: ./config/flowgate.yaml, then /etc/flowgate/flowgate.yaml]
    #[arg(long, value_name = "FILE", env = "FLOWGATE_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn path(self) -> PathBuf {
        find_config(self.config)
    }
}

fn find_config(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| {
        let local = Path::new("config/flowgate.yaml");
        if local.exists() { local.to_owned() } else { PathBuf::from("/etc/flowgate/flowgate.yaml") }
    })
}

impl Cli {
    /// Runs the command to its end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(file) => serve::run(&file.path()),
            Command::Demo(demo) => demo.run(),
            Command::Check(file) => check::run(&file.path()),
            Command::Keys(command) => edit_keys(&command),
            Command::Flows(command) => command.run(),
        }
    }
}

/// Reads the configuration, or says everything that is wrong with it.
fn load(path: &Path) -> Result<Config, ExitCode> {
    config::load(path).map_err(|problems| report(&problems))
}

fn report(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(BAD_CONFIG)
}

fn edit_keys(command: &keys::command::Command) -> ExitCode {
    let (file, config) = match command.file() {
        Some(file) => (file.to_owned(), None),
        // Without `--file`, the configuration says which file, and which plans and chatflows there are.
        None => match load(&find_config(std::env::var_os("FLOWGATE_CONFIG").map(PathBuf::from))) {
            Ok(config) => (config.keys_file.clone(), Some(config)),
            Err(code) => return code,
        },
    };
    let known = config.as_ref().map(keys::Known::of);
    match command.run(&file, known.as_ref().map(keys::Known::names).as_ref(), jiff::Timestamp::now()) {
        Ok(output) => {
            print!("{}", output.stdout.expose());
            eprint!("{}", output.stderr);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let is_runtime_failure = error.is_runtime_failure();
            eprintln!("{:#}", anyhow::Error::from(error));
            if is_runtime_failure { ExitCode::FAILURE } else { ExitCode::from(BAD_CONFIG) }
        }
    }
}
