//! What groups add to sessions.

use serde_json::{Value, json};

use crate::aws::Arn;
use crate::aws::fake::{FakeRole, FakeSession, Fault, FaultRule};
use crate::engine::policies::combine;
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Error;

const EC2: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Action":"ec2:*","Effect":"Allow","Resource":"*"}]}"#;
const S3: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;

/// A mount whose account has a group with an inline policy, one with a managed policy, one with
/// both, and one with nothing.
async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    let aws = mount.aws();
    aws.add_role("deploy", FakeRole::default());
    let read_only = Arn::new(READ_ONLY).unwrap();
    for name in ["inline", "managed", "both", "empty"] {
        aws.add_group(name);
    }
    aws.put_group_policy("inline", "ec2", EC2);
    aws.attach_group_policy("managed", &read_only);
    aws.put_group_policy("both", "s3", S3);
    aws.attach_group_policy("both", &read_only);
    mount
}

async fn session_of(mount: &TestMount, role: Value) -> FakeSession {
    mount.write("roles/x", role).await;
    let lease = mount.generate("creds/x").await;
    let mut sessions = mount.aws().sessions();
    sessions.retain(|session| session.access_key_id.as_str() == lease.text("access_key"));
    sessions.remove(0)
}

fn assumed(groups: &str) -> Value {
    json!({
        "credential_type": "assumed_role",
        "role_arns": "arn:aws:iam::111122223333:role/deploy",
        "iam_groups": groups,
        "policy_arns": "",
        "policy_document": "",
    })
}

fn federated(groups: &str) -> Value {
    json!({
        "credential_type": "federation_token",
        "role_arns": "",
        "iam_groups": groups,
        "policy_arns": "",
        "policy_document": "",
    })
}

#[tokio::test(start_paused = true)]
async fn the_policies_of_groups_narrow_a_session_in_the_order_of_the_groups() {
    const BOTH: &str = r#"{"Version":"2012-10-17","Statement":[{"Action":"s3:*","Effect":"Allow","Resource":"*"},{"Action":"ec2:*","Effect":"Allow","Resource":"*"}]}"#;
    let mount = mount().await;
    for role in [assumed, federated] {
        for (groups, policy, arns) in [
            ("inline", Some(EC2), &[][..]),
            ("managed", None, &[READ_ONLY]),
            ("both,inline", Some(BOTH), &[READ_ONLY]),
            // The same managed policy of two groups counts once.
            ("managed,both", Some(&*combine([S3]).unwrap()), &[READ_ONLY]),
        ] {
            let session = session_of(&mount, role(groups)).await;

            assert_eq!(session.policy.as_deref(), policy, "{groups}");
            let found: Vec<_> = session
                .policy_arns
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(found, arns, "{groups}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_roles_own_policies_stand_with_those_of_its_groups() {
    let mount = mount().await;
    let mut role = federated("inline,managed");
    role["policy_document"] = json!(S3);
    role["policy_arns"] = json!("arn:aws:iam::aws:policy/SecurityAudit");

    let session = session_of(&mount, role).await;

    assert_eq!(
        session.policy.as_deref(),
        Some(
            r#"{"Version":"2012-10-17","Statement":[{"Action":"ec2:*","Effect":"Allow","Resource":"*"},{"Action":"s3:*","Effect":"Allow","Resource":"*"}]}"#
        )
    );
    let arns: Vec<_> = session
        .policy_arns
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(arns, ["arn:aws:iam::aws:policy/SecurityAudit", READ_ONLY]);
}

#[tokio::test(start_paused = true)]
async fn without_inline_policies_of_groups_the_roles_document_goes_out_as_it_is() {
    let mount = mount().await;
    let mut role = assumed("managed");
    role["policy_document"] = json!(S3);

    let session = session_of(&mount, role).await;

    assert_eq!(session.policy.as_deref(), Some(S3));
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_groups_lost_their_last_policy_is_refused() {
    let mount = mount().await;
    mount.write("roles/x", assumed("empty")).await;

    let text = mount.generate_refusal("creds/x", json!({})).await;

    assert_eq!(
        text,
        "nothing would narrow the session: the groups in iam_groups of the role have no policies"
    );
    assert!(mount.aws().sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_role_itself_allows_is_left_when_its_groups_are_emptied() {
    let mount = mount().await;
    let mut role = assumed("empty");
    role["policy_document"] = json!(S3);

    let session = session_of(&mount, role).await;

    assert_eq!(session.policy.as_deref(), Some(S3));
}

#[tokio::test(start_paused = true)]
async fn without_groups_iam_is_not_asked() {
    let mount = mount().await;

    session_of(&mount, assumed("")).await;

    assert_eq!(mount.aws().operations(), ["sts:AssumeRole"]);
}

#[tokio::test(start_paused = true)]
async fn however_many_groups_there_are_a_session_takes_three_round_trips() {
    let mount = mount().await;
    for n in 0..5 {
        let name = format!("team{n}");
        mount.aws().add_group(&name);
        for policy in ["a", "b", "c"] {
            mount.aws().put_group_policy(&name, policy, EC2);
        }
    }
    mount
        .write("roles/x", assumed("team0,team1,team2,team3,team4"))
        .await;

    let (_, trips) = mount.round_trips(mount.generate("creds/x")).await;

    assert_eq!(trips, 3);
    assert_eq!(mount.aws().calls_of("iam:GetGroupPolicy").len(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_session_token_has_no_groups() {
    let mount = mount().await;
    let role = json!({"credential_type": "session_token", "iam_groups": "inline"});

    let session = session_of(&mount, role).await;

    assert_eq!(session.policy, None);
    assert!(
        !mount
            .aws()
            .operations()
            .iter()
            .any(|call| call.starts_with("iam:"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_read_is_named() {
    let mount = mount().await;
    mount.write("roles/x", assumed("inline,nowhere")).await;
    let text = mount.generate_refusal("creds/x", json!({})).await;
    assert!(
        text.starts_with("Error reading the policies of IAM group nowhere: NoSuchEntity: "),
        "{text}"
    );

    mount.write("roles/x", assumed("inline")).await;
    mount.aws().deny("iam:GetGroupPolicy");
    let text = mount.generate_refusal("creds/x", json!({})).await;
    assert!(text.contains("IAM group inline: AccessDenied: "), "{text}");
    assert!(text.contains("grant iam:GetGroupPolicy"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn throttled_reads_of_groups_are_told_as_such() {
    let mount = mount().await;
    mount.write("roles/x", assumed("inline")).await;
    mount.aws().inject(FaultRule::on(
        "iam:ListGroupPolicies",
        Fault::Code("Throttling"),
    ));

    let error = mount.read_error("creds/x").await;

    assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stored_document_that_is_no_policy_is_refused() {
    let mount = mount().await;
    let stored = json!({
        "credential_types": ["federation_token"],
        "policy_document": "[1]",
        "iam_groups": ["inline"],
    });
    mount.storage().set_text("role/x", &stored.to_string());

    let text = mount.generate_refusal("creds/x", json!({})).await;

    assert!(text.starts_with("cannot parse policy document: "), "{text}");
}
