//! A key has leaked: whose it is, and its end.

use serde_json::{Value, json};

use crate::fixture::fixture;

#[test]
fn a_leaked_key_names_its_holder_and_dies_by_one_command_without_its_lease() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let leaked = fixture.generate("deploy");
    let other = fixture.generate("deploy");
    let host = &fixture.host;

    let found = host
        .read(&format!("aws/issued/{}", leaked.keys.access_key))
        .succeeded();
    assert_eq!(found["username"], leaked.user);
    assert_eq!(found["role"], "deploy");
    assert_eq!(found["display_name"], "token");
    let listed = host.list("aws/issued").succeeded();
    let mut users = [&leaked.user, &other.user];
    users.sort();
    assert_eq!(listed["keys"], json!(users));

    host.write(
        &format!("aws/issued/{}/revoke", leaked.keys.access_key),
        &json!({}),
    )
    .succeeded();

    assert!(leaked.keys.identity().is_err());
    assert!(other.keys.identity().is_ok());
    host.read(&format!("aws/issued/{}", leaked.user))
        .refused(404);
    host.write(
        "sys/leases/revoke",
        &json!({ "lease_id": leaked.lease, "sync": true }),
    )
    .succeeded();
    assert!(other.keys.identity().is_ok());
}

#[test]
fn a_command_line_tells_for_each_whose_it_is_and_in_pages() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let mut users = [
        fixture.generate("deploy").user,
        fixture.generate("deploy").user,
    ];
    users.sort();
    let host = &fixture.host;

    let table = host.cli(&["list", "-detailed", "aws/issued"]).succeeded();

    for user in &users {
        let row = table.lines().find(|row| row.starts_with(user.as_str()));
        let columns: Vec<_> = row.expect("a row").split_whitespace().collect();
        assert!(columns.contains(&"deploy"), "{table}");
        assert!(columns.contains(&"token"), "{table}");
    }
    let after = format!("after={}", users[0]);
    let page = host
        .cli(&[
            "read",
            "-format=json",
            "aws/issued",
            "list=true",
            "limit=1",
            &after,
        ])
        .succeeded();
    let page: Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!(page["data"]["keys"], json!([users[1]]));
    assert_eq!(page["data"]["key_info"][&users[1]]["role"], "deploy");
}

#[test]
fn a_disabled_role_gives_no_credentials_and_what_it_gave_lives_on() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held = fixture.generate("deploy");
    let host = &fixture.host;

    let answer = host
        .write("aws/roles/deploy", &json!({ "disabled": true }))
        .body();
    let warning = answer["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("live on until"), "{warning}");

    let refusal = host.read("aws/creds/deploy").refused(400);
    assert!(refusal.contains("disabled=false"), "{refusal}");
    assert!(held.keys.identity().is_ok());
    host.write("aws/roles/deploy", &json!({ "disabled": false }))
        .succeeded();
    fixture.generate("deploy");
}
