//! Builds libzmq with CURVE, over the libsodium that libsodium-sys-stable has built.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder =
        |name: &str| env::var(name).unwrap_or_else(|_| panic!("libsodium-sys-stable does not say {}", name));
    let sodium = zeromq_src::LibLocation::new(folder("DEP_SODIUM_LIB"), folder("DEP_SODIUM_INCLUDE"));
    // As in any published crate, warnings about sources that are not ours are nobody's business here.
    let flags = env::var("CXXFLAGS").unwrap_or_default();
    env::set_var("CXXFLAGS", format!("{} -w", flags));
    zeromq_src::Build::new().with_libsodium(Some(sodium)).build();
}
