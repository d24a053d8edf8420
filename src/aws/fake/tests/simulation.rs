use super::*;

const GET: &str = "iam:GetUser";

fn asked(aws: &FakeAws, source: &str, context: &[(&str, &str)]) -> SimulatePrincipalPolicy {
    let context = context
        .iter()
        .map(|(key, value)| ContextEntry::new(*key, *value));
    SimulatePrincipalPolicy {
        policy_source_arn: aws.arn("iam", source),
        action_names: vec![GET.to_owned()],
        resource_arns: vec![aws.arn("iam", "user/team/x").to_string()],
        context: context.collect(),
    }
}

#[tokio::test]
async fn the_simulator_judges_by_the_documents_of_a_user() {
    let Scene { aws, iam, .. } = scene();
    aws.add_user("alice");
    let account = FakeAws::HOME_ACCOUNT;
    let statement = |effect: &str, action: &str, resource: &str, condition: &str| {
        format!(
            r#"{{"Statement":[{{"Effect":"{effect}","Action":["{action}"],"Resource":"arn:aws:iam::{account}:{resource}"{condition}}}]}}"#
        )
    };
    let bounded = r#","Condition":{"StringEquals":{"iam:PermissionsBoundary":"b"}}"#;
    for (document, context, decision) in [
        (
            statement("Allow", "iam:getuser", "user/team/?", ""),
            &[][..],
            Decision::Allowed,
        ),
        (
            statement("Allow", "iam:Get*", "user/*", ""),
            &[],
            Decision::Allowed,
        ),
        (
            statement("Allow", "iam:Get*", "group/*", ""),
            &[],
            Decision::ImplicitDeny,
        ),
        (
            statement("Allow", "iam:Put*", "user/*", ""),
            &[],
            Decision::ImplicitDeny,
        ),
        (statement("Deny", "*", "*", ""), &[], Decision::ExplicitDeny),
        (
            statement("Allow", "*", "user/team/${aws:username}", ""),
            &[("aws:username", "x")],
            Decision::Allowed,
        ),
        (
            statement("Allow", "*", "user/team/${aws:username}", ""),
            &[("aws:username", "y")],
            Decision::ImplicitDeny,
        ),
        (
            statement("Allow", "*", "*", bounded),
            &[("iam:PermissionsBoundary", "b")],
            Decision::Allowed,
        ),
        (
            statement("Allow", "*", "*", bounded),
            &[("iam:PermissionsBoundary", "c")],
            Decision::ImplicitDeny,
        ),
    ] {
        aws.put_policy("alice", "p", &document);

        let told = iam
            .simulate_principal_policy(&asked(&aws, "user/alice", context))
            .await;

        assert_eq!(
            told.unwrap()[0].decision,
            decision,
            "{document} {context:?}"
        );
    }
    aws.put_policy("alice", "p", &statement("Allow", "*", "*", bounded));
    let told = iam
        .simulate_principal_policy(&asked(&aws, "user/alice", &[]))
        .await;
    assert_eq!(
        told.unwrap()[0].missing_context,
        ["iam:PermissionsBoundary"]
    );
}

#[tokio::test]
async fn whoever_has_no_policy_may_do_what_no_test_forbids_and_strangers_are_unknown() {
    let Scene { aws, iam, .. } = scene();
    aws.add_role("deploy", FakeRole::default());
    for source in ["user/administrator", "role/deploy", "role/path/deploy"] {
        let told = iam
            .simulate_principal_policy(&asked(&aws, source, &[]))
            .await;
        assert_eq!(told.unwrap()[0].decision, Decision::Allowed, "{source}");
    }
    aws.deny(GET);
    let told = iam
        .simulate_principal_policy(&asked(&aws, "role/deploy", &[]))
        .await;
    assert_eq!(told.unwrap()[0].decision, Decision::ImplicitDeny);

    for (source, code) in [
        ("user/nobody", "NoSuchEntity"),
        ("user/path/administrator", "NoSuchEntity"),
        ("role/nobody", "NoSuchEntity"),
        ("group/readers", "InvalidInput"),
    ] {
        let refused = iam
            .simulate_principal_policy(&asked(&aws, source, &[]))
            .await;
        assert_eq!(refused.unwrap_err().code(), Some(code), "{source}");
    }
}

#[tokio::test]
async fn a_clock_that_is_more_than_five_minutes_off_is_refused_and_aws_tells_its_own() {
    let Scene {
        aws, sts, clock, ..
    } = scene();
    for (ahead, taken) in [(4, true), (-5, true), (6, false), (-6, false)] {
        aws.set_clock_ahead(time::Duration::minutes(ahead));
        let shown = Some(clock.now() + time::Duration::minutes(ahead));
        match sts.get_caller_identity().await {
            Ok(identity) => assert!(taken && identity.aws_time == shown, "{ahead}"),
            Err(error) => assert!(!taken && error.aws_time() == shown, "{ahead}: {error}"),
        }
    }
}
