"""OpenTofu with HashiCorp's provider: the configuration of this folder, that of the docs, and the provider's own tests."""

import json
import pathlib
import re
import shutil

import fetch
from client import Client, flow
from throwaway import ROOT
from world import expect

HERE = pathlib.Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "clients.md"
EXAMPLE = re.compile(r"<!-- applied by scripts/clients -->\n+```hcl\n(.*?)```", re.DOTALL)
# Resources of terraform.tf, and what each is imported by.
IMPORTED = {
    "vault_aws_secret_backend.aws": "aws",
    "vault_aws_secret_backend_role.user": "aws/roles/user",
    "vault_aws_secret_backend_role.deploy": "aws/roles/deploy",
    "vault_aws_secret_backend_role.federated": "aws/roles/federated",
    "vault_aws_secret_backend_role.session": "aws/roles/session",
    "vault_aws_secret_backend_static_role.ci": "aws/static-roles/ci",
}


class Tofu(Client):
    name = "OpenTofu"

    @classmethod
    def version(cls):
        return f"{fetch.go_version('tofu').removeprefix('v')}, with provider vault 5.9.0"

    @classmethod
    def fetch(cls):
        fetch.go_program("tofu")
        fetch.go_program("terraform-provider-vault")

    def prepare(self):
        world = self.world
        self.program = fetch.go_program("tofu")
        provider = fetch.go_program("terraform-provider-vault")
        self.settings = world.directory / "tofu.rc"
        self.settings.write_text(
            f'provider_installation {{\n  dev_overrides {{ "hashicorp/vault" = "{provider.parent}" }}\n}}\n'
        )
        self.whole = self.configuration("whole", "terraform.tf", "terraform_generic.tf")

    def configuration(self, name, *files):
        """A directory with those configurations, and what their variables are."""
        directory = self.world.directory / name
        directory.mkdir()
        for file in files:
            shutil.copy(HERE / file, directory)
        self.variables = {
            "access_key": self.world.root[0], "secret_key": self.world.root[1], "endpoint": self.world.aws.url,
            "assumable": "arn:aws:iam::123456789012:role/deploy", "static_user": "ci-uploader",
            "other_static_user": "other-uploader",
        }
        return directory

    def tofu(self, directory, command, *arguments, accepted=(0,)):
        variables = {f"TF_VAR_{name}": value for name, value in self.variables.items()}
        return self.world.run(
            self.program, command, "-no-color", "-input=false", *arguments, directory=directory,
            accepted=accepted, TF_CLI_CONFIG_FILE=str(self.settings), **variables,
        )

    def apply(self, directory, *arguments):
        return self.tofu(directory, "apply", "-auto-approve", *arguments)

    def expect_no_changes(self, directory, *arguments):
        """With that option a plan that would change something exits with 2."""
        printed = self.tofu(directory, "plan", "-detailed-exitcode", *arguments, accepted=(0, 2))
        expect("No changes." in printed, f"the plan is not empty:\n{printed}")

    def role(self, name):
        return self.world.read(f"aws/roles/{name}")["data"]

    @flow("apply: mount, all four types of role, static roles, what the provider has no resource for")
    def applies(self):
        world = self.world
        expect(world.assumable_role("deploy") == "arn:aws:iam::123456789012:role/deploy", "another account")
        for user in ("ci-uploader", "other-uploader"):
            world.user(user)
        self.apply(self.whole)
        types = {name: self.role(name)["credential_type"] for name in ("user", "deploy", "federated", "session")}
        expect(
            list(types.values()) == ["iam_user", "assumed_role", "federation_token", "session_token"], str(types)
        )
        static = world.read("aws/static-roles/single")["data"]
        expect(static["single_key"] is True, str(static))

    @flow("plan: nothing to change")
    def plans(self):
        self.expect_no_changes(self.whole)

    @flow("one change in each resource, and nothing to change after it")
    def changes(self):
        self.apply(self.whole, "-var=changed=true")
        self.expect_no_changes(self.whole, "-var=changed=true")
        expect(self.role("user")["policy_arns"] == [], "the policy that was taken out is still there")
        user = self.world.read("aws/creds/user")
        attached = self.world.iam.list_attached_user_policies(UserName=user["data"]["username"])
        expect(attached["AttachedPolicies"] == [], "a new user still has it")
        expect(user["lease_duration"] == 1200, f"a lease of {user['lease_duration']} s")

    @flow("import of each resource, and nothing to change after it")
    def imports(self):
        directory = self.configuration("imported", "terraform.tf")
        for address, name in IMPORTED.items():
            self.tofu(directory, "import", "-var=changed=true", address, name)
        # What the provider keeps for itself is all that an import does not find.
        printed = self.tofu(directory, "plan", "-var=changed=true")
        changed = re.findall(r"^ +([-+~]) (\w+) += (.*)$", printed, re.MULTILINE)
        expect(
            changed == [("+", "disable_remount", "false"), ("~", "secret_key_wo", "(write-only attribute)")], printed
        )
        self.apply(directory, "-var=changed=true")
        self.expect_no_changes(directory, "-var=changed=true")

    @flow("after `config/rotate-root`: nothing to change; a later change leaves the new key alone")
    def rotates(self):
        rotated = self.world.write("aws/config/rotate-root")["data"]["access_key"]
        self.expect_no_changes(self.whole, "-var=changed=true")
        self.apply(self.whole)
        self.expect_no_changes(self.whole)
        expect(self.world.read("aws/config/root")["data"]["access_key"] == rotated, "another key")
        self.world.read("aws/creds/user")

    @flow("data sources: a user, a session, a static role's key")
    def data_sources(self):
        directory = self.configuration("data", "terraform_data.tf")
        self.apply(directory)
        keys = json.loads(self.tofu_output(directory))
        for name, expected in (
            ("user", ":user/vault/vault-"), ("deploy", ":assumed-role/deploy/"), ("static", ":user/ci-uploader"),
        ):
            arn = self.world.who(*keys[name])
            expect(expected in arn, f"{name} is {arn}")

    def tofu_output(self, directory):
        return self.world.run(
            self.program, "output", "-json", "keys", directory=directory, TF_CLI_CONFIG_FILE=str(self.settings)
        )

    @flow("ephemeral resources: a session and a static role's key, neither of them in the state")
    def ephemeral(self):
        directory = self.configuration("ephemeral", "terraform_ephemeral.tf")
        self.apply(directory)
        copied = self.world.read("secret/data/copy")["data"]["data"]
        expect([copied["static"]] == self.world.keys_of("ci-uploader"), "not the static role's key")
        expect(copied["session"].startswith("ASIA"), "not a session's key")
        state = (directory / "terraform.tfstate").read_text()
        expect(not any(key in state for key in copied.values()), "a key is in the state")

    @flow("destroy: no mount, and no key of the static roles")
    def destroys(self):
        self.tofu(self.whole, "destroy", "-auto-approve")
        expect("aws/" not in self.world.read("sys/mounts")["data"], "the mount is still there")
        for user in ("ci-uploader", "other-uploader"):
            expect(self.world.keys_of(user) == [], f"{user} still has a key")

    @flow("the example of docs/clients.md: apply, rotation, change, another key, destroy")
    def example(self):
        world = self.world
        text = EXAMPLE.search(PAGE.read_text())[1]
        directory = self.configuration("example")
        (directory / "endpoints_override.tf").write_text(
            'resource "vault_aws_secret_backend" "aws" {\n'
            f'  iam_endpoint = "{world.aws.url}"\n  sts_endpoint = "{world.aws.url}"\n}}\n'
        )

        def write(text):
            (directory / "main.tf").write_text(text)

        # The root's key of before was rotated.
        self.new_root_key()
        write(text)
        self.apply(directory)
        self.expect_no_changes(directory)
        rotated = world.write("aws/config/rotate-root")["data"]["access_key"]
        self.expect_no_changes(directory)
        text = text.replace("max_lease_ttl_seconds = 43200", "max_lease_ttl_seconds = 86400")
        write(text)
        self.apply(directory)
        self.expect_no_changes(directory)
        expect(world.read("aws/config/root")["data"]["access_key"] == rotated, "another key than the rotated one")
        expect(world.read("sys/mounts/aws/tune")["data"]["max_lease_ttl"] == 86400, "the change was not made")
        lease = world.read("aws/creds/reader")["lease_duration"]
        expect(lease == 1800, f"a lease of {lease} s")
        # And another key, as the page says.
        given = self.new_root_key()
        text = re.sub(r"  lifecycle \{.*?\n  \}\n", "", text, flags=re.DOTALL)
        write(text.replace("secret_key_wo_version = 1", "secret_key_wo_version = 2"))
        self.apply(directory)
        expect(world.read("aws/config/root")["data"]["access_key"] == given, "not the key that was given")
        world.read("aws/creds/reader")
        self.tofu(directory, "destroy", "-auto-approve")

    def new_root_key(self):
        """Another key in place of those that the engine's user has."""
        iam, user = self.world.iam, "vault-root"
        old = self.world.keys_of(user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        for access_key in old:
            iam.delete_access_key(UserName=user, AccessKeyId=access_key)
        self.variables.update(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
        return key["AccessKeyId"]


# As one of the provider's tests expects it.
STATIC_USER = "vault-static-roles-test"
# Those of the provider's tests of this engine that speak to it alone.
ALONE = [
    "TestAccAWSSecretBackendRole_basic", "TestAccAWSSecretBackendRole_import", "TestAccAWSSecretBackendRole_nested",
    "TestAccAWSSecretBackend_basic", "TestAccAWSSecretBackend_fallback", "TestAccAWSSecretBackend_usernameTempl",
    "TestAccAWSSecretBackend_remount", "TestAccAWSSecretBackend_max_retries",
    "TestAccAWSSecretBackend_secretKeyConflicts", "TestAccAWSSecretBackend_secretKeyWriteOnly", "TestAWSPathMatching",
]
# Those for which AWS has to answer as well.
WITH_AWS = [
    "TestAccAWSSecretBackendStaticRole", "TestAccDataSourceAWSAccessCredentials_basic",
    "TestAccDataSourceAWSAccessCredentials_sts", "TestAccDataSourceAWSAccessCredentials_sts_ttl",
    "TestAccDataSourceAWSStaticCredentials",
]
EPHEMERAL = [
    "TestAccAWSAccessCredentialsCredIamUser", "TestAccAWSAccessCredentialsSTSFederationToken",
    "TestAccAWSStaticAccessCredentials",
]


# Those of them that do not pass, with Vault's own engine either.
FAIL_EVERYWHERE = {
    "TestAccAWSSecretBackend_basic": "the provider does not send an endpoint that is taken out",
    "TestAccAWSSecretBackend_fallback": "the same of lists of endpoints",
    "TestAccDataSourceAWSAccessCredentials_sts": "moto does not know whom GetFederationToken made",
    "TestAccDataSourceAWSAccessCredentials_sts_ttl": "the same",
    "TestAccAWSAccessCredentialsCredIamUser": "they look beside where the stand-in of the tests puts it",
    "TestAccAWSAccessCredentialsSTSFederationToken": "the same",
}


class ProviderTests(Client):
    """Their mounts name no endpoint, so that everybody asks AWS by its own names."""

    name = "the provider's own acceptance tests"

    @classmethod
    def version(cls):
        return "5.9.0"

    @classmethod
    def fetch(cls):
        fetch.go_program("tofu")
        for name in fetch.GO_TESTS:
            fetch.go_tests(name)

    def prepare(self):
        self.world.user(STATIC_USER)
        # The tests read the name and the version of Terraform, and name a file that need not be there.
        version = fetch.go_version("tofu").removeprefix("v")
        self.terraform = self.world.directory / "terraform"
        self.terraform.write_text(f"""#!/bin/sh
[ -f "$TF_CLI_CONFIG_FILE" ] || unset TF_CLI_CONFIG_FILE
case "$*" in
version*-json*) echo '{{"terraform_version": "{version}", "provider_selections": {{}}}}' ;;
version*) echo 'Terraform v{version}' ;;
*) exec {fetch.go_program("tofu")} "$@" ;;
esac
""")
        self.terraform.chmod(0o755)

    def tests(self, name, wanted, keys):
        program, directory = fetch.go_tests(name)
        printed = self.world.run(
            program, "-test.v", "-test.timeout=20m", f"-test.run=^({'|'.join(wanted)})$", directory=directory,
            accepted=(0, 1), timeout=1300, TF_ACC="1", TF_ACC_TERRAFORM_PATH=str(self.terraform),
            TF_ACC_PROVIDER_HOST="registry.opentofu.org", TF_ACC_PROVIDER_NAMESPACE="hashicorp",
            AWS_ACCESS_KEY_ID=keys[0], AWS_SECRET_ACCESS_KEY=keys[1],
            AWS_DEFAULT_REGION="us-east-1", AWS_STATIC_USER=STATIC_USER,
        )
        ended = {test: result for result, test in re.findall(r"^--- (\w+): (\w+)", printed, re.MULTILINE)}
        # One that passes after all is worth knowing too.
        expected = {test: "FAIL" if test in FAIL_EVERYWHERE else "PASS" for test in wanted}
        wrong = [f"{test}: {ended.get(test, 'not run')}" for test in wanted if ended.get(test) != expected[test]]
        expect(not wrong, f"{'; '.join(wrong)}\n{printed[-6000:]}")

    @flow("nine of eleven that need no AWS account, the same as with Vault's own engine")
    def alone(self):
        self.tests("provider-tests", ALONE, ("AKIAIOSFODNN7EXAMPLE", "of no account"))

    @flow("three of five for which AWS has to answer, the same as with Vault's own engine")
    def with_aws(self):
        self.tests("provider-tests", WITH_AWS, self.world.root)

    @flow("one of three of ephemeral resources, the same as with Vault's own engine")
    def ephemeral(self):
        self.tests("provider-ephemeral-tests", EPHEMERAL, self.world.root)
