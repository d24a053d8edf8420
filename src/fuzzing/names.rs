//! Names, ids and addresses: what is taken is kept as it was written, what is refused is told
//! briefly.

use std::fmt::Display;

use crate::aws::{
    AccessKeyId, Arn, Endpoint, FederatedUserName, GroupName, InvalidName, MfaSerialNumber,
    PolicyName, Region, RoleName, RoleSessionName, UserName,
};
use crate::engine;

/// Longer than any refusal, in bytes.
const LONG: usize = 2000;

/// One text as each kind of name.
pub(super) fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    engine::fuzzing::names(text);
    kept(text, UserName::new(text));
    kept(text, GroupName::new(text));
    kept(text, PolicyName::new(text));
    kept(text, RoleName::new(text));
    kept(text, RoleSessionName::new(text));
    kept(text, FederatedUserName::new(text));
    kept(text, AccessKeyId::new(text));
    kept(text, MfaSerialNumber::new(text));
    kept(text, Region::new(text));
    if let Some(arn) = kept(text, Arn::new(text)) {
        let parts = [arn.partition(), arn.service()].map(str::to_owned);
        let [partition, service] = &parts;
        let tail = format!("{}:{}", arn.account(), arn.resource());
        assert!(text.starts_with(&format!("arn:{partition}:{service}:")));
        assert!(text.ends_with(&tail) && !arn.resource().is_empty());
    }
    match Endpoint::new(text) {
        Ok(endpoint) => {
            let address = endpoint.to_string();
            assert!(address.ends_with(text), "{text:?} became {address:?}");
            assert_eq!(Endpoint::new(address), Ok(endpoint), "{text:?}");
        }
        Err(refusal) => brief(&refusal),
    }
}

/// The name that the text is, unless it was refused.
fn kept<T: Display>(text: &str, name: Result<T, InvalidName>) -> Option<T> {
    match name {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            Some(name)
        }
        Err(refusal) => {
            brief(&refusal);
            None
        }
    }
}

fn brief(refusal: &InvalidName) {
    let text = refusal.to_string();
    assert!(text.len() < LONG, "a refusal of {} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}
