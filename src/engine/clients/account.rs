//! Which AWS account the engine's credentials belong to.

use tokio::time::timeout_at;

use super::Connected;
use crate::aws::AccessKeyId;
use crate::caller::Caller;
use crate::logical::Error;

impl Connected {
    /// The AWS account, where the access key id tells it.
    pub(crate) fn key_account(&self) -> Option<String> {
        AccessKeyId::new(&self.root.access_key).ok()?.account()
    }

    /// The AWS account; `None` when neither the access key id nor AWS tells it.
    pub(crate) async fn account(&self, caller: &Caller) -> Option<String> {
        if let Some(account) = self.key_account() {
            return Some(account);
        }
        Some(self.caller(caller).await?.account)
    }

    /// The same, as far as AWS tells it early enough to begin.
    pub(crate) async fn account_in_time(&self, caller: &Caller) -> Option<String> {
        let told = timeout_at(caller.begin_by(), self.account(caller));
        told.await.ok().flatten()
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
        if account.is_empty() {
            return Ok(());
        }
        match self.account(caller).await {
            Some(ours) if ours != account => Err(Error::internal(format!(
                "IAM user {user} is of AWS account {account}, and the AWS credentials of this engine belong to account {ours}: write credentials of account {account} to config/root for as long as its users live, or delete the user there (`lease revoke -force` then ends its lease)"
            ))),
            _ => Ok(()),
        }
    }
}
