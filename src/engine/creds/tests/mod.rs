//! Credentials, as a specification.

mod iam_user;
mod storms;
