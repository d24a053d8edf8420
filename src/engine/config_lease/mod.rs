//! `config/lease`: how long generated IAM users live.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Engine;
use super::stored::nanoseconds;
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::go_duration::{self, GoDuration};
use crate::logical::{
    Error, JsonObject, LeaseOptions, Operation, Request, Response, Storage, StorageError, get_json,
    put_json,
};

pub(super) const KEY: &str = "config/lease";

/// A shorter lease may be over before its key works everywhere.
const SHORTEST_USE: Duration = Duration::from_secs(30);

const LEASE: Field<String> = Field::new(
    "lease",
    "Lifetime of the lease of an IAM user, such as 30m or 3600 (seconds). 0 takes the mount's default.",
)
.required()
.label("Lease");
const LEASE_MAX: Field<String> = Field::new(
    "lease_max",
    "How long such a lease can live with all its renewals, such as 12h. 0 takes the mount's maximum.",
)
.required()
.label("Maximum lease");

const RESPONSE: &[ResponseField] = &[
    ResponseField {
        name: "lease",
        field_type: FieldType::String,
        description: "Lifetime of a lease, such as 30m0s",
    },
    ResponseField {
        name: "lease_max",
        field_type: FieldType::String,
        description: "Longest lifetime with renewals, such as 12h0m0s",
    },
];

pub(super) fn path() -> Path<Engine> {
    Path::new("config/lease")
        .field(&LEASE)
        .field(&LEASE_MAX)
        .misnomers(&[
            ("ttl", "lease was probably meant"),
            ("default_ttl", "lease was probably meant"),
            ("default_lease_ttl", "lease was probably meant"),
            ("max_ttl", "lease_max was probably meant"),
            ("max_lease_ttl", "lease_max was probably meant"),
        ])
        .on_with(
            Operation::Read,
            OperationDocs {
                suffix: "lease-configuration",
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .on_with(
            Operation::Update,
            OperationDocs {
                verb: "configure",
                suffix: "lease",
                ..OperationDocs::NONE
            },
            write,
        )
        .docs(PathDocs {
            synopsis: "Set how long generated IAM users live.",
            description: "`lease` is the lifetime of the lease that a client gets with an iam_user \
                credential, `lease_max` the limit of all its renewals. Both win over the default that \
                the mount is tuned to, now or later, and are kept within its maximum; a ttl in a \
                request does not change them. A change counts for new leases and for later renewals. \
                Credentials of the other types carry their lifetime in the role and the request.",
            operation_suffix: "",
        })
}

/// The stored form; keys as in the Go engines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LeaseConfig {
    #[serde(rename = "Lease", with = "nanoseconds")]
    lease: Duration,
    #[serde(rename = "LeaseMax", with = "nanoseconds")]
    lease_max: Duration,
    #[serde(flatten)]
    unknown: JsonObject,
}

impl LeaseConfig {
    /// What is stored, or nothing set; from memory if it is there.
    pub(super) async fn load(engine: &Engine, storage: &dyn Storage) -> Result<Arc<Self>, Error> {
        let stored = async {
            let stored: Option<Self> = get_json(storage, KEY).await?;
            Ok(Some(stored.unwrap_or_default()))
        };
        let config = if storage.is_snapshot() {
            stored.await.map(|stored| stored.map(Arc::new))
        } else {
            engine.lease_config.get(KEY, stored).await
        };
        let config = config.map_err(|error: StorageError| {
            Error::from(error).context("error reading config/lease")
        })?;
        Ok(config.unwrap_or_default())
    }

    /// The times of an IAM user's lease; zero leaves them to the mount.
    pub(super) fn options(&self) -> LeaseOptions {
        LeaseOptions {
            ttl: self.lease,
            max_ttl: self.lease_max,
            renewable: true,
            ..LeaseOptions::default()
        }
    }
}

async fn read(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let Some(config) = get_json::<LeaseConfig>(&*request.storage, KEY).await? else {
        return Ok(None);
    };
    let text = |duration| Value::from(GoDuration(duration).to_string());
    Ok(Some(Response::data(JsonObject::from_iter([
        ("lease".to_owned(), text(config.lease)),
        ("lease_max".to_owned(), text(config.lease_max)),
    ]))))
}

async fn write(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let lease = required(&data, &LEASE)?;
    let lease_max = required(&data, &LEASE_MAX)?;
    let lease = parse(&LEASE, &lease)?;
    let lease_max = parse(&LEASE_MAX, &lease_max)?;
    let stored: Option<LeaseConfig> = get_json(&*request.storage, KEY).await?;
    let config = LeaseConfig {
        lease,
        lease_max,
        unknown: stored.unwrap_or_default().unknown,
    };
    let change = engine.lease_config.change(KEY);
    put_json(&*request.storage, KEY, &config).await?;
    drop(change);
    let warnings = advice(&engine, &config).await;
    Ok((!warnings.is_empty()).then(|| Response::warnings(warnings)))
}

/// What these times do not do, though they seem to.
async fn advice(engine: &Engine, config: &LeaseConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    let (lease, lease_max) = (config.lease, config.lease_max);
    if !lease_max.is_zero() && lease > lease_max {
        warnings.push(format!(
            "lease ({}) is longer than lease_max ({}): leases end after lease_max",
            GoDuration(lease),
            GoDuration(lease_max),
        ));
    }
    // Advice only: whether the host tells its limit is no reason to refuse the times.
    let limit = engine.system.max_lease_ttl().await.unwrap_or_default();
    for (field, time) in [(&LEASE, lease), (&LEASE_MAX, lease_max)] {
        if !limit.is_zero() && time > limit {
            warnings.push(format!(
                "{} of {} is cut to the mount's maximum lease TTL of {}: tune the mount if it shall count",
                field.name(),
                GoDuration(time),
                GoDuration(limit)
            ));
        }
    }
    if !lease.is_zero() && lease < SHORTEST_USE {
        warnings.push(format!(
            "lease of {} is short: AWS takes some seconds until a new access key works everywhere",
            GoDuration(lease)
        ));
    }
    warnings
}

fn required(data: &FieldData, field: &Field<String>) -> Result<String, Error> {
    data.get(field)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Error::invalid(format!("'{}' is a required parameter", field.name())))
}

fn parse(field: &Field<String>, text: &str) -> Result<Duration, Error> {
    go_duration::parse(text)
        .map_err(|error| Error::invalid(format!("Invalid {}: {error}", field.name())))
}
