# Credentials in the state: a new user and a new session with each plan.
terraform {
  required_providers {
    vault = { source = "hashicorp/vault" }
  }
}

data "vault_aws_access_credentials" "user" {
  backend = "aws"
  role    = "user"
  type    = "creds"
  region  = "us-east-1"
}

data "vault_aws_access_credentials" "deploy" {
  backend = "aws"
  role    = "deploy"
  type    = "sts"
  ttl     = "20m"
  region  = "us-east-1"
}

data "vault_aws_static_access_credentials" "ci" {
  backend = "aws"
  name    = "ci"
}

output "keys" {
  sensitive = true
  value = {
    user = [
      data.vault_aws_access_credentials.user.access_key,
      data.vault_aws_access_credentials.user.secret_key,
    ]
    deploy = [
      data.vault_aws_access_credentials.deploy.access_key,
      data.vault_aws_access_credentials.deploy.secret_key,
      data.vault_aws_access_credentials.deploy.security_token,
    ]
    static = [
      data.vault_aws_static_access_credentials.ci.access_key,
      data.vault_aws_static_access_credentials.ci.secret_key,
    ]
  }
}
