//! Memory that is not needed any more goes back to the system.
//!
//! The allocator of glibc has to be told; others do it by themselves, or never.

use std::sync::{Mutex, PoisonError};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// Less than the minute of the host's timer, which asks for each mount at about the same time.
const PAUSE: Duration = Duration::from_secs(30);

/// Gives back at once what is large, and what is free behind all that is in use. To be called before
/// the process has a second thread.
///
/// As soon as something large was freed once, glibc would keep up to 64 MiB of both for the next time.
/// Its own first threshold, when it is set, stays.
pub fn give_back_what_is_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const FIRST_THRESHOLD: libc::c_int = 128 * 1024;
        #[expect(unsafe_code, reason = "the C library offers it only like this")]
        // SAFETY: it takes two numbers, and no memory that is in use changes.
        let set = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, FIRST_THRESHOLD) } != 0;
        if !set {
            tracing::debug!("free memory goes back to the system later than it could");
        }
    }
}

/// Gives back what a storm of requests needed once, in pages between those that are still in use. Any
/// number of callers may ask: it is done once a minute or so, on a thread of its own.
///
/// It holds up whoever allocates meanwhile, for about a millisecond.
pub fn give_back() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    if is_due(&LAST) {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        give_back_pages();
    }
}

/// Whether nobody has been told so for a while.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= PAUSE);
    if due {
        *last = Some(Instant::now());
    }
    due
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back_pages() {
    let cached = cached();
    let in_background = thread::Builder::new().name("memory".to_owned());
    let begun = in_background.spawn(move || {
        // What a thread has freed is free for all only when it has ended.
        if let Ok(ends) = thread::Builder::new().spawn(move || drop(cached)) {
            drop(ends.join());
        }
        #[expect(unsafe_code, reason = "the C library offers it only like this")]
        // SAFETY: it asks nothing of its caller, and no memory that is in use changes.
        let given_back = unsafe { libc::malloc_trim(0) } != 0;
        tracing::trace!(given_back, "free memory");
    });
    if let Err(error) = begun {
        tracing::debug!(%error, "no thread to give back free memory");
    }
}

/// Takes what the allocator keeps for this thread alone: up to seven free pieces of each of its 64
/// small sizes, any of which may hold a page. There is no call for that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn cached() -> Vec<Vec<u8>> {
    const PIECES: usize = 7;
    const SIZES: usize = 64;
    (0..SIZES)
        .flat_map(|size| (0..PIECES).map(move |_| Vec::with_capacity(24 + 16 * size)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_all_who_ask_at_the_same_time_one_is_told_that_it_is_due() {
        let last = Mutex::new(None);

        for _ in 0..3 {
            let due = (0..600).filter(|_| is_due(&last)).count();
            assert_eq!(due, 1);
            tokio::time::advance(Duration::from_mins(1)).await;
        }
    }
}
