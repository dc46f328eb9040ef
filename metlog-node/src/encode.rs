//! JSON of JavaScript as MessagePack, for those who write streams of their own.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::value;

/// A JSON text as MessagePack.
#[napi(catch_unwind)]
pub fn msgpack(json: String) -> napi::Result<Buffer> {
    let bytes = value::from_json(&json).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    Ok(bytes.into())
}
