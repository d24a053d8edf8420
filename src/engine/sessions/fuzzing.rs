//! The policy of ended sessions, as AWS returns it and as it follows from what is stored; and whose
//! sessions they are.

use serde_json::{Value, json};

use super::denials::{Denials, GRACE};
use super::policy::{Plan, Policy};
use super::written::adopt;
use super::{Holder, alone};
use crate::aws::{FederatedUserName, RoleSessionName};

/// Stands between a policy document and what is stored.
const NEXT: char = '\u{1e}';

/// Their policies are not alike.
const HOLDERS: [&str; 2] = [
    "arn:aws:iam::111122223333:role/deploy",
    "arn:aws:iam::111122223333:user/vault",
];

/// A document as AWS returns it, and maybe what is stored of the sessions that must be denied.
pub(in crate::engine) fn denials(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (document, stored) = text.split_once(NEXT).unwrap_or((text, ""));
    let stored: Denials = serde_json::from_str(stored).unwrap_or_default();
    for arn in HOLDERS {
        let Ok(holder) = Holder::of(arn) else {
            panic!("no holder: {arn}");
        };
        let present = read(document, &holder).unwrap_or_default();
        become_a_policy(stored.clone(), &present, &holder);
    }
}

/// What a document denies, if it is ours: with anything more or less it is somebody else's.
fn read(document: &str, holder: &Holder) -> Option<Policy> {
    let policy = Policy::read(document, holder)?;
    assert!(!policy.is_empty(), "denies nothing: {document}");
    let ours: Value = serde_json::from_str(document).unwrap_or_default();
    assert_eq!(
        Policy::read(&ours.to_string(), holder).as_ref(),
        Some(&policy)
    );
    for place in [
        "",
        "/Statement/0",
        "/Statement/0/Condition",
        "/Statement/0/Condition/StringEquals",
        "/Statement/0/Condition/DateLessThan",
    ] {
        let Some(Value::Object(object)) = ours.pointer(place) else {
            continue;
        };
        let with = |change: &dyn Fn(&mut Value)| {
            let mut other = ours.clone();
            other.pointer_mut(place).into_iter().for_each(change);
            other.to_string()
        };
        let more = with(&|object| object["Note"] = json!("by hand"));
        assert_eq!(Policy::read(&more, holder), None, "{more}");
        for key in object.keys() {
            let less = with(&|object| {
                object.as_object_mut().map(|object| object.remove(key));
            });
            assert_eq!(Policy::read(&less, holder), None, "{less}");
            let other = with(&|object| object[key] = json!("Allow"));
            assert_eq!(Policy::read(&other, holder), None, "{other}");
        }
    }
    Some(policy)
}

/// What is stored, and the policy that AWS has, as a look at it compares them.
fn become_a_policy(mut denials: Denials, present: &Policy, holder: &Holder) {
    let now = denials.changed_at;
    adopt(&mut denials, present, holder, now);
    assert!(!adopt(&mut denials, present, holder, now), "adopted twice");
    for own_role in [false, true] {
        let plan = planned(&denials, present, holder, own_role);
        let mut cut = denials.clone();
        if let Some(cut_off) = plan.cut_off {
            cut.cut(cut_off);
        }
        let again = planned(&cut, &plan.policy, holder, own_role);
        assert!(
            again.policy.user_ids.is_superset(&plan.policy.user_ids),
            "{plan:?} became {again:?}"
        );
    }
    let next = denials.next_look(now);
    assert!(next <= now + 60 * 60, "not before {next}");
    let is_over = denials.is_over(now);
    denials.forget_ended(now);
    assert_eq!(is_over, denials.is_empty());
}

/// The plan, in which nothing is lost that must be denied.
fn planned(denials: &Denials, present: &Policy, holder: &Holder, own_role: bool) -> Plan {
    let now = denials.changed_at;
    let room = holder.room().saturating_sub(denials.others);
    let plan = Plan::of(denials, present, holder, room, own_role, now);
    let document = plan.policy.document(holder);
    if !plan.policy.is_empty() {
        let read = Policy::read(&document, holder);
        assert_eq!(read.as_ref(), Some(&plan.policy), "{document}");
    }
    let only_the_time = Policy {
        before: plan.policy.before.or(Some(now)),
        ..Policy::default()
    };
    let fits = |policy: &Policy| policy.is_empty() || policy.document(holder).len() <= room;
    assert!(
        fits(&plan.policy) || plan.policy == only_the_time,
        "{room} characters have room: {document}"
    );
    let known = denials
        .cut_off
        .filter(|known| known.expires_at + GRACE > now);
    let mut alive = denials.sessions.iter().filter(|session| {
        !session.has_ended(now) && !known.is_some_and(|known| known.covers(session))
    });
    let may_cut_off = !own_role && alive.any(|session| session.may_cut_off);
    assert!(!may_cut_off || plan.left_out.is_empty() || !fits(&only_the_time));
    for session in &denials.sessions {
        let id = &session.user_id;
        let is_cut_off = plan.cut_off.is_some_and(|cut_off| cut_off.covers(session));
        let is_denied = plan.policy.user_ids.contains(id) || is_cut_off;
        let is_left_out = plan.left_out.contains(id);
        assert!(
            is_denied || is_left_out || session.has_ended(now),
            "{id:?} is lost"
        );
        // Whoever is denied stays so.
        let stays = present.before == plan.policy.before && fits(present);
        let was_denied = present.user_ids.contains(id) && stays;
        assert!(!was_denied || !is_left_out, "{id:?} is denied no more");
    }
    for id in &plan.policy.user_ids {
        assert!(denials.has(id), "{id:?} is denied for nothing");
    }
    plan
}

/// A text as the holder of sessions, and as what the name of one is made of.
pub(in crate::engine) fn names(text: &str) {
    match Holder::of(text) {
        Ok(holder) => {
            assert_eq!(holder.arn().as_str(), text);
            // Else it would be listed as a folder.
            assert!(!holder.id().contains('/'), "{}", holder.id());
            assert_eq!(Holder::of(holder.arn().as_str()).ok(), Some(holder));
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 2000, "{} bytes", told.len());
        }
    }
    if RoleSessionName::new(text).is_ok() {
        let of_role = alone(text, 64).map(RoleSessionName::new);
        assert!(matches!(of_role, Ok(Ok(_))), "{of_role:?}");
        let federated = alone(text, 32).map(FederatedUserName::new);
        assert!(matches!(federated, Ok(Ok(_))), "{federated:?}");
    }
}
