//! The fields of `config/root`: what may be sent, and what is shown.

use std::time::Duration;

use crate::engine::identity::Algorithm;
use crate::engine::{schedule, usernames};
use crate::framework::{Field, FieldType, ResponseField};
use crate::secret::SecretString;

pub(super) use crate::engine::schedule::{ROTATION_SCHEDULE, ROTATION_WINDOW};

pub(super) const ACCESS_KEY: Field<String> = Field::new(
    "access_key",
    "Access key id of the IAM user that the engine acts as. Without it the engine uses the AWS credentials of the server's environment.",
)
.label("Access key");
pub(super) const SECRET_KEY: Field<SecretString> = Field::new(
    "secret_key",
    "Secret access key that belongs to access_key. It is never shown again.",
)
.sensitive()
.label("Secret key");
pub(super) const REGION: Field<String> = Field::new(
    "region",
    "AWS region. Without it AWS_REGION, AWS_DEFAULT_REGION or us-east-1 is used.",
)
.label("Region");
pub(super) const IAM_ENDPOINT: Field<String> = Field::new(
    "iam_endpoint",
    "Address of IAM, if it is not AWS's own for the region.",
)
.label("IAM endpoint");
pub(super) const STS_ENDPOINT: Field<String> = Field::new(
    "sts_endpoint",
    "Address of STS, if it is not AWS's own for the region.",
)
.label("STS endpoint");
pub(super) const STS_REGION: Field<String> = Field::new(
    "sts_region",
    "Region of STS, if it is another one than region.",
)
.label("STS region");
pub(super) const STS_FALLBACK_ENDPOINTS: Field<Vec<String>> = Field::new(
    "sts_fallback_endpoints",
    "Addresses of STS to use, in this order, when the first one does not answer.",
)
.label("STS fallback endpoints");
pub(super) const STS_FALLBACK_REGIONS: Field<Vec<String>> = Field::new(
    "sts_fallback_regions",
    "Regions of sts_fallback_endpoints, one for each.",
)
.label("STS fallback regions");
pub(super) const MAX_RETRIES: Field<i64> = Field::new(
    "max_retries",
    "How often a request that AWS did not answer well is sent again. -1 leaves it to the AWS SDK, which takes 2.",
)
.default(|| -1)
.label("Maximum retries");
pub(super) const USERNAME_TEMPLATE: Field<String> = Field::new(
    "username_template",
    "Template for the names of IAM users and sessions.",
)
.default(|| usernames::DEFAULT_TEMPLATE.to_owned())
.label("Username template");
pub(super) const ROLE_ARN: Field<String> = Field::new(
    "role_arn",
    "Role to assume with identity tokens, of the server or of the mount itself. Needs identity_token_audience.",
)
.label("Role ARN");
pub(super) const ASSUME_ROLE_ARN: Field<String> = Field::new(
    "assume_role_arn",
    "Role that the engine assumes with its credentials, whichever those are, to do all else as: so that one key, or the role of an instance, administers many accounts, a mount each. Its sessions have AWS's limits: no federation_token and session_token, and assumed_role for an hour at most.",
)
.label("Assume role ARN");
pub(super) const ASSUME_ROLE_SESSION_NAME: Field<String> = Field::new(
    "assume_role_session_name",
    "Name of the session of assume_role_arn in AWS's logs. Without it vault-aws-secrets.",
)
.label("Assume role session name");
pub(super) const EXTERNAL_ID: Field<String> = Field::new(
    "external_id",
    "External id that the trust policy of assume_role_arn asks for.",
)
.label("External ID");
pub(super) const IDENTITY_TOKEN_AUDIENCE: Field<String> = Field::new(
    "identity_token_audience",
    "Audience of the identity tokens with which role_arn is assumed, as the identity provider at AWS has it, such as sts.amazonaws.com. Without identity_token_issuer it needs a server that mints identity tokens (Vault Enterprise).",
)
.label("Identity token audience");
pub(super) const IDENTITY_TOKEN_TTL: Field<Duration> = Field::new(
    "identity_token_ttl",
    "Lifetime of an identity token. 0 leaves it to the server; with identity_token_issuer it is 5m, and 1m to 15m can be set.",
)
.label("Identity token TTL");
pub(super) const IDENTITY_TOKEN_ISSUER: Field<String> = Field::new(
    "identity_token_issuer",
    "URL of the mount's own identity provider: AWS reads its documents below it, at .well-known/openid-configuration and .well-known/keys. With it the mount signs its identity tokens itself and needs no access key, on every server. It is where AWS reaches this mount, as in https://vault.example.com/v1/aws, or where copies of the documents lie.",
)
.label("Identity token issuer");
pub(super) const IDENTITY_TOKEN_ALGORITHM: Field<String> = Field::new(
    "identity_token_algorithm",
    "How the mount signs its own identity tokens: ES256 or RS256.",
)
.default(|| Algorithm::default().as_str().to_owned())
.label("Identity token algorithm");
pub(super) const ROTATION_PERIOD: Field<Duration> = Field::new(
    "rotation_period",
    "Time from one rotation of the access key to the next, at least 10s. Excludes rotation_schedule.",
)
.label("Rotation period");
pub(super) const DISABLE_AUTOMATED_ROTATION: Field<bool> = Field::new(
    "disable_automated_rotation",
    "The access key is not rotated by itself any more.",
)
.label("Disable automated rotation");
pub(super) const ROTATION_POLICY: Field<String> = Field::new(
    "rotation_policy",
    "Rotation policy of the server's rotation manager (Vault Enterprise).",
)
.label("Rotation policy");

pub(super) const OWNER_TAG: Field<String> = Field::new(
    "owner_tag",
    "Key of a tag that every IAM user of this mount gets from now on, with an id of the mount as its value, so that tidy knows them again. Needs iam:TagUser.",
)
.label("Owner tag");

/// What is sent for the root configuration and is none of its fields.
pub(super) const MISNOMERS: &[(&str, &str)] = &[
    ("root_cert_bundle", CERTIFICATES),
    ("ca_bundle", CERTIFICATES),
    ("ca_cert", CERTIFICATES),
    ("ca_certs", CERTIFICATES),
    ("session_token", SESSION),
    ("security_token", SESSION),
    ("proxy", PROXY),
    ("http_proxy", PROXY),
    ("https_proxy", PROXY),
    ("endpoint", "iam_endpoint and sts_endpoint are set apart"),
    ("ttl", LEASES),
    ("lease", LEASES),
    ("lease_max", LEASES),
];
const CERTIFICATES: &str = "root certificates of your own are named by AWS_CA_BUNDLE in the environment of the plugin, as the path of a PEM file";
const SESSION: &str = "there is no place for the credentials of a session; use the access key of an IAM user, or the environment of the plugin";
const PROXY: &str = "a proxy is named by HTTPS_PROXY in the environment of the plugin";
const LEASES: &str = "lifetimes are set in config/lease and in roles";

pub(super) const RESPONSE: &[ResponseField] = &[
    ResponseField::new("access_key", FieldType::String, "Access key id in use"),
    ResponseField::new("region", FieldType::String, "AWS region"),
    ResponseField::new("iam_endpoint", FieldType::String, "Address of IAM"),
    ResponseField::new("sts_endpoint", FieldType::String, "Address of STS"),
    ResponseField::new("sts_region", FieldType::String, "Region of STS"),
    ResponseField::new(
        "sts_fallback_endpoints",
        FieldType::CommaStringSlice,
        "Further addresses of STS",
    ),
    ResponseField::new(
        "sts_fallback_regions",
        FieldType::CommaStringSlice,
        "Regions of these",
    ),
    ResponseField::new(
        "max_retries",
        FieldType::Int,
        "Number of retries, -1 for the SDK's own",
    ),
    ResponseField::new(
        "username_template",
        FieldType::String,
        "Template for user names",
    ),
    ResponseField::new(
        "role_arn",
        FieldType::String,
        "Role assumed with an identity token",
    ),
    ResponseField::new(
        "identity_token_audience",
        FieldType::String,
        "Audience of the identity token",
    ),
    ResponseField::new(
        "identity_token_ttl",
        FieldType::DurationSecond,
        "Lifetime of the identity token",
    ),
    ResponseField::new(
        "identity_token_issuer",
        FieldType::String,
        "URL of the mount's own identity provider",
    ),
    ResponseField::new(
        "identity_token_algorithm",
        FieldType::String,
        "How its tokens are signed",
    ),
    ResponseField::new(
        "identity_token_subject",
        FieldType::String,
        "Whom its tokens speak of (sub): the same for the life of the mount",
    ),
    ResponseField::new(
        "identity_token_key_id",
        FieldType::String,
        "Id of the key that signs them now",
    ),
    schedule::SHOWN_SCHEDULE,
    schedule::SHOWN_WINDOW,
    schedule::SHOWN_PERIOD,
    ResponseField::new(
        "rotation_policy",
        FieldType::String,
        "Policy of the rotation",
    ),
    ResponseField::new(
        "assume_role_arn",
        FieldType::String,
        "Role that is assumed with the credentials",
    ),
    ResponseField::new(
        "assume_role_session_name",
        FieldType::String,
        "Name of its session",
    ),
    ResponseField::new("external_id", FieldType::String, "External id"),
    ResponseField::new(
        "access_key_create_date",
        FieldType::Time,
        "When AWS made the access key; missing where AWS does not say",
    ),
    ResponseField::new(
        "owner_tag",
        FieldType::String,
        "Key of the tag of this mount's IAM users; missing unless it is set",
    ),
    ResponseField::new(
        "last_vault_rotation",
        FieldType::Time,
        "When the engine made the access key; missing for one that was written. With identity_token_issuer, since when the signing key signs",
    ),
    ResponseField::new(
        "next_vault_rotation",
        FieldType::Time,
        "When the engine rotates it; missing where the server's rotation manager does, or nobody. With identity_token_issuer, when the next signing key takes over and the documents change",
    ),
    ResponseField::new(
        "last_rotation_error",
        FieldType::String,
        "Why the rotation that is due has not been done; missing unless it failed",
    ),
    ResponseField::new(
        "disable_automated_rotation",
        FieldType::Bool,
        "Whether rotation is off",
    ),
];
