//! What goes wrong while an IAM user is made: the caller reads why, and nothing stays behind.

use std::time::Duration;

use serde_json::json;

use super::full_role;
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation, READ_ONLY_STORAGE};

/// Every call of an issue, with what the Go engines begin its error with.
const CALLS: [(&str, &str); 5] = [
    ("iam:CreateUser", "Error creating IAM user: "),
    ("iam:AttachUserPolicy", "Error attaching user policy: "),
    ("iam:PutUserPolicy", "Error putting user policy: "),
    ("iam:AddUserToGroup", "Error adding user to group: "),
    ("iam:CreateAccessKey", "Error creating access keys: "),
];

async fn fully_configured() -> TestMount {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    mount
}

#[tokio::test]
async fn a_missing_permission_is_named_and_the_half_made_user_goes_at_once() {
    for (operation, beginning) in CALLS {
        let mount = fully_configured().await;
        mount.aws().deny(operation);

        let error = mount.read_error("creds/full").await;

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("{beginning}AccessDenied: ")),
            "{text}"
        );
        assert!(text.contains(operation), "{text}");
        mount.assert_nothing_left();

        mount.aws().heal();
        mount.generate("creds/full").await;
    }
}

#[tokio::test]
async fn without_the_permission_to_undo_the_user_goes_when_it_is_granted() {
    for undo in [
        "iam:DeleteAccessKey",
        "iam:DetachUserPolicy",
        "iam:DeleteUserPolicy",
        "iam:RemoveUserFromGroup",
        "iam:DeleteUser",
        "iam:Delete*",
    ] {
        let mut mount = fully_configured().await;
        mount
            .aws()
            .inject(FaultRule::on("iam:AttachUserPolicy", Fault::Denied).skipping(1));
        mount.aws().deny(undo);

        let text = mount.read_error("creds/full").await.to_string();
        assert!(text.starts_with("Error attaching user policy: "), "{text}");
        assert_eq!(mount.wal().len(), 1, "{undo}");

        mount.recover().await;
        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_rollback_that_fails_says_which_permission_it_lacks_and_comes_again() {
    let mut mount = fully_configured().await;
    mount.aws().deny("iam:PutUserPolicy");
    mount.aws().deny("iam:DeleteUser");
    mount.read_error("creds/full").await;

    mount.clock().advance(Duration::from_mins(6));
    let text = mount.roll_back().await.unwrap_err().to_string();

    assert!(
        text.contains("error rolling back \"user\" entry: "),
        "{text}"
    );
    assert!(text.contains("iam:DeleteUser"), "{text}");
    assert_eq!(mount.wal().len(), 1);
    mount.recover().await;
    mount.assert_nothing_left();
}

#[tokio::test]
async fn what_the_role_names_and_aws_does_not_know_is_said_and_undone_at_once() {
    let mount = TestMount::configured().await;
    let unknown = mount.aws().arn("iam", "policy/unknown");
    for (role, expected) in [
        (json!({"policy_arns": unknown.as_str()}), unknown.as_str()),
        (json!({"iam_groups": "nobodies"}), "nobodies"),
        (
            json!({"permissions_boundary_arn": unknown.as_str()}),
            unknown.as_str(),
        ),
        (
            json!({"policy_document": {"Statement": []}}),
            "MalformedPolicyDocument",
        ),
    ] {
        let mut whole = role.clone();
        whole["credential_type"] = json!("iam_user");
        mount.write("roles/odd", whole).await;

        let error = mount.read_error("creds/odd").await;

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        mount.assert_nothing_left();
        mount.delete("roles/odd").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_no_user_and_no_key() {
    for (operation, beginning) in CALLS {
        let mount = fully_configured().await;
        mount
            .aws()
            .inject(FaultRule::on(operation, Fault::AnswerLost).times(1));

        let text = mount.read_error("creds/full").await.to_string();

        assert!(text.starts_with(beginning), "{text}");
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_create_user_never_costs_somebody_else_their_user() {
    let mut mount = TestMount::new().await;
    mount.configure(json!({"username_template": "alice"})).await;
    full_role(&mount).await;
    let others = mount.aws().add_user("alice");
    mount.aws().add_access_key("alice");
    mount.clock().advance(Duration::from_hours(1));
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateUser", Fault::AnswerLost));

    mount.read_error("creds/full").await;

    assert_eq!(mount.wal(), Vec::<String>::new());
    mount.recover().await;
    assert_eq!(mount.aws().access_key_ids(others.as_str()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_of_that_name_that_is_older_than_the_wal_entry_is_left_alone() {
    for may_look in [true, false] {
        let mut mount = fully_configured().await;
        mount.aws().add_user("bob");
        mount.clock().advance(Duration::from_hours(1));
        let entry = json!({
            "type": "user",
            "data": {"UserName": "bob"},
            "created_at": crate::clock::Clock::now(mount.clock()).unix_timestamp(),
        });
        mount.storage().set_text("wal/1", &entry.to_string());
        if !may_look {
            mount
                .aws()
                .inject(FaultRule::on("iam:GetUser", Fault::Code("Throttling")));
            mount.clock().advance(Duration::from_mins(6));
            mount.roll_back().await.unwrap_err();
            assert_eq!(mount.wal().len(), 1, "looked at again");
        }

        mount.recover().await;

        assert!(mount.aws().user("bob").is_some());
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_unreachable_aws_is_told_from_one_that_says_no() {
    let mount = fully_configured().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateUser", Fault::Unreachable));

    let error = mount.read_error("creds/full").await;

    assert_eq!(
        error.to_string(),
        "Error creating IAM user: no connection to the simulated AWS (check region and endpoints in config/root, and the server's network and proxy)"
    );
    mount.assert_nothing_left();
}

#[tokio::test]
async fn throttling_is_a_502_with_the_words_of_aws() {
    for (operation, beginning) in CALLS {
        let mut mount = fully_configured().await;
        mount
            .aws()
            .inject(FaultRule::on(operation, Fault::Code("Throttling")));

        let error = mount.read_error("creds/full").await;

        assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "{beginning}Throttling: Rate exceeded (AWS limits how often this account may call {operation}; try again later)"
            )
        );
        mount.recover().await;
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_under_way_is_waited_for() {
    for code in ["ConcurrentModification", "EntityTemporarilyUnmodifiable"] {
        for (operation, _) in CALLS {
            let mount = fully_configured().await;
            mount.aws().fail_next(operation, 4, code);

            mount.generate("creds/full").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_user_that_iam_does_not_know_yet_is_waited_for() {
    let mount = TestMount::new().await;
    mount.configure(json!({"username_template": "alice"})).await;
    full_role(&mount).await;
    let aws = mount.aws();
    aws.inject(FaultRule::on("iam:CreateUser", Fault::HeldAfter));

    let (lease, ()) = tokio::join!(mount.generate("creds/full"), async {
        while aws.user("alice").is_none() {
            tokio::task::yield_now().await;
        }
        aws.remove_user("alice");
        aws.heal();
        tokio::time::sleep(Duration::from_secs(2)).await;
        aws.add_user("alice");
    });

    let [user] = aws.iam_users().try_into().unwrap();
    assert_eq!(user.managed_policies.len(), 3);
    assert_eq!(user.inline_policies.len(), 1);
    assert_eq!(user.groups.len(), 1);
    assert_eq!(user.access_keys.len(), 1);
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_new_user_that_iam_never_gets_to_know_is_an_error() {
    let mut mount = TestMount::new().await;
    mount.configure(json!({"username_template": "alice"})).await;
    full_role(&mount).await;
    let aws = mount.aws();
    aws.inject(FaultRule::on("iam:CreateUser", Fault::HeldAfter));

    let (error, ()) = tokio::join!(mount.read_error("creds/full"), async {
        while aws.user("alice").is_none() {
            tokio::task::yield_now().await;
        }
        aws.remove_user("alice");
        aws.heal();
    });

    assert_eq!(
        error.to_string(),
        "Error attaching user policy: NoSuchEntity: The user with name alice cannot be found."
    );
    assert_eq!(mount.wal().len(), 1, "the user may still turn up");
    mount.aws().add_user("alice");
    mount.recover().await;
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn waiting_for_another_change_ends() {
    for (operation, beginning) in CALLS {
        let mount = fully_configured().await;
        mount.aws().inject(FaultRule::on(
            operation,
            Fault::Code("ConcurrentModification"),
        ));
        let start = tokio::time::Instant::now();

        let error = mount.read_error("creds/full").await;

        let text = error.to_string();
        assert!(
            text.starts_with(&format!("{beginning}ConcurrentModification: ")),
            "{text}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_aws_refuses_say_what_to_check() {
    let mount = TestMount::new().await;
    full_role(&mount).await;

    let text = mount.read_error("creds/full").await.to_string();
    assert_eq!(
        text,
        "Error creating IAM user: no AWS credentials were found (write access_key and secret_key to config/root, or give the server's environment AWS credentials)"
    );

    mount
        .configure(json!({"secret_key": "not-the-secret"}))
        .await;
    let text = mount.read_error("creds/full").await.to_string();
    assert!(
        text.starts_with("Error creating IAM user: SignatureDoesNotMatch: "),
        "{text}"
    );
    assert!(
        text.ends_with(
            "(secret_key in config/root does not belong to access_key, or was mistyped)"
        ),
        "{text}"
    );

    mount
        .write(
            "config/root",
            json!({"access_key": "AKIAUNKNOWN", "secret_key": "x"}),
        )
        .await;
    let text = mount.read_error("creds/full").await.to_string();
    assert!(
        text.starts_with("Error creating IAM user: InvalidClientTokenId: "),
        "{text}"
    );
    assert!(
        text.contains("check access_key and secret_key in config/root"),
        "{text}"
    );
    mount.assert_nothing_left();
}

#[tokio::test]
async fn the_next_step_fits_what_aws_says() {
    for (code, step) in [
        ("RequestTimeTooSkewed", " (check the server's clock)"),
        (
            "AccessDenied",
            " (grant iam:CreateUser to the AWS credentials that this engine uses)",
        ),
        ("ServiceFailure", "The request processing has failed"),
        ("LimitExceeded", "was told to answer so."),
    ] {
        let mount = fully_configured().await;
        mount
            .aws()
            .inject(FaultRule::on("iam:CreateUser", Fault::Code(code)));

        let text = mount.read_error("creds/full").await.to_string();

        assert!(
            text.starts_with(&format!("Error creating IAM user: {code}: ")),
            "{text}"
        );
        assert!(text.ends_with(step), "{text}");
    }
}

#[tokio::test]
async fn aws_is_not_asked_when_the_log_of_unfinished_work_cannot_be_written() {
    let mount = fully_configured().await;
    mount.aws().forget_calls();
    mount.storage().fail(StorageFault::Put, "wal/");

    let error = mount.read_error("creds/full").await;

    assert_eq!(
        error.to_string(),
        "error writing WAL entry: storage told to fail: Put"
    );
    assert_eq!(mount.aws().operations(), [""; 0]);
}

#[tokio::test]
async fn a_node_that_may_not_write_lets_the_host_forward_the_request() {
    let mount = fully_configured().await;
    mount.aws().forget_calls();
    mount.storage().fail(StorageFault::ReadOnly, "");

    let error = mount.read_error("creds/full").await;

    assert!(
        matches!(&error, Error::ReadOnly(text) if text == READ_ONLY_STORAGE),
        "{error:?}"
    );
    assert_eq!(mount.aws().operations(), [""; 0]);
}

#[tokio::test]
async fn nobody_gets_a_user_that_rollback_would_remove() {
    for fault in [StorageFault::Delete, StorageFault::ReadOnly] {
        let mut mount = fully_configured().await;
        // The entry can be written, but not deleted any more when the user is complete.
        mount
            .aws()
            .inject(FaultRule::on("iam:CreateAccessKey", Fault::HeldBefore));
        let backend = mount.backend();
        let request = mount.request(Operation::Read, "creds/full", json!({}));
        let issued = tokio::spawn(async move { backend.handle_request(request).await });
        while mount.aws().calls_of("iam:CreateAccessKey").is_empty() {
            tokio::task::yield_now().await;
        }
        mount.storage().fail(fault, "wal/");
        mount.aws().heal();

        let error = issued.await.unwrap().unwrap_err();

        match fault {
            StorageFault::ReadOnly => assert_eq!(error.to_string(), READ_ONLY_STORAGE),
            _ => assert_eq!(
                error.to_string(),
                "failed to commit WAL entry: storage told to fail: Delete"
            ),
        }
        assert_eq!(mount.aws().iam_users().len(), 0, "undone at once");
        mount.recover().await;
        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_host_that_cannot_read_the_configuration_is_told_apart_from_aws() {
    let mount = fully_configured().await;
    for (key, expected) in [
        ("role/", "error retrieving role: storage told to fail: Get"),
        (
            "config/lease",
            "error reading config/lease: storage told to fail: Get",
        ),
    ] {
        mount.storage().fail(StorageFault::Get, key);
        let error = mount.read_error("creds/full").await;
        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    let mount = TestMount::new().await;
    full_role(&mount).await;
    mount.storage().fail(StorageFault::Get, "config/root");
    assert_eq!(
        mount.read_error("creds/full").await.to_string(),
        "error reading root configuration: storage told to fail: Get"
    );
}

#[tokio::test]
async fn the_log_tells_what_was_left_over_and_what_became_of_it() {
    let mut mount = fully_configured().await;
    mount.aws().deny("iam:PutUserPolicy");
    mount.aws().deny("iam:DeleteUser");
    mount.read_error("creds/full").await;
    let [user] = mount.aws().iam_users().try_into().unwrap();
    let user = user.user_name;

    let log = mount.log();
    let line = log
        .lines()
        .find(|line| line.contains("rollback tries again"));
    assert!(line.unwrap().contains(user.as_str()), "{log}");
    assert!(line.unwrap().contains("iam:DeleteUser"), "{log}");

    mount.recover().await;
    let log = mount.log();
    let line = log.lines().find(|line| line.contains("rolled back"));
    assert!(line.unwrap().contains(user.as_str()), "{log}");
    assert!(line.unwrap().contains("Removed"), "{log}");
}
