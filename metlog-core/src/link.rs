//! The frames of a link: one hop between a sender and a receiver that acknowledges.
