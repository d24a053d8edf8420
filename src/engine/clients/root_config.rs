//! The stored root configuration, and the clients it asks for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(in crate::engine) use super::misconfigured::{Misconfigured, parse};
use super::own_times::OwnTimes;
use crate::aws::{AccessKeyId, AwsAddress, ClientConfig, CredentialSource, Endpoint, Region};
use crate::engine::as_sent::AsSent;
use crate::engine::identity::{Algorithm, Claims};
use crate::engine::schedule::Plan;
use crate::engine::stored::{nanoseconds, null_as_default, rfc3339};
use crate::logical::{JsonObject, Storage, StorageError, get_json, put_json};
use crate::secret::{self, ExposeSecret, SecretString};

/// The storage key; seal-wrapped.
pub(crate) const KEY: &str = "config/root";

/// How many access keys that are no more are remembered; their owners' configurations may be old.
const REMEMBERED_KEYS: usize = 20;

/// The root configuration in the stored form of the Go engines; keys that we do not know are kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RootConfig {
    #[serde(with = "nanoseconds")]
    pub(crate) identity_token_ttl: Duration,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) identity_token_audience: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) rotation_schedule: String,
    #[serde(with = "nanoseconds")]
    pub(crate) rotation_window: Duration,
    #[serde(with = "nanoseconds")]
    pub(crate) rotation_period: Duration,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) disable_automated_rotation: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) rotation_policy: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) access_key: String,
    #[serde(with = "secret::stored")]
    pub(crate) secret_key: SecretString,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) iam_endpoint: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) sts_endpoint: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) sts_region: String,
    pub(crate) sts_fallback_endpoints: Option<Vec<String>>,
    pub(crate) sts_fallback_regions: Option<Vec<String>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) region: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) max_retries: i64,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) username_template: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) role_arn: String,
    /// Ours: the access key that `config/rotate-root` made last, and those that it has replaced, the
    /// last one first.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) rotated_to: String,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) rotated_from: Vec<String>,
    /// Ours: when the key was made, if this engine made it.
    #[serde(with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub(crate) rotated_at: Option<OffsetDateTime>,
    /// Ours: when our own timer rotates the key.
    #[serde(with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub(crate) next_rotation: Option<OffsetDateTime>,
    /// Whether the times of rotation are for our own timer.
    #[serde(skip)]
    pub(crate) own_timer: bool,
    /// Ours: those times, while the record is in storage. In their usual place Vault's engine would ask a
    /// rotation manager about them that its server has not, and refuse every write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) own_times: Option<OwnTimes>,
    /// Ours: a role that is assumed with the credentials.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) assume_role_arn: String,
    /// Ours.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) assume_role_session_name: String,
    /// Ours.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) external_id: String,
    /// Ours: the key of the tag that this mount's users get.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) owner_tag: String,
    /// Ours: where the mount's own identity provider is read.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) identity_token_issuer: String,
    /// Ours: how its tokens are signed.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) identity_token_algorithm: String,
    /// Ours.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "AsSent::is_empty"
    )]
    pub(crate) as_sent: AsSent,
    #[serde(flatten)]
    pub(crate) unknown: JsonObject,
}

impl Default for RootConfig {
    /// A record without any key: what the Go engines read where a key is missing.
    fn default() -> Self {
        Self {
            identity_token_ttl: Duration::ZERO,
            identity_token_audience: String::new(),
            rotation_schedule: String::new(),
            rotation_window: Duration::ZERO,
            rotation_period: Duration::ZERO,
            disable_automated_rotation: false,
            rotation_policy: String::new(),
            access_key: String::new(),
            secret_key: SecretString::default(),
            iam_endpoint: String::new(),
            sts_endpoint: String::new(),
            sts_region: String::new(),
            sts_fallback_endpoints: None,
            sts_fallback_regions: None,
            region: String::new(),
            max_retries: 0,
            username_template: String::new(),
            role_arn: String::new(),
            rotated_to: String::new(),
            rotated_from: Vec::new(),
            rotated_at: None,
            next_rotation: None,
            own_timer: false,
            own_times: None,
            assume_role_arn: String::new(),
            assume_role_session_name: String::new(),
            external_id: String::new(),
            owner_tag: String::new(),
            identity_token_issuer: String::new(),
            identity_token_algorithm: String::new(),
            as_sent: AsSent::default(),
            unknown: JsonObject::new(),
        }
    }
}

impl RootConfig {
    /// What a mount has that was never configured: the SDK's default chain and default retries.
    pub(crate) fn unconfigured() -> Self {
        Self {
            max_retries: -1,
            ..Self::default()
        }
    }

    pub(crate) async fn load(storage: &dyn Storage) -> Result<Option<Self>, StorageError> {
        let stored: Option<Self> = get_json(storage, KEY).await?;
        Ok(stored.map(Self::in_use))
    }

    pub(crate) async fn store(&self, storage: &dyn Storage) -> Result<(), StorageError> {
        put_json(storage, KEY, &self.clone().in_storage()).await
    }

    /// Whether both are stored as the same text.
    pub(super) fn is_stored_as(&self, other: &Self) -> bool {
        let text = |config: &Self| serde_json::to_vec(config).ok();
        text(self) == text(other)
    }

    /// When the key is rotated by itself.
    pub(crate) fn plan(&self, now: OffsetDateTime) -> Option<Plan> {
        let (window, period) = (self.rotation_window, self.rotation_period);
        let plan = Plan::stored(&self.rotation_schedule, window, period, now);
        plan.filter(|_| !self.disable_automated_rotation && self.has_access_key())
    }

    /// The record in which the engine itself has put the key `new` in the place of `old` now, which was
    /// due then.
    #[must_use]
    pub(crate) fn rotated(
        mut self,
        (old, new): (&AccessKeyId, &AccessKeyId),
        due: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Self {
        self.rotated_at = Some(now);
        if self.next_rotation.is_some() {
            self.next_rotation = self.plan(now).map(|plan| plan.next(due, now));
        }
        self.rotated_to = new.to_string();
        self.rotated_from.insert(0, old.to_string());
        self.rotated_from.truncate(REMEMBERED_KEYS);
        self
    }

    /// The same without the role that is assumed: what acts on the access key itself.
    #[must_use]
    pub(crate) fn without_role(mut self) -> Self {
        self.assume_role_arn.clear();
        self
    }

    /// The ARNs of roles that are assumed, empty where there is none.
    pub(crate) fn role_arns(&self) -> [&str; 2] {
        [&self.assume_role_arn, &self.role_arn]
    }

    /// Whether the mount is its own identity provider.
    pub(crate) fn is_keyless(&self) -> bool {
        !self.identity_token_issuer.is_empty() && !self.has_access_key()
    }

    /// How the mount's own identity tokens are signed.
    pub(crate) fn algorithm(&self) -> Algorithm {
        Algorithm::parse(&self.identity_token_algorithm).unwrap_or_default()
    }

    /// What the mount's own identity tokens say.
    pub(crate) fn claims(&self) -> Claims {
        Claims {
            issuer: self.identity_token_issuer.clone(),
            audience: self.identity_token_audience.clone(),
            ttl: self.identity_token_ttl,
        }
    }

    /// Whether there is a stored access key.
    pub(crate) fn has_access_key(&self) -> bool {
        !self.access_key.is_empty() && !self.secret_key.expose_secret().is_empty()
    }

    /// How to reach IAM with `credentials`.
    pub(crate) fn iam(&self, credentials: CredentialSource) -> Result<ClientConfig, Misconfigured> {
        let config = self.client(
            ("region", &self.region),
            ("iam_endpoint", &self.iam_endpoint),
            credentials,
        )?;
        Ok(signed_for_its_address(config))
    }

    /// How to reach STS with `credentials`: the first is the wish, the others are for when it does
    /// not answer.
    ///
    /// `sts_region` counts with and without `sts_endpoint`. Where the fallback lists differ in
    /// length, a missing region is the region of the first, and a missing endpoint is AWS's own.
    pub(crate) fn sts(
        &self,
        credentials: &CredentialSource,
    ) -> Result<Vec<ClientConfig>, Misconfigured> {
        let region = first_set(("sts_region", &self.sts_region), ("region", &self.region));
        let endpoints = self.sts_fallback_endpoints.as_deref().unwrap_or_default();
        let regions = self.sts_fallback_regions.as_deref().unwrap_or_default();
        let fallbacks = (0..endpoints.len().max(regions.len())).map(|at| {
            (
                first_set(("sts_fallback_regions", text_at(regions, at)), region),
                ("sts_fallback_endpoints", text_at(endpoints, at)),
            )
        });
        std::iter::once((region, ("sts_endpoint", self.sts_endpoint.as_str())))
            .chain(fallbacks)
            .map(|(region, endpoint)| {
                let config = self.client(region, endpoint, credentials.clone())?;
                // Where nobody names the region of the address, it is the one that it tells.
                Ok(match region.0 {
                    "region" => signed_for_its_address(config),
                    _ => config,
                })
            })
            .collect()
    }

    /// Whether IAM or STS is asked at an address that is not AWS's, as of a service that is compatible.
    pub(crate) fn elsewhere(&self) -> bool {
        [&self.iam_endpoint, &self.sts_endpoint]
            .into_iter()
            .filter_map(|text| Endpoint::new(text.trim()).ok())
            .any(|endpoint| AwsAddress::of(&endpoint).is_none())
    }

    /// The stored access key, or else what the process finds around it.
    pub(crate) fn credentials(&self) -> Result<CredentialSource, Misconfigured> {
        match (
            self.access_key.is_empty(),
            self.secret_key.expose_secret().is_empty(),
        ) {
            (true, true) => Ok(CredentialSource::DefaultChain),
            (false, false) => Ok(CredentialSource::Static {
                access_key_id: AccessKeyId::new(&self.access_key)
                    .map_err(|error| Misconfigured::field("access_key", error))?,
                secret_access_key: self.secret_key.clone(),
                session_token: None,
            }),
            _ => Err(Misconfigured::HalfAnAccessKey),
        }
    }

    fn client(
        &self,
        region: Named<'_>,
        endpoint: Named<'_>,
        credentials: CredentialSource,
    ) -> Result<ClientConfig, Misconfigured> {
        Ok(ClientConfig {
            region: parse(region.0, region.1, |text| Region::of_any_service(text))?,
            endpoint: parse(endpoint.0, endpoint.1, |text| Endpoint::new(text))?,
            max_retries: u32::try_from(self.max_retries).ok(),
            credentials,
            ..ClientConfig::default()
        })
    }
}

impl fmt::Debug for RootConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootConfig")
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// AWS takes only requests that are signed for the region of the address; IAM's is that where its
/// partition keeps it.
fn signed_for_its_address(mut config: ClientConfig) -> ClientConfig {
    let address = config.endpoint.as_ref().and_then(AwsAddress::of);
    if let Some(region) = address.and_then(|of| Region::new(of.signing_region()).ok()) {
        config.region = Some(region);
    }
    config
}

/// A field and its text.
type Named<'a> = (&'static str, &'a str);

fn text_at(list: &[String], index: usize) -> &str {
    list.get(index).map_or("", String::as_str)
}

fn first_set<'a>(one: Named<'a>, other: Named<'a>) -> Named<'a> {
    if one.1.is_empty() { other } else { one }
}
