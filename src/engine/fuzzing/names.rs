//! Names in the keys of the storage, and the address of the mount's own identity provider.

use super::super::identity::Issuer;
use super::super::{roles, sessions};
use crate::aws::AccessKeyId;

/// Longer than any refusal or warning, in bytes.
const LONG: usize = 2000;

/// One text as each of them.
pub(crate) fn names(text: &str) {
    sessions::fuzzing::names(text);
    for folder in ["role", "policy"] {
        assert_eq!(roles::name_in(&format!("{folder}/{text}")), Some(text));
    }
    match Issuer::new(text) {
        Ok(issuer) => {
            let warnings = issuer.warnings().concat();
            assert!(warnings.len() < 2 * LONG + 2 * text.len(), "{warnings}");
        }
        Err(refusal) => {
            let told = refusal.to_string();
            assert!(told.len() < LONG, "{} bytes", told.len());
        }
    }
    if let Ok(id) = AccessKeyId::new(text)
        && let Some(account) = id.account()
    {
        let is_account = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
        assert!(is_account, "{text:?} is of {account:?}");
    }
}
