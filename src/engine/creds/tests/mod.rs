//! Credentials, as a specification.

mod assumed_role;
mod federation_token;
mod group_policies;
mod iam_user;
mod legacy_roles;
mod lifetimes;
mod parameters;
mod refusals;
mod session_token;
