//! Messages that JavaScript has written as MessagePack into memory of its own, and the one raw call that takes them over.
//!
//! `lib/pack.js` writes into a buffer that is given once, and a call needs no argument at all. Per call napi would look its
//! handle up in a table under a lock and convert every argument: 150 to 300 ns on top of 30 (`benches/call.js`).
//!
//! The buffer: head | type, logger and hostname as plain UTF-8 | payload as one MessagePack value | names and values of the
//! fields, one after another. A logger or hostname of no bytes is the sender's own.
//!
//! The head: ten numbers of 32 bits, as the processor has them: severity; where type, logger, hostname, payload and fields
//! end; how many fields there are; the process, 0 for this one; the upper and the lower half of the time in microseconds
//! since the epoch, all ones in the upper half for now.
#![expect(
    unsafe_code,
    reason = "a function of Node-API itself: the arguments of napi's cost more than the rest of a call"
)]

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use metlog_core::{Client, Options, Severity, Timestamp, client::FieldSet, stats::Reason, value::Encoded};
use napi::{
    Env, Unknown,
    bindgen_prelude::{External, Uint8Array},
    check_status, sys,
};
use napi_derive::napi;

use crate::sender::Sender;

/// What the function of a sender keeps.
struct Taker {
    client: Client,
    memory: Uint8Array,
}

/// How many numbers the head has, and how many bytes each.
const NUMBERS: usize = 10;
const NUMBER: usize = 4;

/// Where the type begins.
const KIND_START: usize = NUMBERS * NUMBER;

impl Taker {
    /// Takes one message; one whose bounds make no sense, or whose type is no text, is refused and counted.
    fn take(&self) {
        if self.send().is_none() {
            self.client.refuse(Reason::Encode);
        }
    }

    fn send(&self) -> Option<()> {
        let [severity, kind_end, logger_end, hostname_end, payload_end, fields_end, count, pid, high, low] =
            self.head()?;
        let kind = str::from_utf8(self.part(KIND_START, kind_end)?).ok()?;
        let payload = Encoded(self.part(hostname_end, payload_end).filter(|value| !value.is_empty())?);
        let pairs = Encoded(self.part(payload_end, fields_end)?);
        let options = Options {
            logger: self.name(kind_end, logger_end)?,
            severity: Severity::try_from(i64::from(severity)).ok(),
            payload: Some(&payload),
            fields: FieldSet::Encoded { count: usize::try_from(count).ok()?, pairs },
            timestamp: timestamp(high, low)?,
            pid: (pid != 0).then_some(i64::from(pid)),
            hostname: self.name(logger_end, hostname_end)?,
            ..Options::default()
        };
        self.client.metlog(kind, options);
        Some(())
    }

    /// The bytes between two places; none where these make no sense.
    fn part(&self, start: impl TryInto<usize>, end: u32) -> Option<&[u8]> {
        self.memory.get(start.try_into().ok()?..usize::try_from(end).ok()?)
    }

    /// A text between two places, or within the sender's own.
    fn name(&self, start: u32, end: u32) -> Option<Option<&str>> {
        let name = str::from_utf8(self.part(start, end)?).ok()?;
        Some((!name.is_empty()).then_some(name))
    }

    fn head(&self) -> Option<[u32; NUMBERS]> {
        let mut numbers = [0; NUMBERS];
        let (words, _) = self.memory.get(..KIND_START)?.as_chunks::<NUMBER>();
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = u32::from_ne_bytes(*word);
        }
        Some(numbers)
    }
}

/// The time that a message names: within, none for now; without, none for one beyond any calendar.
fn timestamp(high: u32, low: u32) -> Option<Option<Timestamp>> {
    if high == u32::MAX {
        return Some(None);
    }
    let nanos = i64::from(high).checked_mul(1 << 32)?.checked_add(i64::from(low))?.checked_mul(1_000)?;
    Some(Some(Timestamp::from_nanos(nanos)))
}

/// The function that takes for this sender what lies in `memory`; it has no argument.
#[napi(catch_unwind)]
pub fn taker<'env>(
    env: &'env Env,
    sender: &External<Sender>,
    memory: Uint8Array,
) -> napi::Result<Unknown<'env>> {
    let taker = Box::into_raw(Box::new(Taker { client: sender.client().clone(), memory })).cast::<c_void>();
    let mut function = ptr::null_mut();
    // SAFETY: `env` is that of the running call, no name is given, so its length is not read, and `function` is where the
    // result goes. `taker` comes from a box and lives until `let_go`, which Node calls once when the function is gone.
    unsafe {
        let made = sys::napi_create_function(
            env.raw(),
            ptr::null(),
            0,
            Some(take_written),
            taker,
            &raw mut function,
        );
        if let Err(error) = check_status!(made) {
            let_go(env.raw(), taker, ptr::null_mut());
            return Err(error);
        }
        let added = sys::napi_add_finalizer(
            env.raw(),
            function,
            taker,
            Some(let_go),
            ptr::null_mut(),
            ptr::null_mut(),
        );
        check_status!(added)?;
        Ok(Unknown::from_raw_unchecked(env.raw(), function))
    }
}

/// The function itself; gives back undefined.
unsafe extern "C" fn take_written(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut taker = ptr::null_mut();
    // SAFETY: Node calls this with its own `env` and `info`; a null pointer asks for nothing. `taker` is the box of this
    // function, which is alive while it is called, and only its memory is changed elsewhere: by JavaScript, which
    // waits for this call.
    let taker = unsafe {
        let (count, list, this) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let got = sys::napi_get_cb_info(env, info, count, list, this, &raw mut taker);
        // Node says nothing of a function whose thread is coming to its end.
        if got != sys::Status::napi_ok || taker.is_null() {
            return ptr::null_mut();
        }
        &*taker.cast::<Taker>()
    };
    // A panic must not leave a function of C; it counts as a refusal.
    if catch_unwind(AssertUnwindSafe(|| taker.take())).is_err() {
        taker.client.refuse(Reason::Encode);
    }
    ptr::null_mut()
}

/// Frees what a function kept.
unsafe extern "C" fn let_go(_: sys::napi_env, taker: *mut c_void, _: *mut c_void) {
    // SAFETY: the box that `taker` made, which nothing else frees; its function can no longer be called.
    drop(unsafe { Box::from_raw(taker.cast::<Taker>()) });
}
