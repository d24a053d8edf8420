//! Leases: what the host keeps, and who renews and revokes it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Mount, object};
use crate::framework::Answer;
use crate::logical::{Backend as _, Error, Operation, Secret};

fn lease_of(internal_data: Value) -> Secret {
    Secret {
        internal_data: object(internal_data),
        ..Secret::default()
    }
}

impl Mount {
    async fn lease(&self, operation: Operation, secret: Option<Secret>) -> Answer {
        // The host sends the path under which the lease was issued and its data; neither matters.
        let mut request = self.request(operation, "gone/since", json!({"price": "high"}));
        request.secret = secret;
        self.backend.handle_request(request).await
    }
}

#[tokio::test]
async fn a_leased_answer_carries_its_type_for_the_host_to_keep() {
    let mount = Mount::new();

    let answer = mount
        .ask(Operation::Read, "coupons/x", json!({"price": "5"}))
        .await;

    let secret = answer.secret.unwrap();
    assert_eq!(Value::from(answer.data), json!({"code": "x-1", "price": 5}));
    assert_eq!(
        Value::from(secret.internal_data),
        json!({"code": "x-1", "secret_type": "coupon"})
    );
    assert_eq!(secret.lease.ttl, Duration::from_hours(1));
    assert!(secret.lease.renewable);
}

#[tokio::test]
async fn revoking_needs_nothing_but_what_the_host_kept() {
    let mount = Mount::new();
    let secret = mount
        .ask(Operation::Read, "coupons/x", json!({}))
        .await
        .secret;
    mount.journal();

    let answer = mount.lease(Operation::Revoke, secret).await;

    assert_eq!(answer.unwrap(), None);
    assert_eq!(mount.journal(), ["shredded x-1"]);
}

#[tokio::test]
async fn a_renewed_lease_keeps_its_type_even_if_the_engine_forgot_it() {
    let mount = Mount::new();
    let mut secret = lease_of(json!({"code": "x-1", "secret_type": "coupon"}));
    secret.lease.increment = Duration::from_mins(10);

    let answer = mount.lease(Operation::Renew, Some(secret)).await;

    let secret = answer.unwrap().unwrap().secret.unwrap();
    assert_eq!(secret.lease.ttl, Duration::from_mins(10));
    assert_eq!(
        Value::from(secret.internal_data),
        json!({"code": "x-1", "secret_type": "coupon"})
    );
}

#[tokio::test]
async fn a_lease_without_secret_cannot_be_renewed_or_revoked() {
    let mount = Mount::new();
    for operation in [Operation::Renew, Operation::Revoke] {
        let error = mount.lease(operation, None).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)));
        assert_eq!(error.to_string(), "request has no secret");
    }
}

#[tokio::test]
async fn a_lease_of_no_known_type_is_refused() {
    let mount = Mount::new();
    for internal_data in [
        json!({}),
        json!({"secret_type": null}),
        json!({"secret_type": 1}),
        json!({"secret_type": "banknote"}),
    ] {
        for operation in [Operation::Renew, Operation::Revoke] {
            let secret = lease_of(internal_data.clone());
            let error = mount.lease(operation, Some(secret)).await.unwrap_err();
            assert!(matches!(error, Error::Internal(_)));
            assert_eq!(error.to_string(), "secret is unsupported by this backend");
        }
    }
    assert_eq!(mount.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_revocation_is_an_error_for_the_host_to_try_again() {
    let mount = Mount::new();
    let secret = lease_of(json!({"secret_type": "coupon"}));
    let error = mount
        .lease(Operation::Revoke, Some(secret))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Internal(_)));
}
