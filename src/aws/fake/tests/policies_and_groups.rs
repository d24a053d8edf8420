use super::*;

#[tokio::test]
async fn a_user_takes_ten_managed_policies_that_exist() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    for n in 0..10 {
        let policy = aws.add_policy(&format!("p{n}"));
        iam.attach_user_policy(&name, &policy).await.unwrap();
        iam.attach_user_policy(&name, &policy).await.unwrap();
    }

    let eleventh = iam.attach_user_policy(&name, &arn(READ_ONLY)).await;
    let missing = arn("arn:aws:iam::aws:policy/NoSuchAccess");
    let unknown = iam.attach_user_policy(&name, &missing).await;

    assert_eq!(
        refusal(eleventh),
        "LimitExceeded: Cannot exceed quota for PoliciesPerUser: 10"
    );
    assert_eq!(
        refusal(unknown),
        "NoSuchEntity: Policy arn:aws:iam::aws:policy/NoSuchAccess does not exist or is not \
         attachable."
    );
    assert_eq!(
        iam.list_attached_user_policies(&name).await.unwrap().len(),
        10
    );
}

#[tokio::test]
async fn an_inline_policy_has_the_shape_of_a_policy() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    let policy = PolicyName::new("inline").unwrap();

    for document in [
        "",
        "{",
        "[1]",
        "{}",
        r#"{"Version":"2012-10-17","Statement":[]}"#,
        r#"{"Statement":{"Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
        r#"{"Version":"2026-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
    ] {
        let error = iam
            .put_user_policy(&name, &policy, document)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some("MalformedPolicyDocument"), "{document}");
    }
    iam.put_user_policy(&name, &policy, POLICY).await.unwrap();
    assert_eq!(iam.list_user_policies(&name).await.unwrap(), [policy]);
}

#[tokio::test]
async fn a_users_inline_policies_share_2048_characters() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    let long = POLICY.replace("s3:*", &"x".repeat(1900));

    let one = PolicyName::new("one").unwrap();
    iam.put_user_policy(&name, &one, &long).await.unwrap();
    let spaced = long.replace(':', " : ");
    iam.put_user_policy(&name, &one, &spaced).await.unwrap();
    let two = PolicyName::new("two").unwrap();
    let over = iam.put_user_policy(&name, &two, POLICY).await;

    assert_eq!(over.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn a_group_shows_its_members_and_policies() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    let group = aws.add_group("devs");
    aws.attach_group_policy("devs", &arn(READ_ONLY));
    aws.put_group_policy("devs", "inline", POLICY);
    let policy = PolicyName::new("inline").unwrap();

    iam.add_user_to_group(&group, &name).await.unwrap();

    assert_eq!(
        iam.list_groups_for_user(&name).await.unwrap().first(),
        Some(&group)
    );
    let attached = iam.list_attached_group_policies(&group).await.unwrap();
    assert_eq!(attached, [arn(READ_ONLY)]);
    assert_eq!(
        iam.list_group_policies(&group).await.unwrap().first(),
        Some(&policy)
    );
    assert_eq!(iam.get_group_policy(&group, &policy).await.unwrap(), POLICY);
    let missing = GroupName::new("ops").unwrap();
    assert_eq!(
        refusal(iam.add_user_to_group(&missing, &name).await),
        "NoSuchEntity: The group with name ops cannot be found."
    );
}
