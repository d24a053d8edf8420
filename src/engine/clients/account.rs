//! Which AWS account the engine's credentials belong to.

use super::Connected;
use crate::aws::{AccessKeyId, Arn};
use crate::caller::Caller;
use crate::logical::Error;

impl Connected {
    /// The AWS account, where the role that is assumed or the access key id tells it.
    pub(crate) fn key_account(&self) -> Option<String> {
        if let Ok(role) = Arn::new(&self.root.assume_role_arn) {
            return Some(role.account().to_owned());
        }
        AccessKeyId::new(&self.root.access_key).ok()?.account()
    }

    /// The AWS account; `None` when neither the access key id nor AWS tells it early enough to begin.
    pub(crate) async fn account(&self, caller: &Caller) -> Option<String> {
        if let Some(account) = self.key_account() {
            return Some(account);
        }
        Some(self.caller(caller).await?.account)
    }

    /// Whether a service that is not AWS takes us for this account. What it makes of an access key id,
    /// which it need not have made, is its own.
    async fn is_served_as(&self, account: &str, caller: &Caller) -> bool {
        if !self.root.elsewhere() {
            return false;
        }
        let told = self.caller(caller).await;
        told.is_none_or(|identity| identity.account == account)
    }

    /// Refuses to touch a user of another AWS account than ours: one of the same name here is
    /// somebody else's, and that there is none says nothing. Where one of the two accounts is not
    /// known (empty), they are taken to be the same.
    pub(crate) async fn must_be_of(
        &self,
        account: &str,
        user: &str,
        caller: &Caller,
    ) -> Result<(), Error> {
        match self.other_account(account, caller).await {
            Some(ours) => Err(Error::internal(format!(
                "IAM user {user} is of AWS account {account}, and the AWS credentials of this engine belong to account {ours}: write credentials of account {account} to config/root for as long as its users live, or delete the user there (`lease revoke -force` then ends its lease)"
            ))),
            None => Ok(()),
        }
    }

    /// Our account, if that is certainly another one. Where one of the two is not known (empty), they
    /// are taken to be the same.
    pub(crate) async fn other_account(&self, account: &str, caller: &Caller) -> Option<String> {
        if account.is_empty() {
            return None;
        }
        let ours = self.account(caller).await?;
        (ours != account && !self.is_served_as(account, caller).await).then_some(ours)
    }
}
