// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What `rondo ctl` asks for, done on the main event loop.

use std::path::Path;

use rondo_adapter::ddi::{VirtualGpuProfile, VmHost};
use rondo_adapter::status::NtStatus;
use rondo_scheduler::{Mode, Nanos, Ppm};

use super::guest::Guest;
use super::{Console, Session, admission};
use crate::config::{
    Duration, GpuOptions, PolicyChoice, PriorityChoice, Share, check_promise, named_after,
    read_vm_file,
};
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
                self.guest(vm.as_deref())?.graphics()?.resize(
                    &self.gpu,
                    *scanout,
                    Some((*width, *height)),
                )?;
            }
            Request::Unplug { vm, scanout } => {
                self.guest(vm.as_deref())?
                    .graphics()?
                    .resize(&self.gpu, *scanout, None)?;
            }
            Request::Screenshot { vm, file } => {
                self.guest(vm.as_deref())?
                    .screenshot(file)
                    .map_err(|failure| failure.to_string())?;
            }
            Request::Guarantee { vm, ppm } => self.set_guarantee(vm.as_deref(), Share(*ppm))?,
            Request::Limit { vm, ppm } => self.set_limit(vm.as_deref(), ppm.map(Share))?,
            Request::Slice { vm, ns } => self.set_slice(vm.as_deref(), Duration(*ns))?,
            Request::Priority { vm, priority } => self.set_priority(vm.as_deref(), *priority)?,
            Request::Pardon { vm } => {
                let graphics = self.guest(vm.as_deref())?.graphics()?;
                graphics.pardon(&self.gpu).map_err(refused)?;
            }
            Request::Policy { policy } => self.set_policy(*policy)?,
            Request::Add { file } => self.add(file)?,
            Request::Stop { vm } => {
                let index = self.index(vm.as_deref())?;
                self.guest_at(index)?.stop();
                self.retire(index);
                if let Some(guest) = self.guests.get_mut(index) {
                    guest.excuse_missing_picture();
                }
            }
            Request::Report => return Ok(Answer::Report(self.report())),
        }
        Ok(Answer::Done)
    }

    fn set_policy(&mut self, policy: PolicyChoice) -> Result<(), String> {
        self.gpu.set_policy(policy.policy()).map_err(refused)?;
        self.sharing.policy = policy;
        Ok(())
    }

    fn set_guarantee(&mut self, vm: Option<&str>, share: Share) -> Result<(), String> {
        let index = self.index(vm)?;
        let profile = *self.guest_at(index)?.graphics()?.profile();
        let guarantee = part(share)?;
        if profile.mode == Mode::Client && share != Share(0) {
            return Err(format!(
                "a VM of mode=client has no guarantee of its own, so {share} is refused; all client VMs have what --host-guarantee gives them"
            ));
        }
        if let Some(limit) = profile.limit
            && limit < guarantee
        {
            return Err(format!(
                "{share} is above the VM's limit of {}; raise the limit first",
                Share(limit.get())
            ));
        }
        let changed = VirtualGpuProfile {
            guarantee,
            ..profile
        };
        match self.set_profile(index, changed) {
            Err(NtStatus::InsufficientResources) => {
                let free =
                    admission::largest_free(&self.sharing, &self.guests, &self.gpu, Some(index));
                Err(admission::excess(share, free))
            }
            result => result.map_err(refused),
        }
    }

    fn set_limit(&mut self, vm: Option<&str>, limit: Option<Share>) -> Result<(), String> {
        let index = self.index(vm)?;
        let profile = *self.guest_at(index)?.graphics()?.profile();
        let limit = limit.map(part).transpose()?;
        if let Some(limit) = limit {
            if limit.get() == 0 {
                return Err("a limit of 0% would stop the VM; use stop for that".to_owned());
            }
            if limit < profile.guarantee {
                return Err(format!(
                    "a limit of {} is below the VM's guarantee of {}; lower the guarantee first",
                    Share(limit.get()),
                    Share(profile.guarantee.get())
                ));
            }
        }
        self.set_profile(index, VirtualGpuProfile { limit, ..profile })
            .map_err(refused)
    }

    fn set_slice(&mut self, vm: Option<&str>, slice: Duration) -> Result<(), String> {
        GpuOptions::check_slice(slice).map_err(|problem| format!("the slice {problem}"))?;
        let index = self.index(vm)?;
        let profile = *self.guest_at(index)?.graphics()?.profile();
        // It counts within the slice.
        let grace = profile.grace.min(Nanos(slice.0));
        let slice = Nanos(slice.0);
        let changed = VirtualGpuProfile {
            slice,
            grace,
            ..profile
        };
        self.set_profile(index, changed).map_err(refused)
    }

    fn set_priority(&mut self, vm: Option<&str>, priority: PriorityChoice) -> Result<(), String> {
        let index = self.index(vm)?;
        let profile = *self.guest_at(index)?.graphics()?.profile();
        let priority = priority.into();
        self.set_profile(
            index,
            VirtualGpuProfile {
                priority,
                ..profile
            },
        )
        .map_err(refused)
    }

    fn set_profile(&mut self, index: usize, profile: VirtualGpuProfile) -> Result<(), NtStatus> {
        let Some(guest) = self.guests.get_mut(index) else {
            return Err(NtStatus::InvalidParameter);
        };
        let graphics = (guest.graphics_mut()).map_err(|_| NtStatus::InvalidDeviceState)?;
        graphics.set_profile(&self.gpu, profile)
    }

    /// Builds and starts the VM of a file beside those that run. Its guarantee, if it asks for none, is what is left.
    fn add(&mut self, file: &Path) -> Result<(), String> {
        let spec = read_vm_file(file)
            .and_then(|options| options.resolve(&named_after(file)))
            .map_err(|error| error.to_string())?;
        let mut living = self.guests.iter().filter(|guest| !guest.has_ended());
        if living.any(|guest| guest.name() == spec.name) {
            return Err(format!(
                "a VM named '{}' runs already; give this one another name in {}",
                spec.name,
                file.display()
            ));
        }
        let free = admission::largest_free(&self.sharing, &self.guests, &self.gpu, None);
        let guarantee = spec.gpu.as_ref().map(|gpu| match gpu.mode {
            Mode::Client => Share(0),
            Mode::Server => gpu.guarantee.unwrap_or(free),
        });
        if let Some(guarantee) = guarantee {
            check_promise(&spec.name, guarantee, &self.sharing)
                .map_err(|error| error.to_string())?;
        }
        // The keyboard and the bare terminal are the first VM's.
        let console = match self.console {
            Console::Terminal | Console::Lines => Console::Lines,
            Console::Log => Console::Log,
        };
        let guest = Guest::build(&self.hypervisor, &self.gpu, spec, guarantee, console)
            .map_err(|failure| admission::explained(failure, guarantee, || free).to_string())?;
        let index = self.guests.len();
        log::info!("{}: added", guest.name());
        self.guests.push(guest);
        self.start(index).map_err(|failure| {
            self.retire(index);
            self.guests.truncate(index);
            failure.to_string()
        })
    }

    fn guest(&self, name: Option<&str>) -> Result<&Guest, String> {
        self.guest_at(self.index(name)?)
    }

    fn guest_at(&self, index: usize) -> Result<&Guest, String> {
        self.guests
            .get(index)
            .ok_or_else(|| "there is no such VM".to_owned())
    }

    /// A VM by its name. One that runs comes before one that has ended, whose name it may have.
    fn index(&self, name: Option<&str>) -> Result<usize, String> {
        let living = || (self.guests.iter().enumerate()).filter(|(_, guest)| !guest.has_ended());
        let names = || {
            let names: Vec<_> = living().map(|(_, guest)| guest.name()).collect();
            names.join(", ")
        };
        let Some(name) = name else {
            return match (living().next(), living().nth(1)) {
                (Some((index, _)), None) => Ok(index),
                _ => Err(format!("say which VM with --vm; there are: {}", names())),
            };
        };
        living()
            .find(|(_, guest)| guest.name() == name)
            .map(|(index, _)| index)
            .or_else(|| self.guests.iter().rposition(|guest| guest.name() == name))
            .ok_or_else(|| format!("there is no VM '{name}'; there are: {}", names()))
    }
}

fn part(share: Share) -> Result<Ppm, String> {
    Ppm::new(share.0).ok_or_else(|| format!("{share} is more than an engine; give 100% at most"))
}

fn refused(status: NtStatus) -> String {
    format!("the GPU refuses ({status})")
}
