// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Presents, flips and screens against a model that draws one pixel at a time.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod world;

use std::sync::Arc;

use proptest::prelude::*;
use rondo_renderer::backing::Backing;
use rondo_renderer::frame::FrameMode;
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::{Image, Surface};
use rondo_renderer::pixels::PixelBuffer;
use rondo_renderer::screen::{AllocationId, Screen, Shown};
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Present, Progress, Renderer, Source, Upload, Work};
use vm_memory::GuestMemoryMmap;
use world::{FORMAT, Seen, Sink, backing, bytes_of, fill, memory, model_present, model_upload};

const IMAGES: usize = 2;
/// Two sinks exchange buffers, one does not.
const SCREENS: [bool; 3] = [true, true, false];
const BLOB: usize = IMAGES;

/// One action of a guest, its host, or somebody who takes screenshots.
#[derive(Clone, Debug)]
enum Action {
    WriteMemory(u32),
    Upload {
        image: usize,
        rect: Rect,
    },
    Present {
        allocation: usize,
        rect: Rect,
    },
    Show {
        screen: usize,
        allocation: usize,
        rect: Rect,
    },
    Off {
        screen: usize,
    },
    Screenshot {
        screen: usize,
    },
}

/// The renderer's side, and beside it the model: plain bytes.
struct World {
    size: Size,
    memory: GuestMemoryMmap,
    pieces: Vec<(u64, u32)>,
    backing: Arc<Backing>,
    images: Vec<Arc<Image>>,
    screens: Arc<[Arc<Screen>]>,
    seen: Vec<Arc<Seen>>,
    /// Screenshots that somebody still looks at, with what was on the screen.
    screenshots: Vec<(PixelBuffer, Vec<u8>)>,
    model_images: Vec<Vec<u8>>,
    model_frames: Vec<Vec<u8>>,
    model_shown: Vec<Option<(usize, Rect)>>,
}

impl World {
    fn new(size: Size) -> Self {
        let memory = memory();
        // Room for a blob with padded rows, in pieces that split pixels and cross regions.
        let len = Self::blob_surface(size).stride * (size.height + 1);
        let pieces: Vec<_> = (0..=len / 50)
            .map(|i| (0xff00 - 64 + u64::from(i * 37 % 0x800), 50))
            .collect();
        let backing = Arc::new(backing(&memory, &pieces));
        let bytes = size.width as usize * size.height as usize * 4;
        let (sinks, seen): (Vec<_>, Vec<_>) =
            SCREENS.iter().map(|&kind| Sink::with_reader(kind)).unzip();
        Self {
            size,
            memory,
            pieces,
            backing,
            images: (0..IMAGES)
                .map(|_| Arc::new(Image::new(size, FORMAT).unwrap()))
                .collect(),
            screens: sinks
                .into_iter()
                .map(|sink| Arc::new(Screen::new(sink)))
                .collect(),
            seen,
            screenshots: Vec::new(),
            model_images: vec![vec![0; bytes]; IMAGES],
            model_frames: vec![Vec::new(); SCREENS.len()],
            model_shown: vec![None; SCREENS.len()],
        }
    }

    fn blob_surface(size: Size) -> Surface {
        Surface {
            size,
            format: FORMAT,
            stride: size.width * 4 + 12,
            offset: 7,
        }
    }

    fn surface(&self, allocation: usize) -> Surface {
        match self.images.get(allocation) {
            Some(image) => image.surface(),
            None => Self::blob_surface(self.size),
        }
    }

    fn act(&mut self, action: &Action, budgets: &[u32]) {
        match *action {
            Action::WriteMemory(seed) => fill(&self.memory, seed),
            Action::Upload { image, rect } => self.upload(image, rect, budgets),
            Action::Present { allocation, rect } => self.present(allocation, rect, budgets),
            Action::Show {
                screen,
                allocation,
                rect,
            } => self.show(screen, allocation, rect),
            Action::Off { screen } => {
                self.screens[screen].set_mode(None);
                self.model_frames[screen].clear();
                self.model_shown[screen] = None;
            }
            Action::Screenshot { screen } => {
                let mut shot = PixelBuffer::zeroed(self.model_frames[screen].len()).unwrap();
                let frame = self.seen[screen].frame.lock().unwrap();
                frame.flip_into(&mut shot).unwrap();
                self.screenshots.truncate(3);
                self.screenshots
                    .insert(0, (shot, self.model_frames[screen].clone()));
            }
        }
        self.check(&self.model_frames.clone());
    }

    fn upload(&mut self, image: usize, rect: Rect, budgets: &[u32]) {
        let offset = (rect.y * self.size.width + rect.x) * 4;
        let work = Work::upload(Upload {
            image: Arc::clone(&self.images[image]),
            backing: Arc::clone(&self.backing),
            rect,
            offset: offset.into(),
        });
        let guest = bytes_of(&self.memory, &self.pieces);
        let model = &mut self.model_images[image];
        model_upload(model, self.size, &guest, rect, offset.into());
        // No upload shows on any screen.
        self.finish(work.unwrap(), budgets, &self.model_frames.clone());
        assert_eq!(self.images[image].to_vec(), self.model_images[image]);
    }

    fn present(&mut self, allocation: usize, rect: Rect, budgets: &[u32]) {
        let source = match self.images.get(allocation) {
            Some(image) => Source::Image(Arc::clone(image)),
            None => Source::Blob(Arc::clone(&self.backing)),
        };
        let work = Work::present(Present {
            allocation: AllocationId(allocation as u64),
            source,
            rect,
            screens: Arc::clone(&self.screens),
        });
        let surface = self.surface(allocation);
        let guest = bytes_of(&self.memory, &self.pieces);
        let bytes = self.model_images.get(allocation).unwrap_or(&guest);
        let before = self.model_frames.clone();
        let mut frames = 0;
        for (frame, shown) in self.model_frames.iter_mut().zip(&self.model_shown) {
            if let Some((_, part)) = shown.filter(|&(shown, _)| shown == allocation) {
                let (stride, offset) = (surface.stride as usize, surface.offset as usize);
                frames += u32::from(model_present(frame, part, bytes, stride, offset, rect));
            }
        }
        let work = self.finish(work, budgets, &before);
        assert_eq!(work.frames(), frames);
    }

    fn show(&mut self, screen: usize, allocation: usize, rect: Rect) {
        let size = Size {
            width: rect.width,
            height: rect.height,
        };
        let mode = FrameMode {
            size,
            format: FORMAT,
        };
        let off = self.screens[screen].mode() != Some(mode);
        self.screens[screen].set_mode(Some(mode));
        let shown = Shown {
            allocation: AllocationId(allocation as u64),
            surface: self.surface(allocation),
            rect,
        };
        self.screens[screen].show(shown).unwrap();
        if off {
            self.model_frames[screen] = vec![0; (size.width * size.height) as usize * 4];
        }
        self.model_shown[screen] = Some((allocation, rect));
    }

    /// Runs to the end; after each unit every screen must show a frame from before the work or from after it.
    fn finish(&self, mut work: Work, budgets: &[u32], before: &[Vec<u8>]) -> Work {
        for unit in 0.. {
            let budget = UnitBudget::bytes(budgets[unit % budgets.len()]);
            match SoftwareRenderer.run(&mut work, budget) {
                Progress::Done => return work,
                Progress::Preempted => self.check(before),
                Progress::Failed(error) => panic!("{error}"),
            }
        }
        unreachable!("the loop has no end")
    }

    fn check(&self, before: &[Vec<u8>]) {
        for (screen, seen) in self.seen.iter().enumerate() {
            let shows = seen.pixels();
            assert!(
                shows == before[screen] || shows == self.model_frames[screen],
                "screen {screen} shows half a frame"
            );
        }
        for (shot, pixels) in &self.screenshots {
            assert_eq!(shot.bytes(), pixels, "a screenshot changed");
        }
    }
}

fn a_rect_in(size: Size) -> impl Strategy<Value = Rect> {
    let part = (0..size.width, 0..size.height).prop_flat_map(move |(x, y)| {
        (1..=size.width - x, 1..=size.height - y).prop_map(move |(width, height)| Rect {
            x,
            y,
            width,
            height,
        })
    });
    prop_oneof![Just(Rect::whole(size)), part]
}

fn an_action(size: Size) -> impl Strategy<Value = Action> {
    let screen = 0..SCREENS.len();
    prop_oneof![
        1 => any::<u32>().prop_map(Action::WriteMemory),
        4 => (0..IMAGES, a_rect_in(size)).prop_map(|(image, rect)| Action::Upload { image, rect }),
        6 => (0..=BLOB, a_rect_in(size))
            .prop_map(|(allocation, rect)| Action::Present { allocation, rect }),
        3 => (screen.clone(), 0..=BLOB, a_rect_in(size))
            .prop_map(|(screen, allocation, rect)| Action::Show { screen, allocation, rect }),
        1 => screen.clone().prop_map(|screen| Action::Off { screen }),
        1 => screen.prop_map(|screen| Action::Screenshot { screen }),
    ]
}

prop_compose! {
    fn a_story()(width in 1_u32..16, height in 1_u32..16)(
        actions in prop::collection::vec(an_action(Size { width, height }), 1..40),
        budgets in prop::collection::vec(
            prop_oneof![0_u32..600, 0_u32..6_000, Just(100_000)],
            1..5,
        ),
        size in Just(Size { width, height }),
    ) -> (Size, Vec<Action>, Vec<u32>) {
        (size, actions, budgets)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn given_any_story_and_any_preemption_then_screens_show_exactly_what_was_flushed_last(
        (size, actions, budgets) in a_story(),
    ) {
        let mut world = World::new(size);
        for action in &actions {
            world.act(action, &budgets);
        }
    }
}

const SIZE: Size = Size {
    width: 16,
    height: 16,
};
const WHOLE: Rect = Rect::whole(SIZE);
const ONE_UNIT: &[u32] = &[1 << 20];

/// One image on the first screen, which exchanges buffers.
fn world_with_one_image() -> World {
    let mut world = World::new(SIZE);
    world.show(0, 0, WHOLE);
    world
}

#[test]
fn given_whole_transfers_and_whole_flushes_then_a_flush_moves_no_byte() {
    let mut world = world_with_one_image();
    for seed in 1..5 {
        fill(&world.memory, seed);
        world.upload(0, WHOLE, ONE_UNIT);
        let mut flush = Work::present(Present {
            allocation: AllocationId(0),
            source: Source::Image(Arc::clone(&world.images[0])),
            rect: WHOLE,
            screens: Arc::clone(&world.screens),
        });
        // A byte would be enough for nothing but a flip.
        let progress = SoftwareRenderer.run(&mut flush, UnitBudget::bytes(1));
        let spent_on_the_way_to_screen_1 = progress == Progress::Preempted;
        assert!(spent_on_the_way_to_screen_1);
        assert_eq!(flush.frames(), 1);
        assert_eq!(world.seen[0].pixels(), world.model_images[0]);
    }
}

#[test]
fn given_a_transfer_without_a_flush_then_a_flipped_screen_goes_on_showing_the_last_flush() {
    let mut world = world_with_one_image();
    world.upload(0, WHOLE, ONE_UNIT);
    world.present(0, WHOLE, ONE_UNIT);
    let flushed = world.seen[0].pixels();
    fill(&world.memory, 7);
    for rect in [
        Rect {
            width: 3,
            height: 3,
            ..WHOLE
        },
        WHOLE,
    ] {
        world.upload(0, rect, &[50]);
        assert_eq!(world.seen[0].pixels(), flushed);
    }
}

#[test]
fn given_control_plane_changes_in_the_middle_of_a_present_then_it_ends_on_the_new_mode() {
    for exchangeable in [0, 2] {
        let mut world = World::new(SIZE);
        world.show(exchangeable, BLOB, WHOLE);
        let half = Rect { height: 8, ..WHOLE };
        let present = |world: &World| {
            Work::present(Present {
                allocation: AllocationId(BLOB as u64),
                source: Source::Blob(Arc::clone(&world.backing)),
                rect: WHOLE,
                screens: Arc::clone(&world.screens),
            })
        };
        let mut work = present(&world);
        let tiny = UnitBudget::bytes(10);
        assert_eq!(SoftwareRenderer.run(&mut work, tiny), Progress::Preempted);
        world.show(exchangeable, BLOB, half);
        world::finish(&mut work, &[10]);
        world.present(BLOB, half, ONE_UNIT);
        assert_eq!(
            world.seen[exchangeable].pixels(),
            world.model_frames[exchangeable]
        );

        let mut work = present(&world);
        assert_eq!(SoftwareRenderer.run(&mut work, tiny), Progress::Preempted);
        assert!(world.screens[exchangeable].forget(AllocationId(BLOB as u64)));
        assert!(!world.screens[exchangeable].forget(AllocationId(BLOB as u64)));
        world::finish(&mut work, &[10]);
        assert_eq!(work.frames(), 0);
        assert_eq!(world.seen[exchangeable].lock().mode, None);
    }
}

#[test]
fn given_work_abandoned_half_way_then_later_work_on_the_same_objects_is_right() {
    let mut world = world_with_one_image();
    for round in 0..8 {
        world.upload(0, WHOLE, ONE_UNIT);
        world.present(0, WHOLE, ONE_UNIT);
        fill(&world.memory, round);
        let mut upload = Work::upload(Upload {
            image: Arc::clone(&world.images[0]),
            backing: Arc::clone(&world.backing),
            rect: Rect { width: 5, ..WHOLE },
            offset: 0,
        })
        .unwrap();
        let tiny = UnitBudget::bytes(10);
        assert_eq!(SoftwareRenderer.run(&mut upload, tiny), Progress::Preempted);
        drop(upload);
        assert_eq!(world.images[0].to_vec(), world.model_images[0]);
        world.upload(
            0,
            Rect {
                x: 2,
                ..Rect { width: 3, ..WHOLE }
            },
            &[100],
        );
        let mut present = Work::present(Present {
            allocation: AllocationId(0),
            source: Source::Image(Arc::clone(&world.images[0])),
            rect: Rect {
                x: 1,
                ..Rect { width: 9, ..WHOLE }
            },
            screens: Arc::clone(&world.screens),
        });
        assert_eq!(
            SoftwareRenderer.run(&mut present, tiny),
            Progress::Preempted
        );
        drop(present);
        world.present(
            0,
            Rect {
                x: 2,
                ..Rect { width: 3, ..WHOLE }
            },
            &[100],
        );
        world.check(&world.model_frames);
    }
}

#[test]
fn given_a_surface_that_leaves_its_blob_then_nothing_is_presented_and_nothing_breaks() {
    let world = World::new(SIZE);
    let short = Arc::new(backing(&world.memory, &[(0, 16 * 16 * 4 - 1)]));
    let mode = FrameMode {
        size: SIZE,
        format: FORMAT,
    };
    world.screens[0].set_mode(Some(mode));
    let surface = Surface {
        size: SIZE,
        format: FORMAT,
        stride: 64,
        offset: 0,
    };
    world.screens[0]
        .show(Shown {
            allocation: AllocationId(9),
            surface,
            rect: WHOLE,
        })
        .unwrap();
    let mut work = Work::present(Present {
        allocation: AllocationId(9),
        source: Source::Blob(short),
        rect: WHOLE,
        screens: Arc::clone(&world.screens),
    });
    assert_eq!(world::finish(&mut work, &[100]), 1);
    assert_eq!(work.frames(), 0);
}
