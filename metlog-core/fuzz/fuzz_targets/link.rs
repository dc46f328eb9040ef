//! Frames of the link, and the sender's window under any order of what the peer says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_core::link::{Frame, Window};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = Frame::decode(bytes) {
        let again = frame.encode();
        assert_eq!(Frame::decode(&again).unwrap(), frame);
    }
    follow(bytes);
});

/// Each three bytes are a step: what happens, to which number, how large.
fn follow(steps: &[u8]) {
    let mut window = Window::default();
    let mut next = 1_u64;
    for step in steps.chunks_exact(3) {
        let before = window.acknowledged();
        let number = u64::from(step[1]);
        match step[0] % 4 {
            0 if window.is_open() => {
                window.sent(next, usize::from(step[2]));
                next += 1 + number % 3;
            }
            1 => {
                if window.ack(number).is_ok() {
                    assert!(window.acknowledged() >= before && window.acknowledged() < next);
                } else {
                    assert_eq!(window.acknowledged(), before, "an ack of what was never sent moves nothing");
                }
            }
            2 => window.set_credit(u64::from(step[2])),
            3 => {
                window.welcome(number, u64::from(step[2]));
                next = next.max(number + 1);
                assert!(window.is_empty());
            }
            _ => {}
        }
    }
}
