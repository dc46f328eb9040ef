//! A thread that must not ask the kernel for anything.
#![expect(unsafe_code, reason = "seccomp has no safe form in std")]

/// From now on any system call of this thread kills the process, but the one that ends it ([`end`]).
pub(crate) fn seal() {
    let step = |code: u32, jt, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf: 0, k };
    let mut steps = [
        // The number of the call is the first field of what the filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        // Skips the next step.
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::try_from(libc::SYS_exit_group).unwrap()),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: u16::try_from(steps.len()).unwrap(), filter: steps.as_mut_ptr() };
    // SAFETY: plain numbers; without new privileges an unprivileged process may install a filter.
    let ready = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(ready, 0, "{}", std::io::Error::last_os_error());
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program is valid for the call, which copies it.
    let sealed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!(sealed, 0, "{}", std::io::Error::last_os_error());
}

/// Ends the process from a sealed thread: nothing else can.
pub(crate) fn end() -> ! {
    // SAFETY: ends the process without running anything else of it.
    unsafe { libc::_exit(0) }
}
