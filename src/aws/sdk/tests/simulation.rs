//! IAM's policy simulator, and AWS's clock.

use super::*;

#[tokio::test]
async fn the_policy_simulator_is_asked_and_each_resource_has_its_answer() {
    let results = "<EvaluationResults><member><EvalActionName>iam:GetUser</EvalActionName>\
         <EvalResourceName>arn:aws:iam::111122223333:user/a</EvalResourceName>\
         <EvalDecision>allowed</EvalDecision></member>\
         <member><EvalActionName>iam:CreateUser</EvalActionName>\
         <EvalDecision>explicitDeny</EvalDecision><OrganizationsDecisionDetail>\
         <AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>\
         <ResourceSpecificResults><member>\
         <EvalResourceName>arn:aws:iam::111122223333:user/b</EvalResourceName>\
         <EvalResourceDecision>implicitDeny</EvalResourceDecision>\
         <MissingContextValues><member>aws:SourceIp</member></MissingContextValues>\
         <PermissionsBoundaryDecisionDetail>\
         <AllowedByPermissionsBoundary>false</AllowedByPermissionsBoundary>\
         </PermissionsBoundaryDecisionDetail></member></ResourceSpecificResults></member>\
         </EvaluationResults><IsTruncated>false</IsTruncated>";
    let (server, iam) = iam_answering([Reply::result("SimulatePrincipalPolicy", results)]).await;
    let asked = SimulatePrincipalPolicy {
        policy_source_arn: arn("arn:aws:iam::111122223333:user/vault"),
        action_names: vec!["iam:GetUser".to_owned(), "iam:CreateUser".to_owned()],
        resource_arns: vec!["arn:aws:iam::111122223333:user/a".to_owned()],
        context: vec![ContextEntry::new("aws:username", "vault")],
    };

    let told = iam.simulate_principal_policy(&asked).await.unwrap();

    assert_eq!(told.len(), 2);
    assert_eq!(told[0].decision, Decision::Allowed);
    assert!(!told[0].organization_forbids && !told[0].boundary_forbids);
    assert_eq!(told[1].resource, "arn:aws:iam::111122223333:user/b");
    assert_eq!(told[1].decision, Decision::ImplicitDeny);
    assert_eq!(told[1].missing_context, ["aws:SourceIp"]);
    assert!(told[1].organization_forbids && told[1].boundary_forbids);
    let heard = &server.heard()[0];
    for (field, value) in [
        ("Action", "SimulatePrincipalPolicy"),
        ("PolicySourceArn", "arn:aws:iam::111122223333:user/vault"),
        ("ActionNames.member.2", "iam:CreateUser"),
        ("ResourceArns.member.1", "arn:aws:iam::111122223333:user/a"),
        ("ContextEntries.member.1.ContextKeyName", "aws:username"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", "vault"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
    ] {
        assert_eq!(heard.field(field), value, "{field}");
    }
}

#[tokio::test]
async fn the_date_of_an_answer_is_told_be_it_a_refusal_or_not() {
    const DATE: &str = "date: Fri, 02 Jan 2026 03:04:05 GMT\r\n";
    let shown = Some(time::macros::datetime!(2026-01-02 03:04:05 UTC));
    let expired = Reply::error(403, "SignatureDoesNotMatch", "Signature expired: …");
    let (_server, sts) = sts_answering([
        identity().with_head(DATE),
        identity(),
        expired.with_head(DATE),
        Reply::error(403, "InvalidClientTokenId", "…"),
    ])
    .await;

    assert_eq!(sts.get_caller_identity().await.unwrap().aws_time, shown);
    assert_eq!(sts.get_caller_identity().await.unwrap().aws_time, None);
    assert_eq!(
        sts.get_caller_identity().await.unwrap_err().aws_time(),
        shown
    );
    assert_eq!(
        sts.get_caller_identity().await.unwrap_err().aws_time(),
        None
    );
}
