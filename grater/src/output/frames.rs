//! The pieces that a delivery is sent in, and which items are settled when only some of them went.

use super::{Delivered, Halted, OutputError};

/// Lines or packets, one behind the other, each of one item.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Where each frame ends, and the position of its item.
    ends: Vec<(usize, usize)>,
    dead: Vec<(usize, String)>,
    items: usize,
}

/// A sending that stopped before its end.
#[derive(Debug)]
pub(super) struct Unsent {
    /// Frames, from the first, that went.
    pub(super) frames: usize,
    /// Why no more did.
    pub(super) error: OutputError,
}

impl From<OutputError> for Unsent {
    fn from(error: OutputError) -> Self {
        Self { frames: 0, error }
    }
}

impl Frames {
    /// Begins a delivery anew and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.dead.clear();
        self.items = 0;
    }

    /// Adds the frames that `write` makes of the next item: all, or with its reason none.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Writer<'_>) -> Result<(), String>) {
        let (bytes, ends) = (self.bytes.len(), self.ends.len());
        if let Err(reason) = write(&mut Writer(self)) {
            self.bytes.truncate(bytes);
            self.ends.truncate(ends);
            self.dead.push((self.items, reason));
        }
        self.items += 1;
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many frames lie whole in the first `bytes` bytes, and where the last of them and the one after it end.
    pub(super) fn split(&self, bytes: usize) -> (usize, usize, usize) {
        let whole = self.ends.partition_point(|(end, _)| *end <= bytes);
        let end = |frame: usize| self.ends.get(frame).map_or(self.bytes.len(), |(end, _)| *end);
        (whole, whole.checked_sub(1).map_or(0, end), end(whole))
    }

    /// Packets of as many whole frames as fit into `most` bytes, each with the number of frames up to its end. A frame
    /// that is longer goes alone.
    pub(super) fn packets(&self, most: usize) -> impl Iterator<Item = (&[u8], usize)> {
        let (mut start, mut frame) = (0, 0);
        std::iter::from_fn(move || {
            let rest = self.ends.get(frame..)?;
            let fitting = rest.partition_point(|(end, _)| end - start <= most).max(1);
            let (end, _) = rest.get(fitting - 1)?;
            let packet = self.bytes.get(start..*end)?;
            (start, frame) = (*end, frame + fitting);
            Some((packet, frame))
        })
    }

    /// What became of the items when `sent` is what became of the frames.
    pub(super) fn settle(&mut self, sent: Result<(), Unsent>) -> Result<Delivered, Halted> {
        let dead = std::mem::take(&mut self.dead);
        match sent {
            Ok(()) => Ok(Delivered { dead }),
            Err(Unsent { frames, error }) => {
                let settled = self.ends.get(frames).map_or(self.items, |(_, item)| *item);
                Err(Halted::after(settled, dead, error))
            }
        }
    }
}

/// Writes the frames of one item.
pub(super) struct Writer<'a>(&'a mut Frames);

impl Writer<'_> {
    /// A frame of these bytes.
    pub(super) fn frame(&mut self, bytes: &[u8]) {
        self.0.bytes.extend_from_slice(bytes);
        self.0.ends.push((self.0.bytes.len(), self.0.items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Frames {
        let mut frames = Frames::default();
        for item in [Some("aa\nb\n"), None, Some("ccc\n"), Some("d\n")] {
            frames.add(|writer| {
                item.unwrap_or("half\n").split_inclusive('\n').for_each(|line| writer.frame(line.as_bytes()));
                item.map(drop).ok_or_else(|| "no".to_owned())
            });
        }
        frames
    }

    #[test]
    fn packets_hold_as_many_whole_frames_as_fit() {
        let frames = frames();
        let packed =
            |most| frames.packets(most).map(|(packet, sent)| (packet.len(), sent)).collect::<Vec<_>>();
        assert_eq!(packed(100), [(11, 4)]);
        assert_eq!(packed(5), [(5, 2), (4, 3), (2, 4)]);
        assert_eq!(packed(1), [(3, 1), (2, 2), (4, 3), (2, 4)]);
    }

    #[test]
    fn an_item_is_settled_when_all_its_frames_went() {
        for (sent, settled, dead) in [(0, 0, 0), (1, 0, 0), (2, 2, 1), (3, 3, 1), (4, 4, 1)] {
            let error = OutputError::setting("a", "b");
            let halted = frames().settle(Err(Unsent { frames: sent, error })).unwrap_err();
            assert_eq!((halted.settled, halted.dead.len()), (settled, dead), "{sent}");
        }
        assert_eq!(frames().settle(Ok(())).unwrap().dead, [(1, "no".to_owned())]);
    }

    #[test]
    fn bytes_that_went_are_whole_frames_and_a_part_of_one() {
        for (bytes, split) in
            [(0, (0, 0, 3)), (3, (1, 3, 5)), (4, (1, 3, 5)), (10, (3, 9, 11)), (11, (4, 11, 11))]
        {
            assert_eq!(frames().split(bytes), split, "{bytes}");
        }
    }
}
