//! Sealing and unsealing the host.

use serde_json::json;

use crate::fixture::{SOON, fixture};
use crate::process::wait_for;

#[test]
fn a_sealed_host_ends_the_process_and_an_unsealed_one_finds_everything_again() {
    let fixture = fixture!(sealable);
    fixture.deploy_role();
    let before = fixture.generate("deploy");
    fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();

    fixture.host.seal();

    wait_for("the process to end", SOON, || {
        fixture.host.plugin_processes().is_empty().then_some(())
    });
    assert_eq!(before.keys.list_users(), Ok(()));

    fixture.host.unseal();

    fixture.generate("deploy");
    fixture.revoke(&before.lease);
    assert!(!fixture.aws.has_user(&before.user));
}
