//! What AWS's clock shows, by the date of an answer.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_iam::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use time::OffsetDateTime;

use super::sts::moment;

/// The date of an answer, to the second.
pub(super) fn date(answer: &HttpResponse) -> Option<OffsetDateTime> {
    let text = answer.headers().get("date")?;
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    Some(moment(&date))
}

/// Keeps the date of the last answer to a call.
#[derive(Clone, Debug, Default)]
pub(super) struct DateOfAnswer(Arc<Mutex<Option<OffsetDateTime>>>);

impl DateOfAnswer {
    pub(super) fn get(&self) -> Option<OffsetDateTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateOfAnswer {
    fn name(&self) -> &'static str {
        "DateOfAnswer"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date(context.response());
        Ok(())
    }
}
