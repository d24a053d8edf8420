# Everything that the provider has for this engine, and what it does with it.
terraform {
  required_providers {
    vault = { source = "hashicorp/vault" }
  }
}

variable "access_key" {}
variable "secret_key" {
  sensitive = true
}
variable "secret_key_version" {
  default = 1
}
variable "endpoint" {}
variable "assumable" {}
variable "static_user" {}
# What is changed afterwards, one thing for each resource.
variable "changed" {
  default = false
}

locals {
  document = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["s3:*", "iam:GetUser"], Resource = "*" }]
  })
}

resource "vault_aws_secret_backend" "aws" {
  path                      = "aws"
  description               = var.changed ? "the AWS engine" : "AWS"
  region                    = "us-east-1"
  iam_endpoint              = var.endpoint
  sts_endpoint              = var.endpoint
  sts_region                = "us-east-1"
  username_template         = "{{ printf \"vault-%s-%s\" .PolicyName (random 20) }}"
  default_lease_ttl_seconds = var.changed ? 1800 : 3600
  max_lease_ttl_seconds     = 7200
  access_key                = var.access_key
  secret_key_wo             = var.secret_key
  secret_key_wo_version     = var.secret_key_version
  lifecycle {
    ignore_changes = [access_key, secret_key_wo_version]
  }
}

resource "vault_aws_secret_backend_role" "user" {
  backend                  = vault_aws_secret_backend.aws.path
  name                     = "user"
  credential_type          = "iam_user"
  policy_document          = local.document
  policy_arns              = var.changed ? [] : ["arn:aws:iam::aws:policy/AdministratorAccess"]
  permissions_boundary_arn = "arn:aws:iam::aws:policy/AdministratorAccess"
  user_path                = "/vault/"
  iam_tags                 = { team = "storage" }
}

resource "vault_aws_secret_backend_role" "deploy" {
  backend         = vault_aws_secret_backend.aws.path
  name            = "deploy"
  credential_type = "assumed_role"
  role_arns       = [var.assumable]
  default_sts_ttl = var.changed ? 1800 : 900
  max_sts_ttl     = 3600
  session_tags    = { team = "storage" }
  external_id     = "vault-7f3c"
}

resource "vault_aws_secret_backend_role" "federated" {
  backend         = vault_aws_secret_backend.aws.path
  name            = "federated"
  credential_type = "federation_token"
  policy_document = local.document
  policy_arns     = var.changed ? ["arn:aws:iam::aws:policy/ReadOnlyAccess"] : null
}

resource "vault_aws_secret_backend_role" "session" {
  backend         = vault_aws_secret_backend.aws.path
  name            = "session"
  credential_type = "session_token"
  # The provider wants a policy or a group; neither has an effect on this type.
  iam_groups = var.changed ? ["nobody", "no-one"] : ["nobody"]
}

resource "vault_aws_secret_backend_static_role" "ci" {
  backend         = vault_aws_secret_backend.aws.path
  name            = "ci"
  username        = var.static_user
  rotation_period = var.changed ? 172800 : 86400
}
