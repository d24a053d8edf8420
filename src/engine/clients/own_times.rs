//! The times of rotation in the stored root configuration, where our own timer goes by them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::root_config::RootConfig;
use crate::engine::stored::nanoseconds;

/// When our own timer rotates the key.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct OwnTimes {
    #[serde(skip_serializing_if = "String::is_empty")]
    schedule: String,
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    window: Duration,
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    period: Duration,
}

impl RootConfig {
    /// With the times of rotation where they are used.
    pub(super) fn in_use(mut self) -> Self {
        let Some(own) = self.own_times.take() else {
            return self;
        };
        self.own_timer = true;
        // Whatever another engine has put there since counts.
        if self.rotation_schedule.is_empty() && self.rotation_period.is_zero() {
            self.rotation_schedule = own.schedule;
            self.rotation_window = own.window;
            self.rotation_period = own.period;
        }
        self
    }

    /// With the times of our own timer out of the way of other engines.
    pub(super) fn in_storage(mut self) -> Self {
        let has_times = !self.rotation_schedule.is_empty() || !self.rotation_period.is_zero();
        if self.own_timer && has_times {
            self.own_times = Some(OwnTimes {
                schedule: std::mem::take(&mut self.rotation_schedule),
                window: std::mem::take(&mut self.rotation_window),
                period: std::mem::take(&mut self.rotation_period),
            });
        }
        self
    }
}
