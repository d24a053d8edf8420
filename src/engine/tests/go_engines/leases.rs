//! Credentials, leases and unfinished work.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ENGINES, form, leases, parsed, stored, taken_over_and_configured};
use crate::aws::fake::{FakeAws, Fault};
use crate::aws::{Arn, GroupName, PolicyName};
use crate::clock::Clock;
use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::{JsonObject, LeaseOptions, Operation, Secret};

#[tokio::test]
async fn roles_of_the_go_engines_give_credentials() {
    for engine in ENGINES {
        let mount = taken_over_and_configured(engine).await;
        let device = mount.aws().add_mfa_device(FakeAws::ADMIN, "123456");
        for role in mount.list("roles").await {
            let stored = mount.read(&format!("roles/{role}")).await;
            let path = match stored["credential_type"].as_str().unwrap() {
                "" => continue,
                "assumed_role" => format!("sts/{role}"),
                _ => format!("creds/{role}"),
            };
            let mut data = json!({});
            if stored["mfa_serial_number"] == json!(device.as_str()) {
                data["mfa_code"] = json!("123456");
            }

            let lease = mount.generate_with(&path, data).await;

            mount.revoke(&lease).await.unwrap();
        }
        assert!(mount.aws().iam_users().is_empty(), "{engine}");
    }
}

/// A user as the Go engines make them, with all that the engines may attach.
fn add_user(mount: &TestMount, name: &str) {
    mount.aws().add_user(name);
    mount.aws().add_access_key(name);
    mount.aws().change_user(name, |user| {
        user.managed_policies.push(Arn::new(READ_ONLY).unwrap());
        user.inline_policies
            .insert(PolicyName::new("user").unwrap(), "{}".to_owned());
        user.groups.insert(GroupName::new("developers").unwrap());
    });
}

/// The lease that the host keeps.
fn lease(mount: &TestMount, internal_data: JsonObject) -> Lease {
    Lease {
        path: "creds/x".to_owned(),
        data: JsonObject::new(),
        secret: Secret {
            internal_data,
            lease: LeaseOptions {
                issue_time: Some(mount.clock().now()),
                ..LeaseOptions::default()
            },
            lease_id: "aws/creds/x/id".to_owned(),
        },
    }
}

#[tokio::test]
async fn leases_of_the_go_engines_are_renewed_and_revoked() {
    for engine in ENGINES {
        let mount = taken_over_and_configured(engine).await;
        for (name, internal_data) in leases(engine) {
            let session = internal_data.get("is_sts") == Some(&json!(true));
            if !session {
                add_user(&mount, internal_data["username"].as_str().unwrap());
            }
            let lease = lease(&mount, internal_data.clone());
            mount.aws().forget_calls();

            let renewed = mount.renew(&lease).await.unwrap();
            assert_eq!(mount.aws().operations(), [""; 0], "{engine} {name}");
            if session {
                assert_eq!(renewed, None);
            } else {
                // The host keeps what is answered, so nothing of it may be lost.
                let kept = renewed.unwrap().secret.unwrap().internal_data;
                assert_eq!(kept, internal_data, "{engine} {name}");
            }

            mount.revoke(&lease).await.unwrap();
            assert!(mount.aws().iam_users().is_empty(), "{engine} {name}");
            assert_eq!(
                mount.aws().operations().is_empty(),
                session,
                "{engine} {name}"
            );
        }
    }
}

#[tokio::test]
async fn unfinished_work_of_the_go_engines_is_rolled_back() {
    for engine in ["vault-1.21", "openbao-0.3"] {
        let mount = taken_over_and_configured(engine).await;
        let [entry] = mount.wal().try_into().unwrap();
        let name = stored(&mount, &entry)["data"]["UserName"].clone();
        add_user(&mount, name.as_str().unwrap());
        mount.roll_back().await.unwrap();
        assert_eq!(mount.wal(), [entry], "{engine}: too young");
        mount.clock().advance(Duration::from_mins(6));

        mount.roll_back().await.unwrap();

        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn our_unfinished_work_can_be_rolled_back_by_the_go_engines() {
    let mount = taken_over_and_configured("vault-1.21").await;
    let [golden] = mount.wal().try_into().unwrap();
    let golden = mount.storage().text(&golden).unwrap();
    mount
        .storage()
        .set_text("role/x", r#"{"credential_types":["iam_user"]}"#);
    mount.aws().die_after(1, Fault::HeldBefore);
    let request = mount.request(Operation::Read, "creds/x", json!({}));
    let backend = mount.backend();
    let dying = backend.handle_request(request);

    let dead = tokio::time::timeout(Duration::from_millis(50), dying).await;

    assert!(dead.is_err());
    let [user] = mount.aws().iam_users().try_into().unwrap();
    let ours = mount
        .wal()
        .into_iter()
        .map(|key| mount.storage().text(&key).unwrap());
    let ours: Vec<_> = ours.filter(|text| *text != golden).collect();
    assert_eq!(ours.len(), 1);
    let ours = parsed(&ours[0]);
    assert_eq!(ours["data"]["UserName"], json!(user.user_name.as_str()));
    assert_eq!(ours["created_at"], json!(1_767_323_045));
    // What the Go engines ignore.
    let mut known = ours.clone();
    known.as_object_mut().unwrap().remove("life");
    for key in ["making", "account"] {
        known["data"].as_object_mut().unwrap().remove(key);
    }
    assert_eq!(form(&known), form(&parsed(&golden)));
}

#[tokio::test]
async fn our_leases_can_be_revoked_by_the_go_engines() {
    let mount = taken_over_and_configured("vault-1.21").await;
    let golden = leases("vault-1.21");
    for (name, role) in [
        ("user", "user"),
        ("federated", "upgraded"),
        ("assumed", "assumed"),
    ] {
        let path = if name == "user" { "creds" } else { "sts" };

        let lease = mount.generate(&format!("{path}/{role}")).await;

        let ours = Value::Object(lease.secret.internal_data);
        let go = Value::Object(golden[name].clone());
        for (key, kind) in form(&go) {
            assert_eq!(form(&ours).get(&key), Some(&kind), "{name} {key}");
        }
        assert_eq!(ours["secret_type"], go["secret_type"]);
        assert_eq!(ours["is_sts"], go["is_sts"]);
        if name == "user" {
            assert_eq!(form(&ours["policy"]).len(), form(&go["policy"]).len());
        }
    }
}
