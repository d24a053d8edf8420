//! A key has leaked: whose it is, and its end.

use serde_json::json;

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
