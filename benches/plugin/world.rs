//! The simulated AWS with an account for each plugin.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use vault_plugin_secrets_aws::aws::AccessKey;
use vault_plugin_secrets_aws::aws::fake::{FakeAws, FakeRole};
use vault_plugin_secrets_aws::clock::SystemClock;

use crate::Fallible;
use crate::driver::aws::serve;
use crate::settings::Plugin;

/// The group that the full role puts its users into.
pub(crate) const GROUP: &str = "team";
/// The AWS role that is assumed.
pub(crate) const ASSUMED_ROLE: &str = "deploy";

/// The simulated AWS with an account for each plugin.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    accounts: BTreeMap<&'static str, Account>,
}

/// One plugin's account. Delays, limits and the list of calls are common to all accounts, so the
/// plugins are measured one after the other.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) aws: FakeAws,
    /// Of a user who may do everything.
    pub(crate) key: AccessKey,
}

impl World {
    pub(crate) fn start(plugins: &[Plugin]) -> Fallible<Self> {
        let aws = FakeAws::new(Arc::new(SystemClock));
        let address = serve(&aws)?;
        let accounts = plugins.iter().map(|plugin| {
            let aws = aws.in_account(plugin.account);
            aws.add_group(GROUP);
            aws.add_role(ASSUMED_ROLE, FakeRole::default());
            let key = aws.admin_key();
            (plugin.name, Account { aws, key })
        });
        Ok(Self {
            address,
            accounts: accounts.collect(),
        })
    }

    pub(crate) fn account(&self, plugin: &Plugin) -> &Account {
        &self.accounts[plugin.name]
    }
}
