"""All that hvac can do with an AWS secrets engine, with hvac's own defaults.

Run by clients.rs, which gives the server's address and token, the mount, the root's key pair, the
AWS endpoint, and the ARN of a role that the root may assume. Ends with a failed assertion or prints
the lease ids of all that it generated.
"""

import sys

import hvac

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"

address, token, mount, access_key, secret_key, endpoint, role_arn = sys.argv[1:]
client = hvac.Client(url=address, token=token)
aws = client.secrets.aws

# max_retries=None, which hvac sends as null.
answer = aws.configure_root_iam_credentials(
    access_key, secret_key, region="us-east-1", iam_endpoint=endpoint, sts_endpoint=endpoint,
    mount_point=mount,
)
assert answer.status_code == 204, answer.text
root = client.read(f"{mount}/config/root")["data"]
assert root["access_key"] == access_key and root["max_retries"] == -1, root
assert root["iam_endpoint"] == endpoint and root["sts_endpoint"] == endpoint, root

rotated = aws.rotate_root_iam_credentials(mount_point=mount)["data"]["access_key"]
assert rotated != access_key
assert client.read(f"{mount}/config/root")["data"]["access_key"] == rotated

aws.configure_lease("30m", "12h", mount_point=mount)
lease = aws.read_lease_config(mount_point=mount)["data"]
assert lease == {"lease": "30m0s", "lease_max": "12h0m0s"}, lease

try:
    aws.list_roles(mount_point=mount)
    raise AssertionError("an empty list is a 404")
except hvac.exceptions.InvalidPath:
    pass
document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
aws.create_or_update_role(
    "user", "iam_user", policy_document=document, policy_arns=[READ_ONLY],
    iam_tags=["team=storage"], mount_point=mount,
)
aws.create_or_update_role(
    "assumed", "assumed_role", role_arns=[role_arn], default_sts_ttl="15m", max_sts_ttl="1h",
    mount_point=mount,
)
aws.create_or_update_role(
    "federated", "federation_token", policy_document=document, default_sts_ttl=900,
    mount_point=mount,
)
aws.create_or_update_role(
    "old", "iam_user", policy_arns=[READ_ONLY], legacy_params=True, mount_point=mount
)
assert aws.list_roles(mount_point=mount)["data"]["keys"] == ["assumed", "federated", "old", "user"]
user = aws.read_role("user", mount_point=mount)["data"]
assert user["credential_type"] == "iam_user", user
assert user["policy_arns"] == [READ_ONLY] and user["iam_tags"] == {"team": "storage"}, user
assert aws.read_role("assumed", mount_point=mount)["data"]["default_sts_ttl"] == 900
assert aws.read_role("old", mount_point=mount)["data"]["policy_arns"] == [READ_ONLY]


# A write that has something to say answers with it, in place of nothing.
answer = client.write_data(f"{mount}/roles/user", data={"permission_boundary_arn": READ_ONLY})
assert "permissions_boundary_arn was probably meant" in answer["warnings"][1], answer
# The call whose answer hvac's users look at most bears it as well.
answer = aws.configure_lease("1000h", "2000h", mount_point=mount)
assert "cut to the mount's maximum lease TTL" in answer["warnings"][0], answer
aws.configure_lease("30m", "12h", mount_point=mount)

leases = []


def generate(role, **options):
    """Credentials, with what every answer must have."""
    answer = aws.generate_credentials(role, mount_point=mount, **options)
    leases.append(answer["lease_id"])
    data = answer["data"]
    assert data["access_key"] and data["secret_key"], role
    assert data["security_token"] == data["session_token"], role
    return answer


# hvac reads `creds` and writes `sts`.
for endpoint_name in ("creds", "sts"):
    answer = generate("user", endpoint=endpoint_name)
    assert answer["data"]["security_token"] is None and answer["lease_duration"] == 1800, answer
    assumed = generate(
        "assumed", endpoint=endpoint_name, role_arn=role_arn, ttl="20m",
        role_session_name="from hvac",
    )
    assert assumed["data"]["arn"].endswith("/from_hvac"), assumed["data"]["arn"]
    assert 1140 <= assumed["lease_duration"] <= 1200, assumed["lease_duration"]
    federated = generate("federated", endpoint=endpoint_name)
    assert 840 <= federated["lease_duration"] <= 900, federated["lease_duration"]
generate("old")

for role in ("user", "assumed", "federated", "old"):
    answer = aws.delete_role(role, mount_point=mount)
    assert answer.status_code == 204, answer.text
try:
    aws.read_role("user", mount_point=mount)
    raise AssertionError("a deleted role is a 404")
except hvac.exceptions.InvalidPath:
    pass

print("\n".join(leases))
