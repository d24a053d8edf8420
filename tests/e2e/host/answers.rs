//! What a host answers and prints.

use serde_json::Value;

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Method and path, for messages.
    pub(super) request: String,
    pub(super) status: u16,
    pub(super) body: Value,
}

/// What a command of the host's command line printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) succeeded: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The data of a success; null when there is none.
    #[track_caller]
    pub(crate) fn succeeded(mut self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{} answered {}: {}",
            self.request,
            self.status,
            self.body
        );
        self.body["data"].take()
    }

    /// The whole body of a success, for what lies beside the data.
    #[track_caller]
    pub(crate) fn body(self) -> Value {
        assert_eq!(self.status, 200, "{}: {}", self.request, self.body);
        self.body
    }

    /// The error text of a refusal with that status.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}: {}", self.request, self.body);
        strings(&self.body["errors"]).join("\n")
    }

    /// The error text of a failure of any status.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert!(self.status >= 400, "{} succeeded", self.request);
        strings(&self.body["errors"]).join("\n")
    }

    /// Whether it was a success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Printed {
    /// What it printed, if it went well.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert!(self.succeeded, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What it complained of, if it did not.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert!(!self.succeeded, "{}", self.stdout);
        self.stderr
    }
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
        .to_owned()
}

/// The texts of a JSON list.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
