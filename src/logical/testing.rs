//! A storage in memory that can be told to fail, and a system view that answers what it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    HostError, IdentityToken, PluginEnvironment, READ_ONLY_STORAGE, ReplicationState, RotationJob,
    Storage, StorageEntry, StorageError, SystemView,
};

/// What [`InMemoryStorage`] may be told to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageFault {
    /// Every put and delete says that the node may not write.
    ReadOnly,
    /// Every put fails.
    Put,
    /// Every get fails.
    Get,
    /// Every delete fails.
    Delete,
    /// Every list fails.
    List,
}

/// A mount's storage in memory.
#[derive(Debug, Default)]
pub struct InMemoryStorage {
    entries: Mutex<BTreeMap<String, Vec<u8>>>,
    fault: Mutex<Option<(StorageFault, String)>>,
    calls: Mutex<Vec<String>>,
}

impl InMemoryStorage {
    /// From now on, calls of this kind fail when their key starts with `prefix`.
    pub fn fail(&self, fault: StorageFault, prefix: &str) {
        *lock(&self.fault) = Some((fault, prefix.to_owned()));
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        *lock(&self.fault) = None;
    }

    /// The calls since the last time they were asked for, such as `get role/deploy`.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// Every key in the storage.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.entries).keys().cloned().collect()
    }

    /// The text under `key`.
    pub fn text(&self, key: &str) -> Option<String> {
        lock(&self.entries)
            .get(key)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Stores a text.
    pub fn set_text(&self, key: &str, text: &str) {
        lock(&self.entries).insert(key.to_owned(), text.as_bytes().to_vec());
    }

    /// Takes an entry out, behind everybody's back; answers whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        lock(&self.entries).remove(key).is_some()
    }

    /// Notes a call down, and whether it fails.
    fn called(&self, name: &str, faults: &[StorageFault], key: &str) -> Result<(), StorageError> {
        lock(&self.calls).push(format!("{name} {key}"));
        match &*lock(&self.fault) {
            Some((fault, prefix)) if faults.contains(fault) && key.starts_with(prefix.as_str()) => {
                Err(match fault {
                    StorageFault::ReadOnly => StorageError::from_host(READ_ONLY_STORAGE),
                    other => StorageError::from_host(format!("storage told to fail: {other:?}")),
                })
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Storage for InMemoryStorage {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.called("list", &[StorageFault::List], prefix)?;
        let mut names: Vec<String> = lock(&self.entries)
            .keys()
            .filter_map(|key| key.strip_prefix(prefix))
            .map(|rest| match rest.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.dedup();
        Ok(names)
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        self.called("get", &[StorageFault::Get], key)?;
        Ok(lock(&self.entries)
            .get(key)
            .map(|value| StorageEntry::new(key, value.clone())))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let faults = [StorageFault::ReadOnly, StorageFault::Put];
        self.called("put", &faults, &entry.key)?;
        lock(&self.entries).insert(entry.key, entry.value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let faults = [StorageFault::ReadOnly, StorageFault::Delete];
        self.called("delete", &faults, key)?;
        lock(&self.entries).remove(key);
        Ok(())
    }
}

/// A system view that answers what its fields say.
#[derive(Clone, Debug)]
pub struct StaticSystemView {
    /// Default lease TTL of the mount.
    pub default_lease_ttl: Duration,
    /// Maximum lease TTL of the mount.
    pub max_lease_ttl: Duration,
    /// Replication state bits.
    pub replication_state: ReplicationState,
    /// Whether the mount is local.
    pub local_mount: bool,
    /// Whether the host has Vault's rotation and identity calls, which then answer as Vault
    /// Community does; else they are unsupported, as on OpenBao.
    pub vault_calls: bool,
    /// When set, the answer to every question about the mount and the host.
    pub fault: Option<HostError>,
    /// When set, the answer to the question for the maximum lease TTL.
    pub limit_fault: Option<HostError>,
    /// The questions so far.
    pub asked: Arc<Mutex<Vec<&'static str>>>,
}

impl StaticSystemView {
    /// The questions since the last time this was asked, such as `replication_state`.
    pub fn take_asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.asked))
    }

    fn answer<T>(&self, question: &'static str, value: T) -> Result<T, HostError> {
        lock(&self.asked).push(question);
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(value),
        }
    }
}

impl Default for StaticSystemView {
    fn default() -> Self {
        Self {
            default_lease_ttl: Duration::from_hours(768),
            max_lease_ttl: Duration::from_hours(768),
            replication_state: ReplicationState::default(),
            local_mount: false,
            vault_calls: false,
            fault: None,
            limit_fault: None,
            asked: Arc::default(),
        }
    }
}

#[async_trait]
impl SystemView for StaticSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, HostError> {
        self.answer("default_lease_ttl", self.default_lease_ttl)
    }

    async fn max_lease_ttl(&self) -> Result<Duration, HostError> {
        let limit = self.answer("max_lease_ttl", self.max_lease_ttl)?;
        self.limit_fault.clone().map_or(Ok(limit), Err)
    }

    async fn tainted(&self) -> Result<bool, HostError> {
        self.answer("tainted", false)
    }

    async fn replication_state(&self) -> Result<ReplicationState, HostError> {
        self.answer("replication_state", self.replication_state)
    }

    async fn local_mount(&self) -> Result<bool, HostError> {
        self.answer("local_mount", self.local_mount)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, HostError> {
        let version = "9.9.9".to_owned();
        self.answer("plugin_env", PluginEnvironment { version })
    }

    async fn generate_identity_token(
        &self,
        _audience: &str,
        _ttl: Duration,
    ) -> Result<IdentityToken, HostError> {
        if self.vault_calls {
            Err(HostError::Failed(
                "plugin workload identity not supported in Vault community edition".to_owned(),
            ))
        } else {
            Err(HostError::Unsupported("GenerateIdentityToken"))
        }
    }

    async fn register_rotation_job(&self, _job: RotationJob) -> Result<String, HostError> {
        if self.vault_calls {
            Err(HostError::Failed(
                "rotation manager capabilities not supported in Vault community edition".to_owned(),
            ))
        } else {
            Err(HostError::Unsupported("RegisterRotationJob"))
        }
    }

    async fn deregister_rotation_job(
        &self,
        _mount_point: &str,
        _path: &str,
    ) -> Result<(), HostError> {
        if self.vault_calls {
            Ok(())
        } else {
            Err(HostError::Unsupported("DeregisterRotationJob"))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
