//! Waits for a socket or the stop, whichever comes first: a thread with nothing to do does not wake at all.

use std::{
    io::{self, PipeReader, Write as _},
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

use crate::stop::Stop;

/// How long is waited at most when the operating system gave no pipe for the stop.
const WITHOUT_PIPE: Duration = Duration::from_millis(100);

/// What one thread waits with.
#[derive(Debug)]
pub struct Waiter {
    stop: Stop,
    /// Can be read once the stop is set.
    stopped: Option<PipeReader>,
}

impl Waiter {
    /// For the thread that has this handle of the stop.
    #[must_use]
    pub fn new(stop: &Stop) -> Self {
        let pipe = io::pipe().map(|(reader, mut writer)| {
            stop.on_set(move || {
                let _reader_has_gone = writer.write_all(&[0]);
            });
            reader
        });
        Self { stop: stop.clone(), stopped: pipe.ok() }
    }

    /// Waits until something can be read from a ZeroMQ socket, the stop is set, or the time is up; true when it can.
    pub fn socket(&self, socket: &zmq::Socket, timeout: Option<Duration>) -> bool {
        self.wait(socket.as_poll_item(zmq::POLLIN), timeout)
    }

    /// The same for a descriptor.
    pub fn descriptor(&self, descriptor: &(impl AsRawFd + ?Sized), timeout: Option<Duration>) -> bool {
        self.wait(zmq::PollItem::from_fd(descriptor.as_raw_fd(), zmq::POLLIN), timeout)
    }

    /// Waits for any of several descriptors; those that can be read.
    #[must_use]
    pub fn descriptors(&self, descriptors: &[RawFd], timeout: Option<Duration>) -> Vec<RawFd> {
        let items = descriptors.iter().map(|descriptor| zmq::PollItem::from_fd(*descriptor, zmq::POLLIN));
        let mut items = items.collect();
        self.poll(&mut items, timeout);
        let ready = descriptors.iter().zip(&items).filter(|(_, item)| !item.get_revents().is_empty());
        ready.map(|(descriptor, _)| *descriptor).collect()
    }

    /// True once the stop is set.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    fn wait(&self, item: zmq::PollItem<'_>, timeout: Option<Duration>) -> bool {
        let mut items = vec![item];
        self.poll(&mut items, timeout);
        items.first().is_some_and(|item| !item.get_revents().is_empty())
    }

    /// Waits for any of these or the stop, which becomes the last of them.
    fn poll(&self, items: &mut Vec<zmq::PollItem<'_>>, timeout: Option<Duration>) {
        let limit = self.stopped.is_none().then_some(WITHOUT_PIPE);
        let timeout = [timeout, limit].into_iter().flatten().min();
        let millis = timeout.map_or(-1, |timeout| i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        let stopped = self.stopped.as_ref().map(AsRawFd::as_raw_fd);
        items.extend(stopped.map(|stopped| zmq::PollItem::from_fd(stopped, zmq::POLLIN)));
        // When it fails, nothing is ready: the caller asks again.
        let _ready = self.stop.rest(|| zmq::poll(items, millis));
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, time::Instant};

    use super::*;

    #[test]
    fn a_descriptor_or_the_stop_ends_the_wait() {
        let (stop, socket) = (Stop::default(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let waiter = Waiter::new(&stop);
        assert!(!waiter.descriptor(&socket, Some(Duration::from_millis(1))));
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(waiter.descriptor(&socket, None));
        socket.recv(&mut [0; 1]).unwrap();

        let started = Instant::now();
        let waits = std::thread::spawn(move || waiter.descriptor(&socket, Some(Duration::from_secs(60))));
        stop.set();
        assert!(!waits.join().unwrap());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_socket_of_zeromq_is_waited_for() {
        let context = zmq::Context::new();
        let (pull, push) = (context.socket(zmq::PULL).unwrap(), context.socket(zmq::PUSH).unwrap());
        pull.bind("inproc://waiter").unwrap();
        push.connect("inproc://waiter").unwrap();
        let waiter = Waiter::new(&Stop::default());
        assert!(!waiter.socket(&pull, Some(Duration::from_millis(1))));
        push.send("x", 0).unwrap();
        assert!(waiter.socket(&pull, None));
    }
}
