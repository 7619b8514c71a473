//! How many cells a lease asks for, and those that it does not want.

use std::time::Duration;

/// As many cells are asked for as are used in this time.
const AHEAD: Duration = Duration::from_millis(250);

/// How fast cells are used.
#[derive(Debug, Default)]
pub(super) struct LeasePace {
    since: u64,
    /// That were there then, or at the last look.
    pub(super) had: u32,
    used: u32,
    spare: u32,
}

impl LeasePace {
    /// Cells that were taken since the last look.
    pub(super) fn look(&mut self, cells: u32) -> u32 {
        let used = self.had.saturating_sub(cells);
        self.had = cells;
        self.used = self.used.saturating_add(used);
        used
    }

    /// How many more to ask for than wait: as many as are used in a while, and never more than double.
    pub(super) fn ahead(&mut self, now: u64, waiting: u32, most: u32) -> u32 {
        let time = now.saturating_sub(self.since).max(1_000_000);
        let used = u64::from(self.used + waiting);
        let pace = used.saturating_mul(nanos(AHEAD)) / time;
        let most = most.min(self.spare.saturating_mul(2).saturating_add(1));
        self.spare = u32::try_from(pace).unwrap_or(u32::MAX).min(most);
        (self.since, self.used) = (now, 0);
        self.spare
    }

    /// At so few left, more are asked for.
    pub(super) fn low(&self) -> u32 {
        self.spare / 4
    }
}

/// Cells of a day or month that nobody here wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UnusedCells {
    pub(super) period: u32,
    pub(super) cells: u32,
}

impl UnusedCells {
    /// Those of a period that is over are worth nothing.
    pub(super) fn add(&mut self, period: u32, cells: u32) {
        match self.cells {
            0 => *self = Self { period, cells },
            _ if self.period == period => self.cells = self.cells.saturating_add(cells),
            _ if self.period < period => *self = Self { period, cells },
            _ => {}
        }
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
