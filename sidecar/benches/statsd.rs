//! What a statsd metric costs in CPU, beside the kernel's floor: a receiver that does nothing with what `recvmmsg` gives it,
//! measured in the same run, in turns. Ten metrics a packet over UDP on loopback; the roll-up flushes and saves as ever.
//!
//! `cargo bench -p metlog-sidecar --bench statsd`. Ends with 1 when a bar is missed.
#![expect(unsafe_code, reason = "two system calls that take pointers: the floor itself")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark that fails has nothing else to do, and its figures are small"
)]

use std::{
    io, mem,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    process::ExitCode,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cpu_time::{ProcessTime, ThreadTime};
use metlog_pipeline::{counters::Counters, intake::Intake, spool::SpoolOptions, stop::Stop};
use metlog_sidecar::{
    config::RollupConfig,
    input::statsd::{Datagrams, Messages},
    rollup::{RollupConsumer, StatsdInput},
};

/// Metrics in a packet.
const METRICS: u64 = 10;

/// Packets of one call of the sender and of the floor.
const BATCH: usize = 64;

/// How long each figure is measured: longer than a flush interval, so that each has its share of flushes.
const MEASURED: Duration = Duration::from_secs(12);

/// How long each rate of the search for the first loss is tried.
const TRIED: Duration = Duration::from_secs(2);

/// A receiver loses when more than this share is missing.
const LOSS: f64 = 0.001;

fn main() -> ExitCode {
    let mut failed = false;
    println!("names     metrics/s   floor ns   sidecar ns   ratio   bar    lost by floor, sidecar");
    for (names, bar) in [(1_000, 1.3), (100_000, 1.8)] {
        let packets = packets(names);
        for rate in [200_000, 1_000_000] {
            let floor = measure(&Floor, &packets, rate, MEASURED);
            let sidecar = measure(&Sidecar, &packets, rate, MEASURED);
            let ratio = sidecar.nanos / floor.nanos;
            failed |= ratio > bar;
            println!(
                "{names:<9} {rate:<11} {:<10.0} {:<12.0} {ratio:<7.2} {bar:<6} {:.2}%, {:.2}%",
                floor.nanos,
                sidecar.nanos,
                floor.lost * 100.0,
                sidecar.lost * 100.0,
            );
        }
    }
    let packets = packets(1_000);
    let (floor, sidecar) = (first_loss(&Floor, &packets), first_loss(&Sidecar, &packets));
    let share = sidecar / floor;
    failed |= share < 0.7;
    println!("first loss  floor {floor:.0} metrics/s, sidecar {sidecar:.0} metrics/s: {share:.2}, bar 0.7");
    ExitCode::from(u8::from(failed))
}

/// Packets of ten metrics that go through all names: counters, timers and gauges.
fn packets(names: usize) -> Vec<Vec<u8>> {
    let metric = |number: usize| {
        let kind = ["1|c", "320|ms", "3.5|g", "2|c"][number % 4];
        format!("app.service{}.requests.{number}:{kind}", number % 17)
    };
    // Ten of a packet are not neighbours in any table.
    let order: Vec<usize> = (0..names).map(|place| place * 7_919 % names).collect();
    order
        .chunks(10)
        .map(|chunk| chunk.iter().map(|n| metric(*n)).collect::<Vec<_>>().join("\n").into_bytes())
        .collect()
}

struct Measured {
    /// CPU time of all but the sender, for each metric received.
    nanos: f64,
    lost: f64,
}

/// Something that receives.
trait Receiver {
    /// Receives until told; counts packets.
    fn receive(&self, socket: UdpSocket, stop: &Stop, received: &AtomicU64);
}

fn measure(receiver: &(impl Receiver + Sync), packets: &[Vec<u8>], rate: u64, time: Duration) -> Measured {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20).unwrap();
    let (address, watched) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
    let (stop, received) = (Stop::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| receiver.receive(socket, &stop, &received));
        send(packets, address, rate, Duration::from_millis(500));
        let (before, process) = (kernel_drops(&watched), ProcessTime::now());
        let (sent, own) = send(packets, address, rate, time);
        // What lies in the socket is part of the cost.
        thread::sleep(Duration::from_millis(300));
        let cpu = process.elapsed().saturating_sub(own);
        let lost = f64::from(kernel_drops(&watched).wrapping_sub(before));
        stop.set();
        let taken = (sent as f64 - lost).max(1.0) * METRICS as f64;
        Measured { nanos: cpu.as_nanos() as f64 / taken, lost: lost / sent as f64 }
    })
}

/// The lowest of rising rates at which packets are lost.
fn first_loss(receiver: &(impl Receiver + Sync), packets: &[Vec<u8>]) -> f64 {
    let mut rate = 1_000_000.0_f64;
    while rate < 20e6 {
        let measured = measure(receiver, packets, rate as u64, TRIED);
        if measured.lost > LOSS {
            return rate;
        }
        rate *= 1.15;
    }
    rate
}

/// Sends at `rate` metrics a second; packets sent and CPU time of this thread.
fn send(packets: &[Vec<u8>], address: SocketAddr, rate: u64, time: Duration) -> (u64, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    let (started, own) = (Instant::now(), ThreadTime::now());
    let mut sent = 0_u64;
    let mut next = packets.iter().cycle();
    while started.elapsed() < time {
        let due = (started.elapsed().as_secs_f64() * rate as f64 / METRICS as f64) as u64;
        while sent < due {
            let count = usize::try_from(due - sent).unwrap().min(BATCH);
            sent += send_batch(&socket, next.by_ref().take(count));
        }
        thread::sleep(Duration::from_micros(500));
    }
    (sent, own.elapsed())
}

fn send_batch<'a>(socket: &UdpSocket, packets: impl Iterator<Item = &'a Vec<u8>>) -> u64 {
    // SAFETY: all zeroes are valid for both: integers and null pointers.
    let (mut places, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { mem::zeroed() };
    let mut count = 0;
    for ((packet, place), header) in packets.zip(&mut places).zip(&mut headers) {
        *place = libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
        header.msg_hdr.msg_iov = place;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers point to one iovec each, over a packet that outlives the call and is only read.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    u64::try_from(sent).unwrap_or_else(|_| panic!("{}", io::Error::last_os_error()))
}

fn kernel_drops(socket: &UdpSocket) -> u32 {
    let mut figures = [0_u32; 9];
    let mut length = 36;
    // SAFETY: the kernel writes at most `length` bytes, the size of `figures`.
    let result = unsafe {
        let to = figures.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, to, &raw mut length)
    };
    assert_eq!(result, 0);
    figures[8]
}

/// Receives and does nothing.
struct Floor;

impl Receiver for Floor {
    fn receive(&self, socket: UdpSocket, stop: &Stop, received: &AtomicU64) {
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut buffer = vec![0_u8; BATCH * 2_048];
        let mut places = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 2_048 }; BATCH];
        // SAFETY: all zeroes are valid: integers and null pointers.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for ((slot, place), header) in buffer.chunks_mut(2_048).zip(&mut places).zip(&mut headers) {
            place.iov_base = slot.as_mut_ptr().cast();
            header.msg_hdr.msg_iov = place;
            header.msg_hdr.msg_iovlen = 1;
        }
        while !stop.is_set() {
            let flags = libc::MSG_WAITFORONE;
            // SAFETY: each header points to one iovec over a slot of its own; all outlive the call.
            let taken = unsafe {
                libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), BATCH as u32, flags, ptr::null_mut())
            };
            received.fetch_add(u64::try_from(taken).unwrap_or(0), Ordering::Relaxed);
        }
    }
}

/// The input, the roll-up and its spool.
struct Sidecar;

impl Receiver for Sidecar {
    fn receive(&self, socket: UdpSocket, stop: &Stop, _: &AtomicU64) {
        let dir = tempfile::tempdir().unwrap();
        let intake = Intake::open(dir.path(), SpoolOptions::default()).unwrap();
        let counters = Counters::default();
        let mut rollup =
            RollupConsumer::open(RollupConfig::default(), &intake, dir.path(), counters.clone()).unwrap();
        let messages = Messages::new(StatsdInput::StatsdUdp, intake.clone(), counters);
        let mut input = Datagrams::new(Arc::new(socket), false, rollup.sums(), &messages);
        thread::scope(|scope| {
            scope.spawn(|| rollup.run(stop));
            input.run(stop);
        });
        intake.spool().close();
    }
}
