//! Gives ZeroMQ a frame without a copy: the I/O thread reads it where it lies, and lets go of it when the last byte is with
//! the kernel. That is how the socket's buffer counts against `queue_bytes`: a batch keeps its room until then.
#![expect(
    unsafe_code,
    reason = "the zmq crate copies every frame or takes a boxed slice; neither tells when it has left"
)]

use std::ffi::c_void;

/// Offers the bytes of `owner` without waiting. `owner` is dropped on ZeroMQ's I/O thread once they have left, or at once
/// when they are not taken.
///
/// # Errors
/// `EAGAIN` when the socket takes nothing now; others as `zmq_msg_send` has them.
pub(in crate::sender) fn send<T>(socket: &mut zmq::Socket, owner: T) -> Result<(), zmq::Error>
where
    T: AsRef<[u8]> + Send + Sync + 'static,
{
    // Boxed first: bytes that lie within `owner` itself must not move any more.
    let owner = Box::into_raw(Box::new(owner));
    // SAFETY: `owner` came from `Box::into_raw` just now, and nobody else has it.
    let bytes = unsafe { &*owner }.as_ref();
    let (data, size) = (bytes.as_ptr().cast_mut().cast::<c_void>(), bytes.len());
    let mut message = zmq_sys::zmq_msg_t::default();
    // SAFETY: `message` is room for a message that is not initialised. `data` and `size` describe memory that `owner`
    // keeps alive and nobody writes to (ZeroMQ only reads what it sends) until `release` drops `owner`; ZeroMQ calls it
    // exactly once, when it holds the message no more.
    let made =
        unsafe { zmq_sys::zmq_msg_init_data(&raw mut message, data, size, Some(release::<T>), owner.cast()) };
    if made != 0 {
        let error = last_error();
        // SAFETY: the message was not made, so `release` is never called and `owner` is still ours.
        drop(unsafe { Box::from_raw(owner) });
        return Err(error);
    }
    // SAFETY: the message is initialised and the socket open, used by this thread alone (`&mut`).
    let sent = unsafe { zmq_sys::zmq_msg_send(&raw mut message, socket.as_mut_ptr(), zmq::DONTWAIT) };
    if sent >= 0 {
        // The socket has taken the message over; what is left here is empty and owns nothing.
        return Ok(());
    }
    let error = last_error();
    // SAFETY: a message that was not sent is still ours, initialised; closing it calls `release`.
    unsafe { zmq_sys::zmq_msg_close(&raw mut message) };
    Err(error)
}

fn last_error() -> zmq::Error {
    // SAFETY: reads a number of this thread.
    zmq::Error::from_raw(unsafe { zmq_sys::zmq_errno() })
}

/// Drops the owner of a message's bytes; called by ZeroMQ, on any of its threads.
unsafe extern "C" fn release<T>(_data: *mut c_void, owner: *mut c_void) {
    // SAFETY: `owner` is the pointer that `send` took from a `Box<T>`, given back once; `T` may be dropped on another
    // thread, it is `Send`.
    let owner = unsafe { Box::from_raw(owner.cast::<T>()) };
    // A panic must not cross into C.
    let _dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(owner)));
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::*;

    /// Bytes that are seen to be let go of.
    struct Seen(Vec<u8>, #[expect(dead_code, reason = "counted, not read")] Arc<()>);

    impl AsRef<[u8]> for Seen {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    fn wait_until_free(alive: &Arc<()>) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(alive) > 1 {
            assert!(Instant::now() < deadline, "the frame is never let go of");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_frame_arrives_whole_and_is_let_go_of() {
        let context = zmq::Context::new();
        let pull = context.socket(zmq::PULL).unwrap();
        pull.bind("tcp://127.0.0.1:*").unwrap();
        let mut push = context.socket(zmq::PUSH).unwrap();
        push.connect(&pull.get_last_endpoint().unwrap().unwrap()).unwrap();
        let alive = Arc::new(());
        for size in [0, 1, 30, 9_000, 300_000] {
            let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            send(&mut push, Seen(bytes.clone(), Arc::clone(&alive))).unwrap();
            assert_eq!(pull.recv_bytes(0).unwrap(), bytes);
            wait_until_free(&alive);
        }
    }

    #[test]
    fn a_frame_that_is_not_taken_is_let_go_of_at_once() {
        let context = zmq::Context::new();
        let mut push = context.socket(zmq::PUSH).unwrap();
        let alive = Arc::new(());
        assert_eq!(send(&mut push, Seen(vec![1; 100], Arc::clone(&alive))), Err(zmq::Error::EAGAIN));
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn what_lies_in_a_socket_that_closes_is_let_go_of() {
        let context = zmq::Context::new();
        let mut push = context.socket(zmq::PUSH).unwrap();
        push.set_linger(0).unwrap();
        push.connect("tcp://127.0.0.1:9").unwrap();
        let alive = Arc::new(());
        send(&mut push, Seen(vec![1; 100], Arc::clone(&alive))).unwrap();
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(push);
        drop(context);
        wait_until_free(&alive);
    }
}
