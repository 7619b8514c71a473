//! `flowgate man` and `flowgate completions`: made of the description by which arguments are read, so neither is ever
//! behind.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use super::print::{print, tell};

#[derive(Debug, Args)]
pub(super) struct ManualPages {
    /// Folder that gets a page for each command [default: only flowgate(1), to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell that reads them
    shell: Shell,
}

impl ManualPages {
    pub(super) fn run(&self) -> ExitCode {
        let command = Cli::command();
        if let Some(folder) = &self.out {
            let made = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
            return match made {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tell(format_args!("{}: {error}", folder.display()));
                    ExitCode::FAILURE
                }
            };
        }
        let mut page = Vec::new();
        match clap_mangen::Man::new(command).render(&mut page) {
            Ok(()) => printed(&page),
            Err(error) => {
                tell(format_args!("{error}"));
                ExitCode::FAILURE
            }
        }
    }
}

impl Completions {
    pub(super) fn run(&self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "flowgate", &mut script);
        printed(&script)
    }
}

fn printed(text: &[u8]) -> ExitCode {
    print(format_args!("{}", String::from_utf8_lossy(text))).err().unwrap_or(ExitCode::SUCCESS)
}
