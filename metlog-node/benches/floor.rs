//! The floor of a call into an addon: raw functions of Node-API that take a number, or a text, and do nothing with it; and
//! the clock that the benchmarks need, that of the calling thread's own processor time.
#![expect(unsafe_code, reason = "what is measured is Node-API with nothing on top")]

use std::{
    ffi::{CStr, c_char},
    hint::black_box,
    mem::MaybeUninit,
    ptr,
};

use cpu_time::ThreadTime;
use napi::sys;

/// The longest text that is taken.
const TEXT: usize = 64 * 1024;

/// Called by Node when it loads the addon.
///
/// # Safety
/// Only Node may call this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(
    env: sys::napi_env,
    exports: sys::napi_value,
) -> sys::napi_value {
    let functions: [(&CStr, sys::napi_callback); 3] =
        [(c"number", Some(number)), (c"text", Some(text)), (c"threadNanos", Some(thread_nanos))];
    for (name, function) in functions {
        let mut made = ptr::null_mut();
        // SAFETY: `env` and `exports` are Node's, the name ends in a zero, and `made` is where the function goes.
        unsafe {
            sys::napi_create_function(env, name.as_ptr(), -1, function, ptr::null_mut(), &raw mut made);
            sys::napi_set_named_property(env, exports, name.as_ptr(), made);
        }
    }
    exports
}

unsafe extern "C" fn number(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut number = 0;
    // SAFETY: `env` and `info` are Node's, `number` is where the result goes.
    unsafe { sys::napi_get_value_uint32(env, argument(env, info), &raw mut number) };
    black_box(number);
    ptr::null_mut()
}

unsafe extern "C" fn text(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut text = MaybeUninit::<[c_char; TEXT]>::uninit();
    let mut length = 0;
    // SAFETY: `env` and `info` are Node's, and `text` has as much room as is said.
    unsafe {
        let value = argument(env, info);
        sys::napi_get_value_string_utf8(env, value, text.as_mut_ptr().cast(), TEXT, &raw mut length);
    }
    black_box((text.as_ptr(), length));
    ptr::null_mut()
}

unsafe extern "C" fn thread_nanos(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    let mut nanos = ptr::null_mut();
    let time = ThreadTime::now().as_duration().as_secs_f64() * 1e9;
    // SAFETY: `env` is Node's, `nanos` is where the result goes.
    unsafe { sys::napi_create_double(env, time, &raw mut nanos) };
    nanos
}

/// The first argument.
unsafe fn argument(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (mut count, mut value) = (1, ptr::null_mut());
    // SAFETY: the caller's `env` and `info` are Node's; there is room for the one argument asked for.
    unsafe {
        sys::napi_get_cb_info(env, info, &raw mut count, &raw mut value, ptr::null_mut(), ptr::null_mut());
    }
    value
}
