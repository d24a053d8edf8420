//! AWS's clock, which need not show what ours shows.

use time::OffsetDateTime;

use super::world::{Refused, World};

impl World {
    /// What AWS's clock shows.
    pub(super) fn aws_time(&self) -> OffsetDateTime {
        self.now() + self.ahead
    }

    /// AWS takes no request whose time is too far from its own.
    pub(super) fn check_time(&self) -> Result<(), Refused> {
        const TOLERATED: time::Duration = time::Duration::minutes(5);
        if self.ahead.abs() <= TOLERATED {
            return Ok(());
        }
        let (signed, now) = (self.now(), self.aws_time());
        Err(Refused::new(
            "SignatureDoesNotMatch",
            if signed < now {
                format!(
                    "Signature expired: {signed} is now earlier than {} ({now} - 5 min.)",
                    now - TOLERATED
                )
            } else {
                format!(
                    "Signature not yet current: {signed} is still later than {} ({now} + 5 min.)",
                    now + TOLERATED
                )
            },
        ))
    }
}
