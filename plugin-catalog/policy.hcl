# What scripts/register needs, and whoever does the same by hand. Written for the name `aws` in the
# catalog; nothing here allows to use a mount, or to see a secret.

# To see which versions there are.
path "sys/plugins/catalog" {
  capabilities = ["read"]
}

# To register one, to read what is registered, and to take away what the host cannot start.
path "sys/plugins/catalog/secret/aws" {
  capabilities = ["read", "update", "delete", "sudo"]
}

# To see the mounts, to make one, and to choose its version. Name the mounts instead of `*` if you like.
path "sys/mounts" {
  capabilities = ["read"]
}

path "sys/mounts/*" {
  capabilities = ["update"]
}

# To start what a mount's version says.
path "sys/plugins/reload/backend" {
  capabilities = ["update", "sudo"]
}

# The same in the namespaces of the root namespace, where there are any. Each level below takes one
# more `+/`.
path "sys/namespaces" {
  capabilities = ["list"]
}

path "+/sys/namespaces" {
  capabilities = ["list"]
}

path "+/sys/mounts" {
  capabilities = ["read"]
}

path "+/sys/mounts/*" {
  capabilities = ["update"]
}

path "+/sys/plugins/reload/backend" {
  capabilities = ["update", "sudo"]
}
