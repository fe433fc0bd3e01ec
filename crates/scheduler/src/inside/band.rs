// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The four bands and what is set for each of them (`DXGKARG_SETUPPRIORITYBANDS`), and the tiers that they make.

use super::{InsideError, RealtimeLevel};
use crate::Nanos;

/// `DXGK_SCHEDULING_PRIORITY_BAND`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// Runs only when all others are idle; preempts nothing.
    Idle = 0,
    /// Ordinary work.
    #[default]
    Normal = 1,
    /// The application in the foreground. It leaves NORMAL its part.
    Focus = 2,
    /// Runs before all others, for as long as it likes.
    Realtime = 3,
}

impl Band {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Normal, Self::Focus, Self::Realtime];

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// `DXGKARG_SETUPPRIORITYBANDS`. Arrays are indexed by band: IDLE, NORMAL, FOCUS, REALTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BandSettings {
    /// How long the victim goes on when this band preempts another one. IDLE preempts nothing.
    pub grace: [Nanos; 4],
    /// How long a process of the band runs before another one's turn; not zero.
    pub process_quantum: [Nanos; 4],
    /// How long a process goes on when another one of the band preempts it.
    pub process_grace: [Nanos; 4],
    /// What NORMAL gets of the time of both while FOCUS would starve it: percent, `0..=50`.
    pub normal_percentage: u8,
}

impl BandSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`InsideError::NormalPercentage`] above 50, [`InsideError::ZeroQuantum`].
    pub fn check(&self) -> Result<(), InsideError> {
        if self.normal_percentage > 50 {
            return Err(InsideError::NormalPercentage {
                asked: self.normal_percentage,
            });
        }
        if self.process_quantum.contains(&Nanos(0)) {
            return Err(InsideError::ZeroQuantum);
        }
        Ok(())
    }
}

/// Settings as a VM keeps them: most VMs have those that come by default, and keep none of their own.
#[derive(Clone, Debug)]
pub(super) struct InForce(Option<Box<BandSettings>>);

impl InForce {
    pub(super) fn new(settings: BandSettings) -> Self {
        Self((settings != BandSettings::DEFAULT).then(|| Box::new(settings)))
    }

    pub(super) fn get(&self) -> &BandSettings {
        self.0.as_deref().unwrap_or(&BandSettings::DEFAULT)
    }
}

impl BandSettings {
    /// What [`Default`] gives.
    const DEFAULT: Self = Self {
        grace: [
            Nanos(0),
            Nanos::from_millis(1),
            Nanos::from_micros(500),
            Nanos(0),
        ],
        process_quantum: [Nanos::from_millis(4); 4],
        process_grace: [Nanos::from_micros(500); 4],
        normal_percentage: 10,
    };
}

impl Default for BandSettings {
    /// 10 percent for NORMAL is Microsoft's default, and REALTIME typically has no grace. The rest is Rondo's: quanta of
    /// 4 ms, 0.5 ms of grace between processes and for the victims of FOCUS, 1 ms for those of NORMAL.
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A rung of the strict order: IDLE, NORMAL, FOCUS, and the 32 levels of REALTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tier(u8);

impl Tier {
    pub(super) const BELOW_REALTIME: usize = 3;
    pub(super) const COUNT: usize = Self::BELOW_REALTIME + 32;
    pub(super) const NORMAL: Self = Self(1);
    pub(super) const FOCUS: Self = Self(2);

    pub(super) const fn new(band: Band, level: RealtimeLevel) -> Self {
        match band {
            Band::Realtime => Self(3 + level.get()),
            below => Self(below as u8),
        }
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Each of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..).map(Self).take(Self::COUNT)
    }

    pub(super) const fn band(self) -> Band {
        match self.0 {
            0 => Band::Idle,
            1 => Band::Normal,
            2 => Band::Focus,
            _ => Band::Realtime,
        }
    }
}

/// A set of tiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tiers(u64);

impl Tiers {
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn has(self, tier: Tier) -> bool {
        self.0 & (1 << tier.0) != 0
    }

    pub(super) const fn add(&mut self, tier: Tier) {
        self.0 |= 1 << tier.0;
    }

    pub(super) const fn take(&mut self, tier: Tier) {
        self.0 &= !(1 << tier.0);
    }

    /// The highest of them.
    pub(super) fn top(self) -> Option<Tier> {
        let bit = self.0.checked_ilog2()?;
        u8::try_from(bit).ok().map(Tier)
    }
}
