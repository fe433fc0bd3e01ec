// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `rondo run`: VMs from files or from flags, until their guests end.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Failure;
use crate::config::{ConfigError, SharingOptions, VmOptions, VmSpec, named_after, read_vm_file};
use crate::session::{Console, Ending, Plan, Session};
use crate::vm::VmOutcome;

/// `rondo run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// VMs, one TOML file each, with the names of the flags below as keys; flags given beside one file win over it
    #[arg(value_name = "VM.toml")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    vm: VmOptions,
    #[command(flatten)]
    sharing: SharingOptions,
    /// Stop after this many seconds, which counts as a failure
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,
    /// Where the report goes at the end
    #[arg(long, value_name = "REPORT.json")]
    json: Option<PathBuf>,
    /// Write who had the GPU when, for the Perfetto UI (ui.perfetto.dev)
    #[arg(long, value_name = "TRACE.pftrace")]
    trace: Option<PathBuf>,
    /// Write each event that the scheduler is told and each of its answers, for `rondo-simulator replay`
    #[arg(long, value_name = "JOURNAL")]
    record: Option<PathBuf>,
    /// Listen here for `rondo ctl`
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

impl RunArgs {
    /// Runs the VMs.
    ///
    /// # Errors
    /// The VMs cannot be built, a guest died, or a result cannot be written.
    pub fn execute(self) -> Result<(), Failure> {
        let vms = specs(&self.files, self.vm)?;
        let console = if vms.len() == 1 {
            Console::Terminal
        } else {
            Console::Lines
        };
        let mut session = Session::launch(Plan {
            sharing: self.sharing.resolve().map_err(Failure::Usage)?,
            vms,
            console,
            control: self.control,
            trace: self.trace,
            record: self.record,
        })?;
        let ending = session.wait(self.timeout.map(Duration::from_secs), &mut |_| {})?;
        let report = session.report();
        let finished = session.finish();
        if let Some(path) = &self.json {
            report.write(path).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
        }
        // How a guest died says more than that it left no picture.
        verdict(ending, finished.outcomes, self.timeout)?;
        finished.written
    }
}

/// One VM per file; or the flags' VM if there is none.
fn specs(files: &[PathBuf], flags: VmOptions) -> Result<Vec<VmSpec>, Failure> {
    let vms = match files {
        [] => vec![flags.resolve("vm")?],
        [file] => vec![
            flags
                .over(read_vm_file(file)?)
                .resolve(&named_after(file))?,
        ],
        _ if !flags.is_empty() => {
            return Err(Failure::Usage(
                "a VM's flags do not go with several files; write them into the files".to_owned(),
            ));
        }
        _ => files
            .iter()
            .map(|file| read_vm_file(file)?.resolve(&named_after(file)))
            .collect::<Result<_, ConfigError>>()?,
    };
    let mut names = HashSet::new();
    match vms.iter().find(|vm| !names.insert(vm.name.as_str())) {
        Some(twice) => Err(ConfigError::DuplicateName {
            name: twice.name.clone(),
        }
        .into()),
        None => Ok(vms),
    }
}

fn verdict(
    ending: Ending,
    outcomes: Vec<(String, VmOutcome)>,
    timeout: Option<u64>,
) -> Result<(), Failure> {
    let mut running = Vec::new();
    for (name, outcome) in outcomes {
        match outcome {
            VmOutcome::Died(death) => {
                return Err(Failure::GuestDied {
                    name,
                    how: death.to_string(),
                });
            }
            VmOutcome::Stopped => running.push(name),
            VmOutcome::PoweredOff | VmOutcome::Reset => log::info!("{name}: {outcome}"),
        }
    }
    match (ending, timeout) {
        (Ending::TimedOut, Some(seconds)) => Err(Failure::TimedOut {
            names: running.join(", "),
            seconds,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a temporary file");
        path
    }

    #[test]
    fn without_a_file_the_flags_are_the_vm_and_without_both_the_remedy_is_named() {
        let flags = VmOptions {
            kernel: Some("k".into()),
            ..VmOptions::default()
        };
        assert_eq!(specs(&[], flags).expect("a VM")[0].name, "vm");
        let message = specs(&[], VmOptions::default())
            .expect_err("no kernel")
            .to_string();
        assert!(message.contains("--kernel"), "{message}");
    }

    #[test]
    fn several_files_are_several_vms_with_names_of_their_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let a = file(folder.path(), "a.toml", "kernel = \"builtin:demo\"\n");
        let b = file(folder.path(), "b.toml", "kernel = \"builtin:demo\"\n");
        let vms = specs(&[a.clone(), b], VmOptions::default()).expect("two VMs");
        assert_eq!(
            vms.iter().map(|vm| vm.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        let twice = specs(&[a.clone(), a.clone()], VmOptions::default()).expect_err("one name");
        assert!(twice.to_string().contains("'a'"), "{twice}");
        let flags = VmOptions {
            cpus: Some(2),
            ..VmOptions::default()
        };
        let mixed = specs(&[a.clone(), a], flags).expect_err("flags and files");
        assert_eq!(mixed.code(), 2);
    }
}
