//! IAM's rules for access keys.

use super::scene::FakeAccessKey;
use super::world::{Caller, Refused, World};
use crate::aws::{AccessKey, AccessKeyId, AccessKeyMetadata, AccessKeyStatus, UserName};

impl World {
    pub(super) fn create_access_key(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<AccessKey, Refused> {
        self.add_access_key(&caller.account, user_name)
    }

    pub(super) fn add_access_key(
        &mut self,
        account: &str,
        user_name: &UserName,
    ) -> Result<AccessKey, Refused> {
        const QUOTA: usize = 2;
        if self.user(account, user_name)?.access_keys.len() >= QUOTA {
            return Err(Refused::limit(format!(
                "Cannot exceed quota for AccessKeysPerUser: {QUOTA}"
            )));
        }
        let (key, shown) = self.make_access_key();
        self.user(account, user_name)?.access_keys.push(key);
        Ok(shown)
    }

    /// The key as AWS keeps it, and as it shows it once.
    pub(super) fn make_access_key(&mut self) -> (FakeAccessKey, AccessKey) {
        let key = FakeAccessKey {
            access_key_id: AccessKeyId::from_aws(self.next_id("AKIA", 16)),
            status: AccessKeyStatus::Active,
            create_date: self.now(),
            secret_access_key: self.next_secret(40),
            unknown_for: self.new_keys_unknown_for,
        };
        let shown = AccessKey {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone().into(),
        };
        (key, shown)
    }

    pub(super) fn delete_access_key(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        id: &AccessKeyId,
    ) -> Result<(), Refused> {
        let keys = &mut self.user(&caller.account, user_name)?.access_keys;
        let index = position(keys, id)?;
        keys.remove(index);
        Ok(())
    }

    pub(super) fn update_access_key(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        id: &AccessKeyId,
        status: AccessKeyStatus,
    ) -> Result<(), Refused> {
        let keys = &mut self.user(&caller.account, user_name)?.access_keys;
        let index = position(keys, id)?;
        keys[index].status = status;
        Ok(())
    }

    pub(super) fn list_access_keys(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<AccessKeyMetadata>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user
            .access_keys
            .iter()
            .map(|key| AccessKeyMetadata {
                access_key_id: key.access_key_id.clone(),
                status: key.status,
                create_date: key.create_date,
            })
            .collect())
    }
}

fn position(keys: &[FakeAccessKey], id: &AccessKeyId) -> Result<usize, Refused> {
    keys.iter()
        .position(|key| key.access_key_id == *id)
        .ok_or_else(|| Refused::not_found(format!("The Access Key with id {id} cannot be found.")))
}
