# Credentials past the state: only a write-only argument takes what is ephemeral.
terraform {
  required_providers {
    vault = { source = "hashicorp/vault" }
  }
}

ephemeral "vault_aws_access_credentials" "deploy" {
  mount = "aws"
  role  = "deploy"
  type  = "sts"
}

ephemeral "vault_aws_static_access_credentials" "ci" {
  mount = "aws"
  name  = "ci"
}

resource "vault_kv_secret_v2" "copy" {
  mount = "secret"
  name  = "copy"
  data_json_wo = jsonencode({
    session = ephemeral.vault_aws_access_credentials.deploy.access_key
    static  = ephemeral.vault_aws_static_access_credentials.ci.access_key
  })
  data_json_wo_version = 1
}
