//! IAM's rules for the inline policies of roles.

use super::policies::{check_document, put};
use super::scene::FakeRole;
use super::world::{Caller, Refused, World};
use crate::aws::{PolicyName, RoleName};

impl World {
    pub(super) fn put_role_policy(
        &mut self,
        caller: &Caller,
        role_name: &RoleName,
        policy_name: &PolicyName,
        document: &str,
    ) -> Result<(), Refused> {
        const QUOTA: usize = 10_240;
        let role = self.role_named(&caller.account, role_name)?;
        check_document(document)?;
        if !put(&mut role.inline_policies, policy_name, document, QUOTA) {
            return Err(Refused::limit(format!(
                "Maximum policy size of {QUOTA} bytes exceeded for role {role_name}"
            )));
        }
        Ok(())
    }

    pub(super) fn get_role_policy(
        &mut self,
        caller: &Caller,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<String, Refused> {
        let role = self.role_named(&caller.account, role_name)?;
        let document = role.inline_policies.get(policy_name).cloned();
        document.ok_or_else(|| no_policy(policy_name))
    }

    pub(super) fn delete_role_policy(
        &mut self,
        caller: &Caller,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<(), Refused> {
        let role = self.role_named(&caller.account, role_name)?;
        let removed = role.inline_policies.remove(policy_name);
        removed.map(drop).ok_or_else(|| no_policy(policy_name))
    }

    pub(super) fn list_role_policies(
        &mut self,
        caller: &Caller,
        role_name: &RoleName,
    ) -> Result<Vec<PolicyName>, Refused> {
        let role = self.role_named(&caller.account, role_name)?;
        Ok(role.inline_policies.keys().cloned().collect())
    }

    /// By the name alone, which is unique in an account whatever the path.
    fn role_named(&mut self, account: &str, name: &RoleName) -> Result<&mut FakeRole, Refused> {
        let roles = &mut self.account(account).roles;
        roles
            .iter_mut()
            .find(|(path, _)| path.rsplit('/').next() == Some(name.as_str()))
            .map(|(_, role)| role)
            .ok_or_else(|| {
                Refused::not_found(format!("The role with name {name} cannot be found."))
            })
    }
}

fn no_policy(name: &PolicyName) -> Refused {
    Refused::not_found(format!("The role policy with name {name} cannot be found."))
}
