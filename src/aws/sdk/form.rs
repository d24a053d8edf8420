//! How a request's form is written.

use aws_sdk_iam::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;

/// Writes a space in a form as `+`, as AWS's SDKs for Go and Python do, in place of `%20`.
///
/// AWS takes both. Emulators that check a signature do so over the form as they would have written
/// it, and they write it with `+`.
#[derive(Debug)]
pub(super) struct PlusForSpace;

impl Intercept for PlusForSpace {
    fn name(&self) -> &'static str {
        "PlusForSpace"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let Some(form) = request.body().bytes() else {
            return Ok(());
        };
        // A literal `%` is `%25`, so this is found only where a space was written.
        let form = std::str::from_utf8(form)?.replace("%20", "+");
        request
            .headers_mut()
            .try_insert("content-length", form.len().to_string())?;
        *request.body_mut() = SdkBody::from(form);
        Ok(())
    }
}
