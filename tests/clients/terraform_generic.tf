variable "other_static_user" {}

# For what the provider sends to Enterprise servers only.
resource "vault_generic_endpoint" "single" {
  path                 = "${vault_aws_secret_backend.aws.path}/static-roles/single"
  ignore_absent_fields = true
  data_json = jsonencode({
    username        = var.other_static_user
    rotation_period = var.changed ? 172800 : 86400
    single_key      = true
  })
}

resource "vault_generic_endpoint" "lease" {
  path                 = "${vault_aws_secret_backend.aws.path}/config/lease"
  disable_delete       = true
  ignore_absent_fields = true
  data_json            = jsonencode({ lease = var.changed ? "20m0s" : "30m0s", lease_max = "12h0m0s" })
}
