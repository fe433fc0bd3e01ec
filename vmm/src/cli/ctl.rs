// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `rondo ctl`: asks a running `rondo run --control SOCKET`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{Failure, say};
use crate::config::Share;
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
                file: std::path::absolute(&file)
                    .map_err(|source| Failure::Write { path: file, source })?,
            },
            CtlRequest::Guarantee { share } => Request::Guarantee { vm, ppm: share.0 },
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
