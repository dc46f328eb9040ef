//! The message that everything is measured with: type `services`, a payload of 20 bytes, three fields.

use metlog_core::{Client, Options, fields};

/// Sends it.
pub(crate) fn send(client: &Client) {
    client.metlog(
        "services",
        Options {
            payload: Some(&"this is the payload!"),
            fields: fields(&[("userid", &25), ("req_time", &4), ("path", &"/1.1/bookmarks")]),
            ..Options::default()
        },
    );
}

/// The same message, encoded by rmp into a buffer that is kept.
pub(crate) fn encode(out: &mut Vec<u8>) -> Result<(), rmp::encode::ValueWriteError> {
    rmp::encode::write_array_len(out, 6)?;
    rmp::encode::write_str(out, "services")?;
    rmp::encode::write_uint(out, 6)?;
    rmp::encode::write_str(out, "syncstorage")?;
    rmp::encode::write_sint(out, 1_795_302_838_000_000_000)?;
    rmp::encode::write_str(out, "this is the payload!")?;
    rmp::encode::write_map_len(out, 3)?;
    rmp::encode::write_str(out, "userid")?;
    rmp::encode::write_sint(out, 25)?;
    rmp::encode::write_str(out, "req_time")?;
    rmp::encode::write_sint(out, 4)?;
    rmp::encode::write_str(out, "path")?;
    rmp::encode::write_str(out, "/1.1/bookmarks")
}
