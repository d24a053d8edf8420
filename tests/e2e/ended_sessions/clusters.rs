//! Sessions that are revoked while the active node changes. A node that was deposed may still have a call
//! to AWS under way, which nobody can call back.

use std::thread;
use std::time::Duration;

use serde_json::json;
use vault_plugin_secrets_aws::aws::fake::{Fault, FaultRule};

use super::{denied, denied_by, names, read_with, revocable_role, revoke_prefix, token};
use crate::fixture::{SOON, fixture};
use crate::host::Host;
use crate::issued::Issued;
use crate::process::wait_for;
use crate::simulated::SimulatedAws;

/// How long a policy that a late call has overwritten may stay so: the engine looks again after 100
/// seconds, at the host's timer.
const VERIFIED: Duration = Duration::from_mins(4);

fn revoke(host: &Host, session: &Issued) {
    let asked = json!({ "lease_id": session.lease, "sync": true });
    host.write("sys/leases/revoke", &asked).succeeded();
}

#[test]
fn what_is_revoked_before_and_after_a_step_down_is_denied_though_a_late_call_overwrites_it() {
    let fixture = fixture!(clustered);
    let role = revocable_role(&fixture);
    let (first, second) = (&fixture.host, &fixture.others[0]);
    let sessions: Vec<_> = (0..6)
        .map(|number| Issued::by(if number % 2 == 0 { first } else { second }, "deploy"))
        .collect();
    let token = token(first, "short-lived");
    let of_token = Issued::of(&read_with(first, &token, "aws/creds/deploy"));
    revoke(first, &sessions[0]);

    let late = fixture.proxy.on("PutRolePolicy").hold_before();
    let asked = json!({ "lease_id": sessions[1].lease, "sync": true });
    thread::scope(|scope| {
        let revocation = scope.spawn(|| first.write("sys/leases/revoke", &asked));
        late.wait();
        let step_down = scope.spawn(|| first.step_down());
        // A node that steps down may first wait for what it has under way.
        wait_for("the other node to take over", 3 * SOON, || {
            (second.is_active() && second.read("aws/roles/deploy").is_success()).then_some(())
        });
        // What was asked of the first node is known to the second.
        revoke(second, &sessions[2]);
        assert_eq!(denied(&fixture.aws, &role), names(&sessions[..3]));
        drop(late);
        step_down.join().expect("the node answers");
        // Whether the first was answered in time, or not, it is ended.
        revocation.join().expect("the node answers");
    });
    wait_for("the late call to overwrite the policy", SOON, || {
        (denied(&fixture.aws, &role) == names(&sessions[..2])).then_some(())
    });

    revoke(second, &sessions[3]);
    assert_eq!(denied(&fixture.aws, &role), names(&sessions[..4]));
    second
        .write("auth/token/revoke", &json!({ "token": token }))
        .succeeded();
    let mut ended = sessions[..4].to_vec();
    ended.push(of_token);
    wait_for("the token's session to be denied", SOON, || {
        (denied(&fixture.aws, &role) == names(&ended)).then_some(())
    });

    revoke_prefix(second, "deploy", true);
    ended.extend_from_slice(&sessions[4..]);
    assert_eq!(denied(&fixture.aws, &role), names(&ended));
}

#[test]
fn what_a_killed_leaders_plugin_overwrites_is_denied_again_without_anybodys_asking() {
    let aws = SimulatedAws::start();
    let mut fixture = fixture!(clustered_by_three);
    aws.configure(&fixture.host, &json!({}));
    let sessions: Vec<_> = (0..4)
        .map(|_| Issued::by(&fixture.host, "assumed"))
        .collect();
    let [before, held, after, neighbour] = sessions.as_slice() else {
        panic!("four were opened");
    };
    let is_denied = |session: &Issued| aws.call(&session.keys) == Err("AccessDenied".to_owned());
    revoke(&fixture.host, before);
    let rule = FaultRule::on("iam:PutRolePolicy", Fault::HeldBefore);
    aws.aws.inject(rule.times(1));

    let command = ["lease", "revoke", "-sync", &held.lease];
    thread::scope(|scope| {
        let revocation = scope.spawn(|| fixture.host.cli(&command));
        wait_for("the call to stand still", SOON, || {
            let calls = aws.aws.calls_of("iam:PutRolePolicy");
            calls.iter().any(|call| call.fault.is_some()).then_some(())
        });
        fixture.host.kill();
        revocation.join().expect("the program ends").failed();
    });
    // Its plugin is not ended by this: it finds out by itself.
    let _killed = fixture.lose_first();
    let leader = fixture.leader();
    revoke(leader, after);
    assert!([before, held, after].into_iter().all(is_denied));
    aws.aws.heal();
    wait_for("the late call to overwrite the policy", SOON, || {
        aws.call(&after.keys).ok()
    });
    assert!(is_denied(before) && is_denied(held));

    wait_for("the session to be denied again", VERIFIED, || {
        is_denied(after).then_some(())
    });

    let document = aws.ended_of_role().expect("a policy");
    assert_eq!(denied_by(&document), names(&sessions[..3]));
    assert_eq!(aws.call(&neighbour.keys), Ok(()));
}
