//! One cell per thread, found by the thread's number, readable by everyone.

use std::array;

use once_cell::race::OnceBox;

use super::threads;

/// Threads whose cells lie one step away; later ones are two steps away.
const NEAR: usize = 16;

/// Blocks of 16, 32, 64, ... cells: more than a kernel has threads.
const BLOCKS: usize = 24;

/// A cell for every thread that has used it. Cells stay where they are until all of it goes.
pub(super) struct PerThread<T> {
    near: [OnceBox<T>; NEAR],
    far: [OnceBox<Vec<OnceBox<T>>>; BLOCKS],
}

impl<T> Default for PerThread<T> {
    fn default() -> Self {
        Self { near: array::from_fn(|_| OnceBox::new()), far: array::from_fn(|_| OnceBox::new()) }
    }
}

impl<T> PerThread<T> {
    /// This thread's cell, if it has one.
    #[inline]
    pub(super) fn here(&self) -> Option<&T> {
        let number = threads::here()?;
        match self.near.get(number) {
            Some(cell) => cell.get(),
            None => self.get_far(number),
        }
    }

    /// Every cell of a thread from number `base` on.
    pub(super) fn from(&self, base: usize) -> impl Iterator<Item = &T> {
        let far = self.far.iter().enumerate().filter_map(|(block, cells)| Some((block, cells.get()?)));
        let far = far.flat_map(|(block, cells)| (first_of(block)..).zip(cells));
        let all = self.near.iter().enumerate().chain(far);
        all.filter(move |(number, _)| *number >= base).filter_map(|(_, cell)| cell.get())
    }

    #[cold]
    fn get_far(&self, number: usize) -> Option<&T> {
        let block = block_of(number);
        self.far.get(block)?.get()?.get(number - first_of(block))?.get()
    }
}

impl<T: Default> PerThread<T> {
    /// Runs `work` with this thread's cell, made now if it has none.
    #[cold]
    pub(super) fn enter(&self, work: impl FnOnce(&T)) {
        threads::enter(|number| {
            if let Some(cell) = self.place(number) {
                work(cell.get_or_init(Box::default));
            }
        });
    }

    fn place(&self, number: usize) -> Option<&OnceBox<T>> {
        if let Some(near) = self.near.get(number) {
            return Some(near);
        }
        let block = block_of(number);
        let empty = || Box::new((0..NEAR << block).map(|_| OnceBox::new()).collect());
        self.far.get(block)?.get_or_init(empty).get(number - first_of(block))
    }
}

/// The block of a number that is `NEAR` or above.
fn block_of(number: usize) -> usize {
    (number / NEAR).ilog2().try_into().unwrap_or(BLOCKS)
}

/// The first number of a block.
fn first_of(block: usize) -> usize {
    NEAR << block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_place() {
        for (number, block, offset) in
            [(16, 0, 0), (31, 0, 15), (32, 1, 0), (63, 1, 31), (64, 2, 0), (1_000, 5, 488)]
        {
            assert_eq!((block_of(number), number - first_of(block_of(number))), (block, offset), "{number}");
            assert!(number - first_of(block) < NEAR << block);
        }
    }

    #[test]
    fn cells_are_found_again_and_those_below_the_base_are_left_out() {
        let cells = PerThread::<std::sync::Mutex<usize>>::default();
        for number in [0, 15, 16, 33, 500] {
            *cells.place(number).unwrap().get_or_init(Box::default).lock().unwrap() = number;
        }
        let from = |base| cells.from(base).map(|cell| *cell.lock().unwrap()).collect::<Vec<_>>();
        assert_eq!(from(0), [0, 15, 16, 33, 500]);
        assert_eq!(from(16), [16, 33, 500]);
        assert_eq!(from(34), [500]);
    }
}
