// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `rondo ctl`: asks a running `rondo run --control SOCKET`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{Failure, say};
use crate::config::{Duration, GpuOptions, PolicyChoice, PriorityChoice, Share};
use crate::control::{Answer, Request, ask};

/// `rondo ctl`.
#[derive(Args, Debug)]
pub struct CtlArgs {
    /// The socket given to `rondo run --control`
    #[arg(value_name = "SOCKET")]
    socket: PathBuf,
    /// The VM, by its name, if there are several
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    #[command(subcommand)]
    request: CtlRequest,
}

#[derive(Clone, Debug, Subcommand)]
enum CtlRequest {
    /// Give a monitor another size, or plug it in
    Resize {
        /// The new size, like 1920x1080
        #[arg(value_name = "WIDTHxHEIGHT")]
        size: SizeText,
        /// Which scanout, from 0
        #[arg(long, default_value_t = 0)]
        scanout: u32,
    },
    /// Unplug a monitor
    Unplug {
        /// Which scanout, from 0
        #[arg(long, default_value_t = 0)]
        scanout: u32,
    },
    /// Write what the VM shows to a PNG file
    Screenshot {
        /// The file; further scanouts get -1, -2, ... before the extension
        #[arg(value_name = "FILE.png")]
        file: PathBuf,
    },
    /// Change the VM's guaranteed part of the GPU
    Guarantee {
        /// The new guarantee, like 25%
        share: Share,
    },
    /// Change the part of the GPU that the VM never exceeds
    Limit {
        /// The new limit, like 50%, or none
        #[arg(value_name = "P%|none")]
        limit: LimitText,
    },
    /// Change how long the VM keeps the GPU before an equal claim is preferred
    Slice {
        /// The new slice, like 2ms; 100us to 100ms
        #[arg(value_name = "TIME", value_parser = slice)]
        slice: Duration,
    },
    /// Change who gets time first that is lent
    Priority {
        /// The new priority
        priority: PriorityChoice,
    },
    /// Let a VM that was quarantined for its hangs use the GPU again
    Pardon,
    /// Share the GPU in another way, at once; what each VM owes it goes on owing
    Policy {
        /// The new policy
        policy: PolicyChoice,
    },
    /// Start another VM beside those that run; its guarantee must fit, and if it asks for none it is what is left
    Add {
        /// Its file, as for `rondo run`
        #[arg(value_name = "VM.toml")]
        file: PathBuf,
    },
    /// Stop the VM; what it was guaranteed is free for others then
    Stop,
    /// Print what the VMs have used so far, as JSON
    Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SizeText {
    width: u32,
    height: u32,
}

impl FromStr for SizeText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('x')
            .and_then(|(width, height)| {
                Some(Self {
                    width: width.parse().ok()?,
                    height: height.parse().ok()?,
                })
            })
            .ok_or_else(|| format!("'{text}' is no size; write one like 1920x1080"))
    }
}

/// A limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LimitText(Option<Share>);

impl FromStr for LimitText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        match text.parse() {
            Ok(Share(0)) => Err("a limit of 0% would stop the VM; use stop for that".to_owned()),
            Ok(limit) => Ok(Self(Some(limit))),
            Err(_) => Err(format!(
                "'{text}' is no limit; write one up to 100%, like 50%, or none"
            )),
        }
    }
}

fn slice(text: &str) -> Result<Duration, String> {
    let slice = text.parse()?;
    GpuOptions::check_slice(slice).map_err(|problem| format!("the slice {problem}"))?;
    Ok(slice)
}

/// A path that means the same in another folder.
fn absolute(file: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(&file).map_err(|source| Failure::Write { path: file, source })
}

impl CtlArgs {
    /// Asks, and prints what is answered.
    ///
    /// # Errors
    /// Nobody answers, or what was asked is not possible.
    pub fn execute(self) -> Result<(), Failure> {
        let vm = self.vm;
        let request = match self.request {
            CtlRequest::Resize { size, scanout } => Request::Resize {
                vm,
                scanout,
                width: size.width,
                height: size.height,
            },
            CtlRequest::Unplug { scanout } => Request::Unplug { vm, scanout },
            CtlRequest::Screenshot { file } => Request::Screenshot {
                vm,
                file: absolute(file)?,
            },
            CtlRequest::Guarantee { share } => Request::Guarantee { vm, ppm: share.0 },
            CtlRequest::Limit { limit } => Request::Limit {
                vm,
                ppm: limit.0.map(|limit| limit.0),
            },
            CtlRequest::Slice { slice } => Request::Slice { vm, ns: slice.0 },
            CtlRequest::Priority { priority } => Request::Priority { vm, priority },
            CtlRequest::Pardon => Request::Pardon { vm },
            CtlRequest::Policy { policy } => Request::Policy { policy },
            CtlRequest::Add { file } => Request::Add {
                file: absolute(file)?,
            },
            CtlRequest::Stop => Request::Stop { vm },
            CtlRequest::Report => Request::Report,
        };
        match ask(&self.socket, &request).map_err(Failure::Control)? {
            Answer::Done => Ok(()),
            Answer::Refused(why) => Err(Failure::Control(why)),
            Answer::Report(report) => {
                let text =
                    serde_json::to_string_pretty(&report).map_err(|error| Failure::Host {
                        action: "write the report as JSON",
                        source: error.into(),
                    })?;
                say!("{text}");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_share_or_none_and_not_nothing() {
        assert_eq!("none".parse(), Ok(LimitText(None)));
        assert_eq!("50%".parse(), Ok(LimitText(Some(Share(500_000)))));
        for wrong in ["0%", "101%", "all", ""] {
            assert!(wrong.parse::<LimitText>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_slice_that_no_vm_can_have_is_refused_before_anybody_is_asked() {
        assert_eq!(slice("2ms"), Ok(Duration(2_000_000)));
        let message = slice("1us").expect_err("too short");
        assert!(message.contains("100us to 100ms"), "{message}");
    }

    #[test]
    fn a_size_is_two_numbers_with_an_x_between() {
        let size = SizeText {
            width: 1920,
            height: 1080,
        };
        assert_eq!("1920x1080".parse(), Ok(size));
        for wrong in ["", "1920", "x", "1920x", "-1x5", "1920X1080"] {
            assert!(wrong.parse::<SizeText>().is_err(), "{wrong}");
        }
    }
}
