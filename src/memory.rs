//! Memory that is not needed any more goes back to the system.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::thread::{self, JoinHandle};

/// Gives free memory back. The allocator of glibc keeps what a storm of requests needed once, in pages
/// between those that are still in use, until it is asked. Others do it by themselves, or never.
///
/// It holds up whoever allocates meanwhile, for about a millisecond.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        empty_cache();
        #[expect(unsafe_code, reason = "the C library offers it only like this")]
        // SAFETY: it asks nothing of its caller, and no memory that is in use changes.
        let given_back = unsafe { libc::malloc_trim(0) } != 0;
        tracing::trace!(given_back, "free memory");
    }
}

/// Empties what the allocator keeps for this thread alone: up to seven free pieces of each of its 64
/// small sizes, any of which may hold a page. There is no call for that; but what a thread has kept
/// is free for all when it ends, so another one, that ends at once, gets the pieces to free.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn empty_cache() {
    const PIECES: usize = 7;
    const SIZES: usize = 64;
    let kept: Vec<Vec<u8>> = (0..SIZES)
        .flat_map(|size| (0..PIECES).map(move |_| Vec::with_capacity(24 + 16 * size)))
        .collect();
    // Without that thread a little less is given back.
    let ends = thread::Builder::new().spawn(move || drop(kept));
    drop(ends.map(JoinHandle::join));
}
