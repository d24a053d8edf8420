//! libFuzzer with the target that `FUZZ_TARGET` names; `scripts/fuzz` builds and starts it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use vault_plugin_secrets_aws::fuzzing::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
        let found = TARGETS.iter().find(|target| target.name == name);
        TARGET.get_or_init(|| *found.expect("a target of that name"));
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);
