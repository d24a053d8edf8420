//! Memory that is not needed any more goes back to the system.

/// Gives free memory back. The allocator of glibc keeps what a storm of requests needed once, in pages
/// between those that are still in use, until it is asked. Others do it by themselves, or never.
///
/// It holds up whoever allocates meanwhile, for about a millisecond.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "the C library offers it only like this")]
        // SAFETY: it asks nothing of its caller, and no memory that is in use changes.
        let given_back = unsafe { libc::malloc_trim(0) } != 0;
        tracing::trace!(given_back, "free memory");
    }
}
