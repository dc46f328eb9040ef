//! Sixteen random bytes as 32 hexadecimal digits: how identities are shown and serialised.

use std::fmt;

pub(crate) fn write(bytes: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:032x}", u128::from_be_bytes(bytes))
}

pub(crate) fn parse(digits: &str) -> Option<[u8; 16]> {
    // `from_str_radix` also takes a sign.
    let all_digits = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(digits, 16).ok().filter(|_| all_digits).map(u128::to_be_bytes)
}
