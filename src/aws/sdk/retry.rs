//! Which failures are not tried again.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use aws_sdk_iam::config::interceptors::InterceptorContext;
use aws_sdk_iam::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_iam::error::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;

use super::call::refused;
use super::closed::Unanswered;
use crate::aws::ErrorKind;

/// Forbids to try again what AWS may have done already, for the calls that make something anew each
/// time. A user that was made by a lost try would else look like somebody else's, and an access key
/// would take the place of another.
pub(super) struct NotTwice<E>(PhantomData<fn() -> E>);

impl<E> NotTwice<E> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> ClassifyRetry for NotTwice<E> {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let may_have_happened = if let Some(error) = error.as_connector_error() {
            error
                .source()
                .and_then(|source| source.downcast_ref::<Unanswered>())
                .is_none_or(|unanswered| unanswered.was_connected)
        } else if let Some(error) = error.as_operation_error() {
            match (error.downcast_ref::<E>(), context.response()) {
                (Some(error), Some(response)) => refused("", error, response).may_have_happened(),
                _ => true,
            }
        } else {
            error.is_timeout_error() || error.is_response_error()
        };
        forbid_if(may_have_happened)
    }

    fn name(&self) -> &'static str {
        "not what may have happened already"
    }

    fn priority(&self) -> RetryClassifierPriority {
        after_all_others()
    }
}

impl<E> fmt::Debug for NotTwice<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotTwice")
    }
}

/// Forbids to try again what AWS throttles, for IAM: whoever sent the call knows what else waits,
/// and which of it comes first.
#[derive(Debug)]
pub(super) struct NotThrottled;

impl ClassifyRetry for NotThrottled {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let throttled = match (context.output_or_error(), context.response()) {
            // The response has the code as well, and is the same for every operation.
            (Some(Err(_)), Some(response)) => {
                let error = refused("", &ErrorMetadata::builder().build(), response);
                error.kind() == ErrorKind::Throttled
            }
            _ => false,
        };
        forbid_if(throttled)
    }

    fn name(&self) -> &'static str {
        "not what is throttled"
    }

    fn priority(&self) -> RetryClassifierPriority {
        after_all_others()
    }
}

fn forbid_if(forbidden: bool) -> RetryAction {
    if forbidden {
        RetryAction::RetryForbidden
    } else {
        RetryAction::NoActionIndicated
    }
}

/// So that what is forbidden stays so, whatever others say.
fn after_all_others() -> RetryClassifierPriority {
    RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
}
