// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The reference model of the 2D device: slow, obvious, one command at a time, and written from the specification without
//! a look at the device. Pixels are byte arrays, loops go pixel by pixel.

use std::collections::HashMap;

use rondo_adapter::ddi::VmMemory;
use rondo_protocol::{Command, ErrorCode, Format, Rect};
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace};

/// What a command answers, as far as the model tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Ok,
    Err(ErrorCode),
}

#[derive(Clone, Debug)]
struct Image {
    width: u32,
    height: u32,
    format: Format,
    pixels: Vec<[u8; 4]>,
}

#[derive(Clone, Debug)]
enum Kind {
    Image(Image),
    Blob(u64),
}

#[derive(Clone, Debug)]
struct Resource {
    kind: Kind,
    /// The guest address of each piece.
    backing: Option<Vec<(u64, u32)>>,
}

#[derive(Clone, Debug)]
struct Shown {
    resource: u32,
    rect: Rect,
    /// For blobs: width, height, format, stride, offset.
    layout: Option<(u32, u32, Format, u32, u32)>,
}

#[derive(Clone, Debug, Default)]
struct Scanout {
    /// The screen: width, height, format, pixels as they were last presented.
    screen: Option<(u32, u32, Format, Vec<[u8; 4]>)>,
    shown: Option<Shown>,
    cursor: Option<Cursor>,
    cursor_at: (i32, i32),
}

#[derive(Clone, Debug)]
struct Cursor {
    resource: u32,
    pixels: Vec<[u8; 4]>,
    format: Format,
    hot: (u32, u32),
}

#[derive(Debug)]
pub struct Model {
    memory: VmMemory,
    resources: HashMap<u32, Resource>,
    scanouts: Vec<Scanout>,
}

/// A finished picture: width, height, RGB.
pub type Picture = (u32, u32, Vec<u8>);

impl Model {
    pub fn new(memory: VmMemory, scanouts: u32) -> Self {
        Self {
            memory,
            resources: HashMap::new(),
            scanouts: (0..scanouts).map(|_| Scanout::default()).collect(),
        }
    }

    /// Four bytes at `offset` of a backing.
    fn pixel_of(&self, backing: &[(u64, u32)], offset: u64) -> [u8; 4] {
        let mut pixel = [0; 4];
        for (n, byte) in pixel.iter_mut().enumerate() {
            let mut at = offset + n as u64;
            for (addr, len) in backing {
                if at < u64::from(*len) {
                    let mut one = [0];
                    let address = GuestAddress(addr + at);
                    self.memory.memory().read_slice(&mut one, address).unwrap();
                    *byte = one[0];
                    break;
                }
                at -= u64::from(*len);
            }
        }
        pixel
    }

    pub fn run(&mut self, command: &Command<'_>) -> Said {
        match self.try_run(command) {
            Ok(()) => Said::Ok,
            Err(error) => Said::Err(error),
        }
    }

    fn try_run(&mut self, command: &Command<'_>) -> Result<(), ErrorCode> {
        use ErrorCode::{InvalidParameter, InvalidResourceId, InvalidScanoutId, Unspec};
        match command {
            Command::ResourceCreate2d(args) => {
                let id = args.resource.get();
                if self.resources.contains_key(&id) {
                    return Err(InvalidResourceId);
                }
                if args.width == 0 || args.height == 0 {
                    return Err(InvalidParameter);
                }
                let image = Image {
                    width: args.width,
                    height: args.height,
                    format: args.format,
                    pixels: vec![[0; 4]; (args.width * args.height) as usize],
                };
                self.resources.insert(
                    id,
                    Resource {
                        kind: Kind::Image(image),
                        backing: None,
                    },
                );
            }
            Command::ResourceCreateBlob(args) => {
                let id = args.resource.get();
                if self.resources.contains_key(&id) {
                    return Err(InvalidResourceId);
                }
                let backing: Vec<_> = args.entries.iter().map(|e| (e.addr, e.length)).collect();
                let total: u64 = backing.iter().map(|(_, len)| u64::from(*len)).sum();
                if args.size == 0 || total < args.size {
                    return Err(InvalidParameter);
                }
                self.resources.insert(
                    id,
                    Resource {
                        kind: Kind::Blob(args.size),
                        backing: Some(backing),
                    },
                );
            }
            Command::ResourceUnref { resource } => {
                let id = resource.get();
                self.resources.remove(&id).ok_or(InvalidResourceId)?;
                for scanout in &mut self.scanouts {
                    if scanout
                        .shown
                        .as_ref()
                        .is_some_and(|shown| shown.resource == id)
                    {
                        scanout.shown = None;
                        scanout.screen = None;
                    }
                    if scanout
                        .cursor
                        .as_ref()
                        .is_some_and(|cursor| cursor.resource == id)
                    {
                        scanout.cursor = None;
                    }
                }
            }
            Command::ResourceAttachBacking(args) => {
                let resource = self
                    .resources
                    .get_mut(&args.resource.get())
                    .ok_or(InvalidResourceId)?;
                if resource.backing.is_some() {
                    return Err(Unspec);
                }
                let backing: Vec<_> = args.entries.iter().map(|e| (e.addr, e.length)).collect();
                let total: u64 = backing.iter().map(|(_, len)| u64::from(*len)).sum();
                if backing.is_empty() || matches!(resource.kind, Kind::Blob(size) if total < size) {
                    return Err(InvalidParameter);
                }
                resource.backing = Some(backing);
            }
            Command::ResourceDetachBacking { resource } => {
                let resource = self
                    .resources
                    .get_mut(&resource.get())
                    .ok_or(InvalidResourceId)?;
                if resource.backing.take().is_none() {
                    return Err(Unspec);
                }
            }
            Command::TransferToHost2d(args) => {
                let id = args.resource.get();
                let resource = self.resources.get(&id).ok_or(InvalidResourceId)?;
                let Kind::Image(image) = &resource.kind else {
                    return Ok(());
                };
                let mut image = image.clone();
                if args.rect.right() > u64::from(image.width)
                    || args.rect.bottom() > u64::from(image.height)
                {
                    return Err(InvalidParameter);
                }
                let backing = resource.backing.clone().ok_or(Unspec)?;
                let total: u64 = backing.iter().map(|(_, len)| u64::from(*len)).sum();
                for y in 0..u64::from(args.rect.height) {
                    for x in 0..u64::from(args.rect.width) {
                        let from = args.offset + y * u64::from(image.width) * 4 + x * 4;
                        if from + 4 > total {
                            return Err(InvalidParameter);
                        }
                        let to = (u64::from(args.rect.y) + y) * u64::from(image.width)
                            + u64::from(args.rect.x)
                            + x;
                        image.pixels[to as usize] = self.pixel_of(&backing, from);
                    }
                }
                self.resources.get_mut(&id).unwrap().kind = Kind::Image(image);
            }
            Command::ResourceFlush(args) => {
                let id = args.resource.get();
                let resource = self.resources.get(&id).cloned().ok_or(InvalidResourceId)?;
                match &resource.kind {
                    Kind::Image(image) => {
                        if args.rect.right() > u64::from(image.width)
                            || args.rect.bottom() > u64::from(image.height)
                        {
                            return Err(InvalidParameter);
                        }
                    }
                    Kind::Blob(_) if resource.backing.is_none() => return Err(Unspec),
                    Kind::Blob(_) => {}
                }
                for number in 0..self.scanouts.len() {
                    self.present(number, id, &resource, args.rect);
                }
            }
            Command::SetScanout(args) => {
                let number = args.scanout.index();
                if number >= self.scanouts.len() {
                    return Err(InvalidScanoutId);
                }
                let Some(source) = args.source else {
                    self.scanouts[number].shown = None;
                    self.scanouts[number].screen = None;
                    return Ok(());
                };
                let resource = self
                    .resources
                    .get(&source.resource.get())
                    .ok_or(InvalidResourceId)?;
                let Kind::Image(image) = &resource.kind else {
                    return Err(InvalidParameter);
                };
                let (width, height, format) = (image.width, image.height, image.format);
                self.show(
                    number,
                    source.resource.get(),
                    source.rect,
                    (width, height, format),
                    None,
                )?;
            }
            Command::SetScanoutBlob(args) => {
                let number = args.scanout.index();
                if number >= self.scanouts.len() {
                    return Err(InvalidScanoutId);
                }
                let Some(source) = args.source else {
                    self.scanouts[number].shown = None;
                    self.scanouts[number].screen = None;
                    return Ok(());
                };
                let resource = self
                    .resources
                    .get(&source.resource.get())
                    .ok_or(InvalidResourceId)?;
                let Kind::Blob(size) = resource.kind else {
                    return Err(InvalidParameter);
                };
                if resource.backing.is_none() || source.height == 0 {
                    return Err(InvalidParameter);
                }
                let (stride, offset) = (u64::from(source.strides[0]), u64::from(source.offsets[0]));
                let row = u64::from(source.width) * 4;
                if stride < row || offset + u64::from(source.height - 1) * stride + row > size {
                    return Err(InvalidParameter);
                }
                let layout = (
                    source.width,
                    source.height,
                    source.format,
                    source.strides[0],
                    source.offsets[0],
                );
                self.show(
                    number,
                    source.resource.get(),
                    source.rect,
                    (source.width, source.height, source.format),
                    Some(layout),
                )?;
            }
            Command::UpdateCursor(args) => {
                let number = args.scanout.index();
                if number >= self.scanouts.len() {
                    return Err(InvalidScanoutId);
                }
                let cursor = match args.resource {
                    None => None,
                    Some(id) => {
                        let resource = self.resources.get(&id.get()).ok_or(InvalidResourceId)?;
                        match &resource.kind {
                            Kind::Image(image) if image.width == 64 && image.height == 64 => {
                                Some(Cursor {
                                    resource: id.get(),
                                    pixels: image.pixels.clone(),
                                    format: image.format,
                                    hot: (args.hot_x, args.hot_y),
                                })
                            }
                            // A blob has no format of its own; Linux' cursors are B8G8R8A8.
                            Kind::Blob(size)
                                if *size >= 64 * 64 * 4 && resource.backing.is_some() =>
                            {
                                let backing = resource.backing.as_ref().unwrap();
                                Some(Cursor {
                                    resource: id.get(),
                                    pixels: (0..64 * 64)
                                        .map(|n| self.pixel_of(backing, n * 4))
                                        .collect(),
                                    format: Format::B8G8R8A8,
                                    hot: (args.hot_x, args.hot_y),
                                })
                            }
                            _ => return Err(InvalidParameter),
                        }
                    }
                };
                self.scanouts[number].cursor = cursor;
                self.scanouts[number].cursor_at = (args.x, args.y);
            }
            Command::MoveCursor(args) => {
                let number = args.scanout.index();
                if number >= self.scanouts.len() {
                    return Err(InvalidScanoutId);
                }
                self.scanouts[number].cursor_at = (args.x, args.y);
            }
            other => panic!("the model does not know {}", other.name()),
        }
        Ok(())
    }

    fn show(
        &mut self,
        number: usize,
        resource: u32,
        rect: Rect,
        (width, height, format): (u32, u32, Format),
        layout: Option<(u32, u32, Format, u32, u32)>,
    ) -> Result<(), ErrorCode> {
        let inside = rect.right() <= u64::from(width) && rect.bottom() <= u64::from(height);
        if rect.width == 0 || rect.height == 0 || !inside {
            return Err(ErrorCode::InvalidParameter);
        }
        let scanout = &mut self.scanouts[number];
        let same = scanout
            .screen
            .as_ref()
            .is_some_and(|(w, h, f, _)| (*w, *h, *f) == (rect.width, rect.height, format));
        if !same {
            let black = vec![[0; 4]; (rect.width * rect.height) as usize];
            scanout.screen = Some((rect.width, rect.height, format, black));
        }
        scanout.shown = Some(Shown {
            resource,
            rect,
            layout,
        });
        Ok(())
    }

    /// Each pixel of the scanout whose source lies in the damage.
    fn present(&mut self, number: usize, id: u32, resource: &Resource, damage: Rect) {
        let Some(shown) = self.scanouts[number]
            .shown
            .clone()
            .filter(|shown| shown.resource == id)
        else {
            return;
        };
        let Some((width, height, format, mut pixels)) = self.scanouts[number].screen.clone() else {
            return;
        };
        for y in 0..height {
            for x in 0..width {
                let (sx, sy) = (shown.rect.x + x, shown.rect.y + y);
                let damaged = u64::from(sx) >= u64::from(damage.x)
                    && u64::from(sx) < damage.right()
                    && u64::from(sy) >= u64::from(damage.y)
                    && u64::from(sy) < damage.bottom();
                if !damaged {
                    continue;
                }
                pixels[(y * width + x) as usize] = match (&resource.kind, &shown.layout) {
                    (Kind::Image(image), _) => image.pixels[(sy * image.width + sx) as usize],
                    (Kind::Blob(_), Some((_, _, _, stride, offset))) => {
                        let at = u64::from(*offset)
                            + u64::from(sy) * u64::from(*stride)
                            + u64::from(sx) * 4;
                        self.pixel_of(resource.backing.as_ref().unwrap(), at)
                    }
                    (Kind::Blob(_), None) => unreachable!("a blob is shown by its layout"),
                };
            }
        }
        self.scanouts[number].screen = Some((width, height, format, pixels));
    }

    /// What is on a scanout, the cursor drawn in; `None` if it is off.
    pub fn picture(&self, number: usize) -> Option<Picture> {
        let scanout = &self.scanouts[number];
        let (width, height, format, pixels) = scanout.screen.as_ref()?;
        let mut rgb = Vec::new();
        for y in 0..*height {
            for x in 0..*width {
                let under = channels(*format, pixels[(y * width + x) as usize]);
                let mut seen = [under[0], under[1], under[2]];
                if let Some(cursor) = &scanout.cursor {
                    let cx =
                        i64::from(x) - i64::from(scanout.cursor_at.0) + i64::from(cursor.hot.0);
                    let cy =
                        i64::from(y) - i64::from(scanout.cursor_at.1) + i64::from(cursor.hot.1);
                    if (0..64).contains(&cx) && (0..64).contains(&cy) {
                        let over = channels(cursor.format, cursor.pixels[(cy * 64 + cx) as usize]);
                        for (seen, over_one) in seen.iter_mut().zip(over) {
                            let mixed = f64::from(over_one) * f64::from(over[3])
                                + f64::from(*seen) * f64::from(255 - over[3]);
                            *seen = (mixed / 255.0).round() as u8;
                        }
                    }
                }
                rgb.extend(seen);
            }
        }
        Some((*width, *height, rgb))
    }
}

/// Red, green, blue, alpha by the letters of the format's name.
fn channels(format: Format, pixel: [u8; 4]) -> [u8; 4] {
    let name = format!("{format:?}");
    let at = |letter: char| name.find(letter).map(|place| pixel[place / 2]);
    [
        at('R').unwrap(),
        at('G').unwrap(),
        at('B').unwrap(),
        at('A').unwrap_or(255),
    ]
}
