use serde_json::{Value, json};

use super::{DAY, HOUR};
use crate::aws::Arn;
use crate::aws::fake::{FakeAws, FakeRole, Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::{Error, Operation};

const OTHER: &str = "444455556666";

/// Another account with the user `jane` and an AWS role that lets the engine in.
fn other_account(mount: &TestMount) -> (FakeAws, Arn) {
    let other = mount.aws().in_account(OTHER);
    other.add_user("jane");
    let trust = FakeRole {
        external_id: Some("wedged".to_owned()),
        ..FakeRole::default()
    };
    let role = other.add_role("keeper", trust);
    (other, role)
}

fn of_jane(role: &Arn) -> Value {
    json!({
        "username": "jane",
        "rotation_period": "24h",
        "assume_role_arn": role.as_str(),
        "external_id": "wedged",
    })
}

#[tokio::test(start_paused = true)]
async fn a_user_of_another_account_is_taken_over_rotated_and_left() {
    let mount = TestMount::configured().await;
    let (other, role) = other_account(&mount);

    mount.write("static-roles/app", of_jane(&role)).await;
    let first = mount.working_key("app").await;
    let shown = mount.read("static-roles/app").await;
    assert_eq!(shown["assume_role_arn"], json!(role.as_str()));
    assert_eq!(shown["assume_role_session_name"], json!("vault-static-app"));
    assert_eq!(shown["external_id"], json!("wedged"));

    mount.clock().advance(DAY);
    mount.tick().await;
    let second = mount.working_key("app").await;
    let keys: Vec<_> = other
        .access_key_ids("jane")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(keys, [first, second]);

    mount.delete("static-roles/app").await;
    assert!(other.access_key_ids("jane").is_empty());
    assert!(mount.aws().access_key_ids("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_session_serves_many_rotations() {
    let mount = TestMount::configured().await;
    let (_, role) = other_account(&mount);
    mount.write("static-roles/app", of_jane(&role)).await;
    for _ in 0..3 {
        mount.write("static-roles/app/rotate", json!({})).await;
    }
    assert_eq!(mount.aws().calls_of("sts:AssumeRole").len(), 1);

    mount.clock().advance(2 * HOUR);
    mount.write("static-roles/app/rotate", json!({})).await;
    assert_eq!(mount.aws().calls_of("sts:AssumeRole").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn new_root_credentials_begin_a_new_session() {
    let mount = TestMount::configured().await;
    let (_, role) = other_account(&mount);
    mount.write("static-roles/app", of_jane(&role)).await;

    mount.write("config/rotate-root", json!({})).await;
    mount.clock().advance(2 * HOUR);
    mount.write("static-roles/app/rotate", json!({})).await;

    let assumed = mount.aws().calls_of("sts:AssumeRole");
    assert_eq!(assumed.len(), 2);
    assert_ne!(assumed[0].access_key_id, assumed[1].access_key_id);
}

#[tokio::test(start_paused = true)]
async fn the_session_is_named_as_the_operator_wishes() {
    let mount = TestMount::configured().await;
    let (_, role) = other_account(&mount);
    let mut data = of_jane(&role);
    data["assume_role_session_name"] = json!("key-keeper");

    mount.write("static-roles/app", data).await;

    let [session] = mount.aws().sessions().try_into().unwrap();
    assert!(
        session
            .arn
            .as_str()
            .ends_with("assumed-role/keeper/key-keeper"),
        "{}",
        session.arn
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_role_name_still_makes_the_name_of_a_session() {
    let mount = TestMount::configured().await;
    let (_, role) = other_account(&mount);
    let path = format!("static-roles/{}", "x".repeat(100));

    mount.write(&path, of_jane(&role)).await;

    let name = mount.read(&path).await["assume_role_session_name"].clone();
    assert_eq!(name.as_str().unwrap().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_let_the_engine_in_is_named_and_no_role_is_stored() {
    let mount = TestMount::configured().await;
    let (other, role) = other_account(&mount);
    let mut data = of_jane(&role);
    data["external_id"] = json!("wrong");

    let error = mount.write_error("static-roles/app", data).await;

    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    for word in ["AccessDenied", "sts:AssumeRole", role.as_str()] {
        assert!(error.to_string().contains(word), "{word:?} in: {error}");
    }
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert!(other.access_key_ids("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_way_into_the_account_can_change_and_the_user_cannot() {
    let mount = TestMount::configured().await;
    let (other, role) = other_account(&mount);
    mount.write("static-roles/app", of_jane(&role)).await;
    let second = other.add_role("second", FakeRole::default());

    let way = json!({"assume_role_arn": second.as_str(), "external_id": ""});
    mount.write("static-roles/app", way).await;
    assert_eq!(
        mount.read("static-roles/app").await["external_id"],
        json!("")
    );

    mount.aws().add_user("jane");
    let error = mount
        .write_error("static-roles/app", json!({"assume_role_arn": ""}))
        .await;
    assert!(error.to_string().contains("ID did not match"), "{error}");
    let stored = mount.read("static-roles/app").await;
    assert_eq!(stored["assume_role_arn"], json!(second.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_role_moves_into_the_engines_own_account_with_its_user() {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    let role = mount.aws().add_role("keeper", FakeRole::default());
    mount.write("static-roles/app", of_jane(&role)).await;

    mount
        .write("static-roles/app", json!({"assume_role_arn": ""}))
        .await;

    let shown = mount.read("static-roles/app").await;
    for field in ["assume_role_arn", "assume_role_session_name", "external_id"] {
        assert_eq!(shown[field], json!(""), "{field}");
    }
    mount.write("static-roles/app/rotate", json!({})).await;
    assert_eq!(mount.keys_of("jane").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_in_the_other_account_goes_too() {
    let mount = TestMount::configured().await;
    let (other, role) = other_account(&mount);
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));
    let data = of_jane(&role);
    drop(
        mount
            .send(Operation::Update, "static-roles/app", data)
            .await,
    );
    mount.aws().heal();
    assert_eq!(other.access_key_ids("jane").len(), 1);

    for _ in 0..6 {
        mount.tick().await;
    }

    assert!(other.access_key_ids("jane").is_empty());
    assert_eq!(mount.wal(), Vec::<String>::new());
}
