//! Writing MessagePack: each function appends one value, or the head of a container, in its shortest form.
//!
//! Written here because it is the hot path: rmp's writers go through an I/O trait and its errors, and grow the buffer once
//! for the head of a value and once for its bytes (`cargo bench -p metlog-core --bench instructions`). Reading is rmp's.
#![expect(
    unsafe_code,
    reason = "a head and its bytes are written with one look at the buffer's room, not two"
)]

/// `null`.
pub fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// A boolean.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 | u8::from(value));
}

/// An unsigned integer.
#[inline]
pub fn unsigned(out: &mut Vec<u8>, value: u64) {
    match u8::try_from(value) {
        Ok(small) if small < 0x80 => out.push(small),
        _ => large_unsigned(out, value),
    }
}

fn large_unsigned(out: &mut Vec<u8>, value: u64) {
    let Ok(word) = u32::try_from(value) else { return head(out, 0xcf, value.to_be_bytes()) };
    match (u8::try_from(word), u16::try_from(word)) {
        (Ok(byte), _) => head(out, 0xcc, [byte]),
        (_, Ok(short)) => head(out, 0xcd, short.to_be_bytes()),
        _ => head(out, 0xce, word.to_be_bytes()),
    }
}

/// A signed integer.
#[inline]
pub fn signed(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        return unsigned(out, value);
    }
    negative(out, value);
}

fn negative(out: &mut Vec<u8>, value: i64) {
    match (i8::try_from(value), i16::try_from(value), i32::try_from(value)) {
        (Ok(byte), ..) if byte >= -32 => head(out, byte.to_be_bytes()[0], []),
        (Ok(byte), ..) => head(out, 0xd0, byte.to_be_bytes()),
        (_, Ok(short), _) => head(out, 0xd1, short.to_be_bytes()),
        (.., Ok(word)) => head(out, 0xd2, word.to_be_bytes()),
        _ => head(out, 0xd3, value.to_be_bytes()),
    }
}

/// A double; one that is not finite is `null`.
pub fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        head(out, 0xcb, value.to_be_bytes());
    } else {
        nil(out);
    }
}

/// Text.
#[inline]
pub fn text(out: &mut Vec<u8>, value: &str) {
    match u8::try_from(value.len()) {
        Ok(short) if short < 32 && out.capacity() - out.len() > 32 => short_text(out, short, value),
        _ => long_text(out, value),
    }
}

/// Names and most values: no call of `memcpy`, no buffer that could have to grow.
#[inline]
fn short_text(out: &mut Vec<u8>, short: u8, value: &str) {
    let (source, length) = (value.as_ptr(), usize::from(short));
    debug_assert!(length == value.len() && length < 32 && out.capacity() - out.len() > length);
    // SAFETY: the caller has seen that there is room for a byte and 31 more behind the last one, and that the text is
    // shorter than 32, `short` bytes. Within each arm both copies lie inside the first `length` bytes of source and target, which they
    // cover; the two cannot overlap, since `value` is borrowed and `out` is borrowed mutably.
    unsafe {
        let head = out.as_mut_ptr().add(out.len());
        head.write(0xa0 | short);
        let target = head.add(1);
        match length {
            16.. => copy_ends::<16>(source, target, length),
            8.. => copy_ends::<8>(source, target, length),
            4.. => copy_ends::<4>(source, target, length),
            2.. => copy_ends::<2>(source, target, length),
            1 => copy_ends::<1>(source, target, length),
            0 => {}
        }
        out.set_len(out.len() + 1 + length);
    }
}

/// Copies the first and the last `N` bytes.
///
/// # Safety
/// `length` is at least `N`, `source` is valid for reads and `target` for writes of `length` bytes, which do not overlap.
#[inline]
unsafe fn copy_ends<const N: usize>(source: *const u8, target: *mut u8, length: usize) {
    let last = length - N;
    // SAFETY: both pieces lie within `length` bytes, as the caller promises; arrays of bytes have no alignment.
    unsafe {
        let ends = (source.cast::<[u8; N]>().read(), source.add(last).cast::<[u8; N]>().read());
        target.cast::<[u8; N]>().write(ends.0);
        target.add(last).cast::<[u8; N]>().write(ends.1);
    }
}

#[inline(never)]
fn long_text(out: &mut Vec<u8>, value: &str) {
    match u8::try_from(value.len()) {
        Ok(short) if short < 32 => put(out, [0xa0 | short], value.as_bytes()),
        Ok(byte) => put(out, [0xd9, byte], value.as_bytes()),
        Err(_) => {
            long(out, [0xda, 0xdb], value.len());
            out.extend_from_slice(value.as_bytes());
        }
    }
}

/// Bytes.
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(byte) => put(out, [0xc4, byte], value),
        Err(_) => {
            long(out, [0xc5, 0xc6], value.len());
            out.extend_from_slice(value);
        }
    }
}

/// The head of a list: `length` values follow.
#[inline]
pub fn list(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 16 => out.push(0x90 | short),
        _ => long(out, [0xdc, 0xdd], length),
    }
}

/// The head of a map: `length` pairs of a name and a value follow.
#[inline]
pub fn map(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 16 => out.push(0x80 | short),
        _ => long(out, [0xde, 0xdf], length),
    }
}

#[inline]
fn head<const N: usize>(out: &mut Vec<u8>, marker: u8, rest: [u8; N]) {
    put(out, [marker], &rest);
}

/// Appends both, as one.
#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, head: [u8; N], body: &[u8]) {
    out.reserve(N + body.len());
    // SAFETY: there is room for both behind the last byte, as was just seen to; `body` cannot overlap it, since it is
    // borrowed and `out` is borrowed mutably. All bytes up to the new length are written.
    unsafe {
        let end = out.as_mut_ptr().add(out.len());
        end.cast::<[u8; N]>().write(head);
        end.add(N).copy_from_nonoverlapping(body.as_ptr(), body.len());
        out.set_len(out.len() + N + body.len());
    }
}

/// A length of two bytes or of four. A message is at most a mebibyte, so longer ones are refused with it.
fn long(out: &mut Vec<u8>, [two, four]: [u8; 2], length: usize) {
    match u16::try_from(length) {
        Ok(short) => head(out, two, short.to_be_bytes()),
        Err(_) => head(out, four, u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    /// Numbers around every change of form.
    fn edges() -> impl Iterator<Item = i128> {
        let bits = (0..64).map(|bit| 1_i128 << bit);
        bits.flat_map(|power| [power - 1, power, power + 1]).flat_map(|edge| [edge, -edge])
    }

    #[test]
    fn integers_are_written_as_rmp_writes_them() {
        for edge in edges() {
            if let Ok(value) = u64::try_from(edge) {
                let theirs = written(|out| drop(rmp::encode::write_uint(out, value)));
                assert_eq!(written(|out| unsigned(out, value)), theirs, "{value}");
            }
            if let Ok(value) = i64::try_from(edge) {
                let theirs = written(|out| drop(rmp::encode::write_sint(out, value)));
                assert_eq!(written(|out| signed(out, value)), theirs, "{value}");
            }
        }
    }

    #[test]
    fn short_texts_are_copied_whole_with_much_room_and_with_none() {
        let alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
        for length in 0..=alphabet.len() {
            let value = &alphabet[..length];
            let theirs = written(|out| drop(rmp::encode::write_str(out, value)));
            for room in [0, 1, length, length + 1, 32, 33, 100] {
                let mut out = Vec::with_capacity(room);
                text(&mut out, value);
                assert_eq!(out, theirs, "length {length}, room {room}");
            }
        }
    }

    #[test]
    fn lengths_are_written_as_rmp_writes_them() {
        for length in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let content = "x".repeat(length);
            let announced = u32::try_from(length).unwrap();
            for (ours, theirs) in [
                (
                    written(|out| text(out, &content)),
                    written(|out| drop(rmp::encode::write_str(out, &content))),
                ),
                (
                    written(|out| bytes(out, content.as_bytes())),
                    written(|out| drop(rmp::encode::write_bin(out, content.as_bytes()))),
                ),
                (
                    written(|out| list(out, length)),
                    written(|out| drop(rmp::encode::write_array_len(out, announced))),
                ),
                (
                    written(|out| map(out, length)),
                    written(|out| drop(rmp::encode::write_map_len(out, announced))),
                ),
            ] {
                assert!(ours == theirs, "length {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn scalars_are_written_as_rmp_writes_them(float_value: f64, flag: bool) {
            let finite = float_value.is_finite();
            let theirs = written(|out| {
                if finite { drop(rmp::encode::write_f64(out, float_value)) } else { drop(rmp::encode::write_nil(out)) }
            });
            prop_assert_eq!(written(|out| float(out, float_value)), theirs);
            let theirs = written(|out| drop(rmp::encode::write_bool(out, flag)));
            prop_assert_eq!(written(|out| boolean(out, flag)), theirs);
        }
    }
}
