//! What a template may cost.

/// The longest text that a template may make, in bytes. AWS takes user names of 64, but they may be
/// cut from something longer.
pub(super) const LONGEST_TEXT: usize = 16 * 1024;

/// How many values may be looked at and bytes be handled in one rendering. This bounds time and
/// memory at once: loops, variables that double, and searches.
const MOST_WORK: usize = 1_000_000;

/// The work that a rendering has left.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(MOST_WORK)
    }

    /// Takes `work` away.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), String> {
        match self.0.checked_sub(work) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                Err("the template takes too much work: make its loops and texts shorter".into())
            }
        }
    }
}

/// Refuses a text that is, or would become, too long.
pub(super) fn check_length(bytes: usize) -> Result<(), String> {
    if bytes <= LONGEST_TEXT {
        return Ok(());
    }
    Err(format!(
        "a text of {bytes} bytes is too long: at most {LONGEST_TEXT} are allowed"
    ))
}
