// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The VMM on real KVM, with guests of a few hand-assembled instructions each.
//!
//! On a machine without a usable `/dev/kvm` every test says so on standard error and checks nothing.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod devices;
mod entries;
mod guest;
mod outcomes;
mod processors;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};

use rondo::boot::KernelSource;
use rondo::kvm::Hypervisor;
use rondo::vm::{VmBuilder, VmConfig};
use rondo_devices::bus::BusDevice;
use vmm_sys_util::eventfd::EventFd;

/// KVM, or a note that there is none.
fn hypervisor() -> Option<Hypervisor> {
    match Hypervisor::open() {
        Ok(hypervisor) => Some(hypervisor),
        Err(error) => {
            eprintln!("NOT TESTED, for want of KVM: {error}");
            None
        }
    }
}

/// For devices that the guest need not notify.
const NO_DOORBELLS: &[EventFd] = &[];

/// A VM of 32 MiB that runs `image`.
fn config(name: &str, image: Vec<u8>) -> VmConfig {
    let kernel = KernelSource::Embedded {
        name: format!("the guest of the test {name}"),
        bytes: image.into(),
    };
    let mut config = VmConfig::new(name, kernel);
    config.memory = rondo::memory::MemorySize::MIN;
    config
}

/// A builder for [`config`] with the console on `paper`.
fn builder(hypervisor: &Hypervisor, config: VmConfig, paper: &Paper) -> VmBuilder {
    let mut builder = VmBuilder::new(hypervisor, config).unwrap();
    builder.add_serial(Box::new(paper.clone())).unwrap();
    builder
}

/// Remembers what the guest printed.
#[derive(Clone, Debug, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports each write, and answers reads with their offset.
#[derive(Debug)]
struct Probe {
    writes: Mutex<mpsc::Sender<(u64, Vec<u8>)>>,
}

impl Probe {
    fn new() -> (Arc<Self>, mpsc::Receiver<(u64, Vec<u8>)>) {
        let (sender, receiver) = mpsc::channel();
        (
            Arc::new(Self {
                writes: Mutex::new(sender),
            }),
            receiver,
        )
    }
}

impl BusDevice for Probe {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let value = offset.to_le_bytes();
        data.copy_from_slice(&value[..data.len()]);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        // The test may have seen enough and gone.
        let _ = self.writes.lock().unwrap().send((offset, data.to_vec()));
    }
}
