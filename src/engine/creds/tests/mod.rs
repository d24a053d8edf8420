//! Credentials, as a specification.

mod iam_user;
