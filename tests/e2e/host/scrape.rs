//! An answer that is no JSON, as monitoring reads it.

use super::Host;

/// What monitoring is answered.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Host {
    /// Reads a path with a token, as Prometheus sends it.
    pub(crate) fn scrape(&self, path: &str, token: Option<&str>) -> Scrape {
        let mut request = self.agent.get(format!("{}/v1/{path}", self.address));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().expect("the host answers");
        let content_type = answer.headers().get("Content-Type");
        let content_type = content_type.and_then(|value| value.to_str().ok());
        Scrape {
            status: answer.status().as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            text: answer.body_mut().read_to_string().expect("it is text"),
        }
    }
}
