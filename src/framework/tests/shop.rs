//! A coupon shop: an engine that every rule of the framework is shown on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::object;
use crate::caller::Caller;
use crate::clock::{Clock, ManualClock};
use crate::framework::wal::{Life, WalEntry};
use crate::framework::{
    Answer, Declaration, Field, FieldData, FieldType, Lifecycle, OperationDocs, Path, PathDocs,
    ResponseField, SecretType, Undone, leased_response, wal,
};
use crate::logical::{
    Error, JsonObject, LeaseOptions, Operation, Request, Response, Secret, SpecialPaths, Storage,
    get_json, put_json,
};
use crate::secret::{ExposeSecret, SecretString};

const CURRENCY: Field<String> = Field::new("currency", "Currency of all prices.")
    .default(|| "EUR".to_owned())
    .label("Currency")
    .example("EUR");
const PRINTER_KEY: Field<SecretString> = Field::new(
    "printer_key",
    "Key of the printer. It is never shown again, so keep a copy of it in a safe place of yours.",
)
.required()
.sensitive();
pub(super) const LIMIT: Field<i64> = Field::new("limit", "How many coupons a shop may print.");
const STRICT: Field<bool> = Field::new("strict", "Refuse a shop that is not known.");
const LIFETIME: Field<Duration> =
    Field::new("lifetime", "How long a coupon is good for.").default(|| Duration::from_hours(1));
const SHOPS: Field<Vec<String>> = Field::new("shops", "Shops that may print.");
const LABELS: Field<BTreeMap<String, String>> = Field::new("labels", "Printed on each coupon.");
const MAXIMUM: Field<i64> = Field::new("maximum", "Use limit instead.").deprecated();

pub(super) const NAME: Field<String> =
    Field::new("name", "Name of the campaign.").label("Campaign");
const SHOP: Field<String> = Field::new("shop", "Name of the shop.");
const PRICE: Field<i64> = Field::new("price", "Price of the coupon.").query();

pub(super) const COUPON: &str = "coupon";
pub(super) const COUPON_FIELDS: &[ResponseField] = &[
    ResponseField {
        name: "code",
        field_type: FieldType::String,
        description: "What the customer shows",
    },
    ResponseField {
        name: "price",
        field_type: FieldType::Int,
        description: "What it is worth",
    },
];

/// The state of one mount.
#[derive(Default)]
pub(super) struct Shop {
    /// What happened outside, in order.
    pub(super) journal: Mutex<Vec<String>>,
    /// What the periodic work answers.
    pub(super) periodic_error: Mutex<Option<Error>>,
    /// What the host's timer saw last of the write-ahead log.
    pub(super) wal: Mutex<Option<wal::Look>>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) life: Life,
}

impl Shop {
    fn note(&self, line: impl Into<String>) {
        self.journal.lock().unwrap().push(line.into());
    }
}

#[async_trait]
impl Lifecycle for Shop {
    async fn initialize(self: Arc<Self>, _storage: Arc<dyn Storage>) -> Result<(), Error> {
        self.note("initialized");
        Ok(())
    }

    async fn periodic(
        self: Arc<Self>,
        _storage: Arc<dyn Storage>,
        _caller: Caller,
    ) -> Result<(), Error> {
        self.note("periodic");
        self.periodic_error
            .lock()
            .unwrap()
            .take()
            .map_or(Ok(()), Err)
    }

    async fn roll_back(
        self: Arc<Self>,
        _storage: Arc<dyn Storage>,
        _caller: Caller,
        entry: WalEntry,
    ) -> Result<Undone, Error> {
        match (entry.kind.as_str(), entry.data["code"].as_str()) {
            (COUPON, Some("stuck")) => Err(Error::internal("the shredder is stuck")),
            (COUPON, Some("forbidden")) => Err(Error::ReadOnly("not on this node".to_owned())),
            (COUPON, Some("unseen")) => {
                self.note("looked for unseen");
                Ok(Undone::LookAgain)
            }
            (COUPON, Some("slow")) => {
                self.note("shredding slowly");
                tokio::time::sleep(Duration::from_mins(2)).await;
                Ok(Undone::Certainly)
            }
            (COUPON, Some(code)) => {
                self.note(format!("shredded {code}"));
                Ok(Undone::Certainly)
            }
            _ => Err(Error::internal("unknown type to rollback")),
        }
    }

    fn is_abandoned(&self, entry: &WalEntry) -> bool {
        self.life.is_after(entry)
    }

    fn looked_at_wal(&self, look: wal::Look) {
        *self.wal.lock().unwrap() = Some(look);
    }

    async fn invalidate_key(&self, key: &str) {
        self.note(format!("forgot {key}"));
    }

    async fn rotate(self: Arc<Self>, request: Request) -> Answer {
        self.note(format!("rotated {}", request.path));
        Ok(None)
    }

    async fn cleanup(self: Arc<Self>, _storage: Arc<dyn Storage>) {
        self.note("cleaned up");
    }
}

pub(super) fn declaration() -> Declaration<Shop> {
    let secret_types = vec![SecretType::new(COUPON, renew, revoke)];
    Declaration::new("Prints coupons, and shreds them.", paths(), secret_types)
        .unwrap()
        .special_paths(SpecialPaths {
            root: vec!["archive".to_owned()],
            unauthenticated: vec!["vouchers/+".to_owned()],
            local_storage: vec![wal::WAL_PREFIX.to_owned()],
            seal_wrap_storage: vec!["config".to_owned()],
        })
        .wal_rollback_min_age(Duration::from_mins(5))
}

pub(super) fn paths() -> Vec<Path<Shop>> {
    let print = OperationDocs {
        verb: "print",
        response: COUPON_FIELDS,
        ..OperationDocs::NONE
    };
    vec![
        Path::new("config")
            .field(&CURRENCY)
            .field(&PRINTER_KEY)
            .field(&LIMIT)
            .field(&STRICT)
            .field(&LIFETIME)
            .field(&SHOPS)
            .field(&LABELS)
            .field(&MAXIMUM)
            .misnomers(&[("discount", "each campaign has its own")])
            .on(Operation::Update, write_config)
            .docs(PathDocs {
                synopsis: "Configure the printer.",
                description: "The printer must be told its key before anything is printed.",
                operation_suffix: "configuration",
            }),
        Path::new("campaigns/{name}")
            .field(&NAME)
            .field(&LIMIT)
            .on(Operation::Read, read_campaign)
            .on(Operation::Update, write_campaign)
            .on(Operation::Delete, delete_campaign)
            .exists(campaign_exists)
            .docs(PathDocs {
                synopsis: "Manage a campaign.",
                description: "",
                operation_suffix: "campaign",
            }),
        Path::new("campaigns/?")
            .on(Operation::List, list_campaigns)
            .docs(PathDocs {
                synopsis: "List the campaigns.",
                description: "",
                operation_suffix: "campaigns",
            }),
        Path::new("(coupons|vouchers)/{shop@}")
            .field(&SHOP)
            .field(&PRICE)
            .on_with(
                Operation::Read,
                OperationDocs {
                    leased: true,
                    ..print
                },
                print_coupon,
            )
            .on_with(
                Operation::Update,
                OperationDocs {
                    suffix: "priced-coupon|priced-voucher",
                    summary: "Print at a price.",
                    forward: true,
                    ..print
                },
                print_coupon,
            )
            .docs(PathDocs {
                synopsis: "Print a coupon.",
                description: "A coupon is leased.\n\nShredding it ends the lease.",
                operation_suffix: "coupon|voucher",
            }),
        Path::new("archive")
            .field(&PRICE)
            .on(Operation::Read, nothing)
            .on(Operation::List, nothing)
            .on(Operation::Delete, nothing)
            .on(Operation::Patch, nothing),
        Path::new("printer/reset").refuses_unknown().on_with(
            Operation::Create,
            OperationDocs {
                verb: "reset",
                ..OperationDocs::NONE
            },
            nothing,
        ),
    ]
}

pub(super) async fn nothing(_shop: Arc<Shop>, _request: Request, _data: FieldData) -> Answer {
    Ok(None)
}

async fn write_config(shop: Arc<Shop>, _request: Request, data: FieldData) -> Answer {
    let key = data.get(&PRINTER_KEY).unwrap_or_default();
    shop.note(format!(
        "config {} {} {:?}",
        data.value(&CURRENCY),
        data.value(&LIMIT),
        data.get(&LIFETIME)
    ));
    match key.expose_secret() {
        "" => Ok(None),
        _ => Ok(Some(Response::warnings(vec!["key taken".to_owned()]))),
    }
}

async fn read_campaign(_shop: Arc<Shop>, request: Request, data: FieldData) -> Answer {
    let stored: Option<JsonObject> = get_json(
        &*request.storage,
        &format!("campaign/{}", data.value(&NAME)),
    )
    .await?;
    Ok(stored.map(Response::data))
}

async fn write_campaign(shop: Arc<Shop>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&NAME);
    let campaign = json!({"name": name, "limit": data.get(&LIMIT)});
    put_json(&*request.storage, &format!("campaign/{name}"), &campaign).await?;
    shop.note(format!("{} campaign {name}", request.operation));
    Ok(Some(Response::data(object(campaign))))
}

async fn delete_campaign(_shop: Arc<Shop>, request: Request, data: FieldData) -> Answer {
    let key = format!("campaign/{}", data.value(&NAME));
    request.storage.delete(&key).await?;
    Ok(None)
}

async fn campaign_exists(
    _shop: Arc<Shop>,
    request: Request,
    data: FieldData,
) -> Result<bool, Error> {
    let key = format!("campaign/{}", data.value(&NAME));
    Ok(request.storage.get(&key).await?.is_some())
}

async fn list_campaigns(_shop: Arc<Shop>, request: Request, _data: FieldData) -> Answer {
    Ok(Some(Response::list(
        request.storage.list("campaign/").await?,
    )))
}

async fn print_coupon(shop: Arc<Shop>, request: Request, data: FieldData) -> Answer {
    let code = format!("{}-1", data.value(&SHOP));
    let entry = wal::put(
        &*request.storage,
        COUPON,
        &json!({"code": code}),
        shop.clock.now(),
        &shop.life,
    )
    .await?;
    shop.note(format!("printed {code}"));
    if data.get(&PRICE) == Some(0) {
        return Err(Error::internal("paper jam"));
    }
    wal::delete(&*request.storage, &entry).await?;
    Ok(Some(leased_response(
        COUPON,
        object(json!({"code": code, "price": data.value(&PRICE)})),
        object(json!({"code": code, "secret_type": "never mine"})),
        LeaseOptions {
            ttl: Duration::from_hours(1),
            renewable: true,
            ..LeaseOptions::default()
        },
    )))
}

async fn renew(_shop: Arc<Shop>, _request: Request, mut secret: Secret) -> Answer {
    secret.lease.ttl += secret.lease.increment;
    secret.internal_data.remove("secret_type");
    Ok(Some(Response {
        secret: Some(secret),
        ..Response::default()
    }))
}

async fn revoke(shop: Arc<Shop>, _request: Request, secret: Secret) -> Answer {
    let Some(code) = secret.internal_data.get("code").and_then(Value::as_str) else {
        return Err(Error::internal("the lease names no coupon"));
    };
    shop.note(format!("shredded {code}"));
    Ok(None)
}
