//! IAM's rules for groups.

use super::world::{Caller, Group, Refused, World};
use crate::aws::{Arn, GroupName, PolicyName, UserName};

impl World {
    pub(super) fn add_user_to_group(
        &mut self,
        caller: &Caller,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Refused> {
        const QUOTA: usize = 10;
        self.group(&caller.account, group_name)?;
        let groups = &mut self.user(&caller.account, user_name)?.groups;
        if !groups.contains(group_name) && groups.len() >= QUOTA {
            return Err(Refused::limit(format!(
                "Cannot exceed quota for GroupsPerUser: {QUOTA}"
            )));
        }
        groups.insert(group_name.clone());
        Ok(())
    }

    pub(super) fn remove_user_from_group(
        &mut self,
        caller: &Caller,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Refused> {
        self.group(&caller.account, group_name)?;
        // AWS says nothing when the user was no member.
        self.user(&caller.account, user_name)?
            .groups
            .remove(group_name);
        Ok(())
    }

    pub(super) fn list_groups_for_user(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<GroupName>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user.groups.iter().cloned().collect())
    }

    pub(super) fn list_attached_group_policies(
        &mut self,
        caller: &Caller,
        group_name: &GroupName,
    ) -> Result<Vec<Arn>, Refused> {
        let group = self.group(&caller.account, group_name)?;
        Ok(group.managed_policies.clone())
    }

    pub(super) fn list_group_policies(
        &mut self,
        caller: &Caller,
        group_name: &GroupName,
    ) -> Result<Vec<PolicyName>, Refused> {
        let group = self.group(&caller.account, group_name)?;
        Ok(group.inline_policies.keys().cloned().collect())
    }

    pub(super) fn get_group_policy(
        &mut self,
        caller: &Caller,
        group_name: &GroupName,
        policy_name: &PolicyName,
    ) -> Result<String, Refused> {
        let group = self.group(&caller.account, group_name)?;
        group
            .inline_policies
            .get(policy_name)
            .cloned()
            .ok_or_else(|| {
                Refused::not_found(format!(
                    "The group policy with name {policy_name} cannot be found."
                ))
            })
    }

    pub(super) fn group(&mut self, account: &str, name: &GroupName) -> Result<&mut Group, Refused> {
        self.account(account)
            .groups
            .get_mut(&name.as_str().to_lowercase())
            .ok_or_else(|| {
                Refused::not_found(format!("The group with name {name} cannot be found."))
            })
    }
}
