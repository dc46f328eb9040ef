//! Compares checksums: one place, so that a test can turn one kind off and show that it is needed.

/// What a checksum is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    RecordHead,
    Record,
    Segment,
    Checkpoint,
}

/// Whether the checksum found is the one computed.
#[cfg(not(test))]
pub(super) fn agrees(_sum: Sum, computed: u32, found: u32) -> bool {
    computed == found
}

#[cfg(test)]
pub(super) use of_tests::{agrees, blind};

#[cfg(test)]
mod of_tests {
    use std::cell::Cell;

    use super::Sum;

    thread_local! {
        static BLIND: Cell<Option<Sum>> = const { Cell::new(None) };
    }

    /// From now on this thread takes checksums of this kind for good, whatever they are.
    pub(in super::super) fn blind(sum: Option<Sum>) {
        BLIND.set(sum);
    }

    pub(in super::super) fn agrees(sum: Sum, computed: u32, found: u32) -> bool {
        BLIND.get() == Some(sum) || computed == found
    }
}
