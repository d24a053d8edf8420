//! IAM's rules for what else people give to a user: a password, devices, keys for other services.

use super::world::{Caller, Refused, World};
use crate::aws::{
    CertificateId, MfaSerialNumber, ServiceSpecificCredentialId, SshPublicKeyId, UserName,
};

impl World {
    pub(super) fn delete_login_profile(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        if !std::mem::take(&mut user.has_login_profile) {
            return Err(Refused::not_found(format!(
                "Login Profile for User {user_name} cannot be found."
            )));
        }
        Ok(())
    }

    pub(super) fn list_mfa_devices(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<MfaSerialNumber>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user.mfa_devices.keys().cloned().collect())
    }

    pub(super) fn deactivate_mfa_device(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        serial: &MfaSerialNumber,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        if user.mfa_devices.remove(serial).is_none() {
            return Err(Refused::not_found(format!(
                "MFA Device {serial} was not found for user {user_name}."
            )));
        }
        if serial.is_virtual() {
            self.account(&caller.account)
                .free_mfa_devices
                .insert(serial.clone());
        }
        Ok(())
    }

    pub(super) fn delete_virtual_mfa_device(
        &mut self,
        caller: &Caller,
        serial: &MfaSerialNumber,
    ) -> Result<(), Refused> {
        let account = self.account(&caller.account);
        if account.free_mfa_devices.remove(serial) {
            return Ok(());
        }
        let assigned = account
            .users
            .values()
            .any(|user| user.mfa_devices.contains_key(serial));
        Err(if assigned {
            Refused::new(
                "DeleteConflict",
                "MFA VirtualDevice in use. Must deactivate first.",
            )
        } else {
            Refused::not_found(format!("VirtualMFADevice {serial} was not found."))
        })
    }

    pub(super) fn list_ssh_public_keys(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<SshPublicKeyId>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user.ssh_public_keys.iter().cloned().collect())
    }

    pub(super) fn delete_ssh_public_key(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        id: &SshPublicKeyId,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        found(
            user.ssh_public_keys.remove(id),
            "SSH Public Key",
            id.as_str(),
        )
    }

    pub(super) fn list_signing_certificates(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<CertificateId>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user.signing_certificates.iter().cloned().collect())
    }

    pub(super) fn delete_signing_certificate(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        id: &CertificateId,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        let removed = user.signing_certificates.remove(id);
        found(removed, "Certificate", id.as_str())
    }

    pub(super) fn list_service_specific_credentials(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<ServiceSpecificCredentialId>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user.service_specific_credentials.iter().cloned().collect())
    }

    pub(super) fn delete_service_specific_credential(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        id: &ServiceSpecificCredentialId,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        let removed = user.service_specific_credentials.remove(id);
        found(removed, "Service specific credential", id.as_str())
    }
}

fn found(removed: bool, what: &str, id: &str) -> Result<(), Refused> {
    if removed {
        Ok(())
    } else {
        Err(Refused::not_found(format!(
            "The {what} with id {id} cannot be found."
        )))
    }
}
