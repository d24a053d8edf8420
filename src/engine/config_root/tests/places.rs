//! Regions, addresses and partitions that cannot fit each other, and those of other services.

use serde_json::{Value, json};

use crate::engine::testing::{READ_ONLY, TestMount};

/// The warnings of a first write but the last one, which tells the addresses; and that one.
async fn warned(sent: &Value) -> (Vec<String>, String) {
    let mount = TestMount::new().await;
    let mut warnings = mount.write("config/root", sent.clone()).await;
    let asked = warnings.pop().unwrap_or_default();
    (warnings, asked)
}

#[tokio::test]
async fn what_cannot_fit_each_other_is_said_with_the_addresses_that_are_asked() {
    for (sent, warning, asked) in [
        (
            json!({"region": "eu-central-1", "sts_region": "cn-north-1"}),
            "region eu-central-1 is of the partition aws and sts_region cn-north-1 of aws-cn: no credentials work in both",
            "IAM is asked at https://iam.amazonaws.com, and STS at https://sts.cn-north-1.amazonaws.com.cn",
        ),
        (
            json!({"region": "us-gov-west-1", "iam_endpoint": "https://iam.amazonaws.com"}),
            "iam_endpoint https://iam.amazonaws.com is of the partition aws and region us-gov-west-1 of aws-us-gov",
            "IAM is asked at https://iam.amazonaws.com, and STS at https://sts.us-gov-west-1.amazonaws.com",
        ),
        (
            json!({"sts_endpoint": "https://sts.eu-west-1.amazonaws.com", "sts_region": "us-east-1"}),
            "sts_endpoint https://sts.eu-west-1.amazonaws.com takes requests that are signed for eu-west-1, and they are signed for us-east-1",
            "IAM is asked at AWS's own address for the region of the environment, and STS at https://sts.eu-west-1.amazonaws.com",
        ),
        (
            json!({"sts_endpoint": "https://sts.amazonaws.com", "sts_region": "eu-west-1", "region": "eu-west-1"}),
            "sts_endpoint https://sts.amazonaws.com takes requests that are signed for us-east-1, and they are signed for eu-west-1",
            "STS at https://sts.amazonaws.com",
        ),
        (
            json!({"region": "us-east-1", "sts_fallback_endpoints": "sts.us-west-2.amazonaws.com", "sts_fallback_regions": "us-west-1"}),
            "sts_fallback_endpoints sts.us-west-2.amazonaws.com takes requests that are signed for us-west-2, and they are signed for us-west-1",
            "STS at https://sts.us-east-1.amazonaws.com",
        ),
        (
            json!({"region": "us-east-1", "iam_endpoint": "https://sts.us-east-1.amazonaws.com"}),
            "iam_endpoint https://sts.us-east-1.amazonaws.com is an address of sts, not of iam",
            "IAM is asked at https://sts.us-east-1.amazonaws.com",
        ),
        (
            json!({"region": "my-house-1"}),
            "region my-house-1 is none of AWS's, and no endpoint says where it is",
            "IAM is asked at https://iam.amazonaws.com, and STS at https://sts.my-house-1.amazonaws.com",
        ),
    ] {
        let (warnings, last) = warned(&sent).await;

        assert_eq!(warnings, [warning], "{sent}");
        assert!(last.contains(asked), "{sent}: {last}");
    }
}

#[tokio::test]
async fn what_fits_is_taken_without_a_word() {
    for sent in [
        json!({"region": "us-gov-west-1", "sts_region": "us-gov-east-1"}),
        json!({"region": "us-gov-west-1", "iam_endpoint": "https://iam.us-gov.amazonaws.com"}),
        json!({"region": "eu-west-1", "iam_endpoint": "https://iam.amazonaws.com", "sts_endpoint": "https://sts.amazonaws.com"}),
        json!({"sts_region": "eu-west-1", "sts_endpoint": "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com"}),
        json!({"region": "us-east-1", "iam_endpoint": "http://localhost:4566", "sts_endpoint": "http://localhost:4566"}),
        json!({"region": "ZoneGroup-1", "iam_endpoint": "http://ceph.example.com:7480", "sts_endpoint": "http://ceph.example.com:7480"}),
    ] {
        let mount = TestMount::new().await;
        assert_eq!(
            mount.write("config/root", sent.clone()).await,
            [""; 0],
            "{sent}"
        );
    }
}

#[tokio::test]
async fn a_write_of_something_else_does_not_repeat_it() {
    let mount = TestMount::new().await;
    let sent = json!({"region": "eu-central-1", "sts_region": "cn-north-1"});
    mount.write("config/root", sent).await;

    assert_eq!(
        mount.write("config/root", json!({"max_retries": 1})).await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_role_of_another_partition_is_warned_of() {
    let mount = TestMount::new().await;
    mount
        .write(
            "config/root",
            json!({"access_key": "AKIAONE", "secret_key": "one", "region": "us-gov-west-1"}),
        )
        .await;
    for (role, field) in [
        (
            json!({"credential_type": "iam_user", "policy_arns": READ_ONLY}),
            "policy_arns: arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
        (
            json!({"credential_type": "assumed_role", "role_arns": "arn:aws-cn:iam::123456789012:role/x"}),
            "role_arns: arn:aws-cn:iam::123456789012:role/x",
        ),
        (
            json!({
                "credential_type": "iam_user",
                "policy_arns": "arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess",
                "permissions_boundary_arn": READ_ONLY,
            }),
            "permissions_boundary_arn: arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
    ] {
        let warnings = mount.write("roles/x", role.clone()).await;

        assert_eq!(warnings.len(), 1, "{role}: {warnings:?}");
        assert!(warnings[0].starts_with(field), "{warnings:?}");
        assert!(
            warnings[0].ends_with(
                "the region us-gov-west-1 in config/root of aws-us-gov, where nobody knows it"
            ),
            "{warnings:?}"
        );
        mount.delete("roles/x").await;
    }
}

#[tokio::test]
async fn where_aws_is_not_asked_its_form_of_arns_is_advice() {
    let mount = TestMount::configured().await;
    mount
        .configure(json!({"sts_endpoint": "http://minio.example.com:9000"}))
        .await;
    for arn in ["arn:xxx:xxx:xxx:xxxx", "arn:minio:s3:::some/thing"] {
        let role = json!({"credential_type": "assumed_role", "role_arns": arn});
        let warnings = mount.write("roles/x", role).await;

        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].ends_with("; AWS would refuse it"),
            "{warnings:?}"
        );
    }
    // What is no ARN at all is nobody's.
    let role = json!({"credential_type": "assumed_role", "role_arns": "deploy"});
    mount.write_refusal("roles/x", role).await;
}
