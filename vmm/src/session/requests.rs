// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What `rondo ctl` asks for, done on the main event loop.

use super::Session;
use super::guest::Guest;
use crate::control::{Answer, Request};

impl Session {
    /// Answers all requests that have arrived.
    pub(super) fn answer_requests(&mut self) {
        let Some(control) = &self.control else {
            return;
        };
        // The event says only that something arrived since the last look; how often does not matter.
        let _ = control.arrived().read();
        while let Some(pending) = self.control.as_ref().and_then(|control| control.next()) {
            let answer = self
                .answer(&pending.request)
                .unwrap_or_else(Answer::Refused);
            pending.answer(answer);
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, String> {
        match request {
            Request::Resize {
                vm,
                scanout,
                width,
                height,
            } => {
                self.guest(vm.as_deref())?
                    .resize(&self.gpu, *scanout, Some((*width, *height)))?;
            }
            Request::Unplug { vm, scanout } => {
                self.guest(vm.as_deref())?
                    .resize(&self.gpu, *scanout, None)?;
            }
            Request::Screenshot { vm, file } => {
                self.guest(vm.as_deref())?
                    .screenshot(file)
                    .map_err(|failure| failure.to_string())?;
            }
            Request::Guarantee { vm, ppm } => {
                let index = self.index(vm.as_deref())?;
                if let Some(guest) = self.guests.get_mut(index) {
                    guest.set_guarantee(&self.gpu, *ppm)?;
                }
            }
            Request::Report => return Ok(Answer::Report(self.report())),
        }
        Ok(Answer::Done)
    }

    fn guest(&self, name: Option<&str>) -> Result<&Guest, String> {
        let index = self.index(name)?;
        self.guests
            .get(index)
            .ok_or_else(|| "there is no such VM".to_owned())
    }

    fn index(&self, name: Option<&str>) -> Result<usize, String> {
        let names = || {
            self.guests
                .iter()
                .map(Guest::name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        match name {
            Some(name) => self
                .guests
                .iter()
                .position(|guest| guest.name() == name)
                .ok_or_else(|| format!("there is no VM '{name}'; there are: {}", names())),
            None if self.guests.len() == 1 => Ok(0),
            None => Err(format!("say which VM with --vm; there are: {}", names())),
        }
    }
}
