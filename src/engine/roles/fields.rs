//! The fields of a role, as clients write and read them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::RoleName;
use super::write::PolicyText;
use crate::engine::policies::PolicyDocument;
use crate::framework::{Field, FieldType, ResponseField};

pub(crate) const NAME: Field<RoleName> = Field::new("name", "Name of the role.").label("Role Name");
pub(super) const CREDENTIAL_TYPE: Field<String> = Field::new(
    "credential_type",
    "What kind of credentials the role gives: iam_user (an IAM user made for the lease), assumed_role (sts:AssumeRole), federation_token (sts:GetFederationToken) or session_token (sts:GetSessionToken).",
)
.label("Credential Type");
pub(super) const ROLE_ARNS: Field<Vec<String>> = Field::new(
    "role_arns",
    "ARNs of the AWS roles that may be assumed. assumed_role only, which gives no credentials without one.",
)
.label("Role ARNs");
pub(super) const POLICY_ARNS: Field<Vec<String>> = Field::new(
    "policy_arns",
    "ARNs of managed policies. An iam_user gets them attached; they narrow an assumed_role and a federation_token.",
)
.label("Policy ARNs");
pub(super) const POLICY_DOCUMENT: Field<PolicyDocument> = Field::new(
    "policy_document",
    "Policy document in JSON, as text or as an object. An iam_user gets it as an inline policy; it narrows an assumed_role and a federation_token.",
)
.label("Policy Document");
pub(super) const IAM_GROUPS: Field<Vec<String>> = Field::new(
    "iam_groups",
    "Names of IAM groups. An iam_user joins them; their policies narrow an assumed_role and a federation_token.",
)
.label("IAM Groups")
.example("group1,group2");
pub(super) const IAM_TAGS: Field<BTreeMap<String, String>> = Field::new(
    "iam_tags",
    "Tags of an iam_user: an object, or a list of key=value.",
)
.label("IAM Tags")
.example("[key1=value1, key2=value2]");
pub(super) const SESSION_TAGS: Field<BTreeMap<String, String>> = Field::new(
    "session_tags",
    "Session tags of an assumed_role: an object, or a list of key=value. The trust policy of the AWS role must allow sts:TagSession.",
)
.label("Session Tags")
.example("[key1=value1, key2=value2]");
pub(super) const EXTERNAL_ID: Field<String> = Field::new(
    "external_id",
    "External id that the trust policy of the AWS role asks for. assumed_role only.",
)
.label("External ID");
pub(super) const DEFAULT_STS_TTL: Field<Duration> = Field::new(
    "default_sts_ttl",
    "Lifetime of a session when the request names none; an hour if not set. Not for iam_user.",
)
.null_clears()
.label("Default STS TTL");
pub(super) const MAX_STS_TTL: Field<Duration> = Field::new(
    "max_sts_ttl",
    "Longest lifetime of a session; the mount's maximum lease TTL if not set. Not for iam_user.",
)
.null_clears()
.label("Max STS TTL");
pub(super) const PERMISSIONS_BOUNDARY_ARN: Field<String> = Field::new(
    "permissions_boundary_arn",
    "ARN of the managed policy that bounds what an iam_user may ever do.",
)
.label("Permissions Boundary ARN");
pub(super) const USER_PATH: Field<String> = Field::new(
    "user_path",
    "Path of an iam_user, such as /vault/. Without it AWS puts the user under /.",
)
.label("User Path")
.example("/");
pub(super) const MFA_SERIAL_NUMBER: Field<String> = Field::new(
    "mfa_serial_number",
    "Serial number or ARN of the multi-factor device of the engine's own user. A session_token request then brings the device's mfa_code.",
)
.label("MFA Device Serial Number");
pub(super) const DISABLED: Field<bool> = Field::new(
    "disabled",
    "Whether the role gives no credentials for now. Those that it gave live on until their leases are over.",
)
.label("Disabled");
pub(super) const REVOCABLE_SESSIONS: Field<bool> = Field::new(
    "revocable_sessions",
    "Whether sessions end with their leases: revoking one denies everything to its session, by an inline policy that the engine keeps on the AWS role, or for federation_token on its own user. assumed_role and federation_token only.",
)
.label("Revocable Sessions");
pub(super) const REVOKE_OLDER_SESSIONS: Field<bool> = Field::new(
    "revoke_older_sessions",
    "Whether the oldest sessions, and all others that are as old, whoever opened them, may be ended by their time of issue when AWS has no more room to end them by name. Goes with revocable_sessions.",
)
.label("Revoke Older Sessions");
pub(super) const MAX_ACTIVE: Field<i64> = Field::new(
    "max_active",
    "How many IAM users of the role may be out at once; 0 is any number. A request beyond that is refused and told who has them. iam_user only.",
)
.label("Maximum of active users");
pub(super) const ARN: Field<String> =
    Field::new("arn", "Use role_arns or policy_arns.").deprecated();
pub(super) const POLICY: Field<PolicyText> =
    Field::new("policy", "Use policy_document.").deprecated();

/// What is sent for a role and is none of its fields.
pub(super) const MISNOMERS: &[(&str, &str)] = &[
    ("ttl", LIFETIMES),
    ("default_ttl", LIFETIMES),
    ("max_ttl", LIFETIMES),
    ("lease", LIFETIMES),
    ("lease_max", LIFETIMES),
    ("max_leases", "max_active was probably meant"),
    ("groups", "iam_groups was probably meant"),
    ("policies", "policy_arns was probably meant"),
    (
        "tags",
        "iam_tags are for an iam_user, session_tags for an assumed_role",
    ),
    ("session_name", OF_THE_REQUEST),
    ("role_session_name", OF_THE_REQUEST),
    ("mfa_code", OF_THE_REQUEST),
    ("region", OF_THE_ENGINE),
    ("username_template", OF_THE_ENGINE),
];
const LIFETIMES: &str = "default_sts_ttl and max_sts_ttl are the lifetimes of sessions; the lease of an iam_user has those of config/lease, else the mount's";
const OF_THE_REQUEST: &str = "it belongs to a request for credentials, not to the role";
const OF_THE_ENGINE: &str = "it is set for all roles in config/root";

/// What a list answers.
pub(super) const LIST_RESPONSE: &[ResponseField] = &[ResponseField::new(
    "keys",
    FieldType::CommaStringSlice,
    "Names of the roles",
)];

/// What a read answers.
pub(super) const RESPONSE: &[ResponseField] = &[
    ResponseField::new(
        "credential_type",
        FieldType::String,
        "What kind of credentials the role gives",
    ),
    ResponseField::new(
        "policy_arns",
        FieldType::CommaStringSlice,
        "ARNs of managed policies",
    ),
    ResponseField::new(
        "role_arns",
        FieldType::CommaStringSlice,
        "ARNs of the AWS roles that may be assumed",
    ),
    ResponseField::new("policy_document", FieldType::String, "Policy document"),
    ResponseField::new(
        "iam_groups",
        FieldType::CommaStringSlice,
        "Names of IAM groups",
    ),
    ResponseField::new("iam_tags", FieldType::KeyValuePairs, "Tags of an IAM user"),
    ResponseField::new("session_tags", FieldType::KeyValuePairs, "Session tags"),
    ResponseField::new("external_id", FieldType::String, "External id"),
    ResponseField::new(
        "default_sts_ttl",
        FieldType::DurationSecond,
        "Lifetime of a session; 0 if not set",
    ),
    ResponseField::new(
        "max_sts_ttl",
        FieldType::DurationSecond,
        "Longest lifetime of a session; 0 if not set",
    ),
    ResponseField::new("user_path", FieldType::String, "Path of an IAM user"),
    ResponseField::new(
        "permissions_boundary_arn",
        FieldType::String,
        "Bounds of an IAM user",
    ),
    ResponseField::new(
        "mfa_serial_number",
        FieldType::String,
        "Multi-factor device",
    ),
    ResponseField::new(
        "invalid_data",
        FieldType::String,
        "What could not be read of an old role",
    ),
    ResponseField::new(
        "max_active",
        FieldType::Int,
        "How many IAM users may be out at once; missing where that is any number",
    ),
    ResponseField::new(
        "disabled",
        FieldType::Bool,
        "true for a role that gives no credentials; else it is missing",
    ),
    ResponseField::new(
        "revocable_sessions",
        FieldType::Bool,
        "true for a role whose sessions end with their leases; else it is missing",
    ),
    ResponseField::new(
        "revoke_older_sessions",
        FieldType::Bool,
        "true for a role whose older sessions may be ended by time; else it is missing",
    ),
];
