//! The commands: `serve`, `demo`, `check`, `adopt`, `keys`, `flows`, `explain`, `top`, `man`, `completions`.
//!
//! Exit codes: 0 clean, 1 runtime failure, 2 bad usage or configuration; of `adopt` 3: some flow needs something.

mod admin_client;
mod adopt;
mod check;
mod demo;
mod explain;
mod flows;
mod found;
mod manual;
mod print;
mod serve;
mod top;
mod usage;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::found::{BAD_CONFIG, configured_by_environment, named_or_found};
use self::print::{print, tell};
use crate::config::{self, Config};
use crate::keys;

/// An authenticating gateway in front of Flowise.
#[derive(Debug, Parser)]
#[command(name = "flowgate", version = version::SHORT, long_version = version::LONG, about)]
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
    Check(CheckCommand),
    /// Make a folder that runs of what a Flowise has: flows, keys, credentials, chats
    Adopt(adopt::AdoptCommand),
    /// Edit the keys file, and see what keys use
    #[command(subcommand)]
    Keys(KeysGroup),
    /// Say what would become of a request, or what became of one that was refused
    Explain(Box<explain::Explain>),
    /// Watch a gateway that runs
    Top(top::Top),
    /// Look at flows for the built-in engine
    #[command(subcommand)]
    Flows(flows::FlowsCommand),
    /// Print the manual page, or write one for each command
    Man(manual::ManualPages),
    /// Print completions for a shell
    Completions(manual::Completions),
}

#[derive(Debug, Subcommand)]
enum KeysGroup {
    #[command(flatten)]
    Edit(keys::command::KeysCommand),
    /// Show what keys have used in a month
    Usage(usage::ShowUsage),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file [default: ./config/flowgate.yaml, then /etc/flowgate/flowgate.yaml]
    #[arg(long, value_name = "FILE", env = "FLOWGATE_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CheckCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask every Flowise, identity provider and the shared store as well whether they work
    #[arg(long)]
    online: bool,
}

impl Cli {
    /// Runs the command to its end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(file) => named_or_found(file.config).map_or_else(|code| code, |path| serve::run(&path)),
            Command::Demo(demo) => demo.run(),
            Command::Check(CheckCommand { file, online }) => {
                named_or_found(file.config).map_or_else(|code| code, |path| check::run(&path, online))
            }
            Command::Adopt(command) => command.run(),
            Command::Keys(KeysGroup::Edit(command)) => edit_keys(&command),
            Command::Keys(KeysGroup::Usage(command)) => {
                configured_by_environment().map_or_else(|code| code, |path| command.run(&path))
            }
            Command::Explain(command) => command.run(),
            Command::Top(command) => command.run(),
            Command::Flows(command) => command.run(),
            Command::Man(pages) => pages.run(),
            Command::Completions(completions) => completions.run(),
        }
    }
}

fn edit_keys(command: &keys::command::KeysCommand) -> ExitCode {
    let (file, config, gateway) = match command.file() {
        Some(file) => (file.to_owned(), None, None),
        // Without `--file`, the configuration says which file, and which plans and chatflows there are.
        None => match configured_by_environment().and_then(configured) {
            Ok(Configured::Whole(config, path)) => (config.keys_file.clone(), Some(*config), Some(path)),
            Ok(Configured::Broken(keys_file)) => (keys_file, None, None),
            Err(code) => return code,
        },
    };
    let known = config.as_ref().map(keys::AllowedNames::of);
    let place = keys::command::CommandContext {
        file: &file,
        gateway: gateway.as_deref(),
        names: known.as_ref().map(keys::AllowedNames::names),
    };
    match command.run(&place, jiff::Timestamp::now()) {
        Ok(output) => {
            let printed = print(format_args!("{}", output.stdout.expose()));
            if !output.stderr.is_empty() {
                tell(format_args!("{}", output.stderr.trim_end_matches('\n')));
            }
            printed.err().unwrap_or(ExitCode::SUCCESS)
        }
        Err(error) => {
            let is_runtime_failure = error.is_runtime_failure();
            tell(format_args!("{:#}", anyhow::Error::from(error)));
            if is_runtime_failure { ExitCode::FAILURE } else { ExitCode::from(BAD_CONFIG) }
        }
    }
}

/// What the `keys` commands work with.
enum Configured {
    /// With the file that it was read from.
    Whole(Box<Config>, PathBuf),
    /// It has mistakes, which must not keep a key from being revoked: the keys file.
    Broken(PathBuf),
}

fn configured(path: PathBuf) -> Result<Configured, ExitCode> {
    let problems = match Config::load(&path) {
        Ok(config) => return Ok(Configured::Whole(Box::new(config), path)),
        Err(problems) => problems,
    };
    tell(format_args!("{problems}"));
    let Some(file) = config::load::keys_file(&path) else {
        tell(format_args!("which keys file {} means cannot be told: name it with --file", path.display()));
        return Err(ExitCode::from(BAD_CONFIG));
    };
    tell(format_args!(
        "warning: the configuration has mistakes, so plans and chatflows are not checked; the keys file is {}",
        file.display()
    ));
    Ok(Configured::Broken(file))
}
