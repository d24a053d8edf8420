"""hvac, and the AWS tools that take their credentials from a process."""

import json
import os
import re
import shutil

import fetch
from client import Client, flow
from throwaway import ROOT, TOKEN
from world import expect

PAGE = ROOT / "docs" / "clients.md"
HVAC = ROOT / "tests" / "e2e" / "hvac_client.py"


class Hvac(Client):
    name = "hvac"

    @classmethod
    def version(cls):
        return fetch.python_version("hvac")

    @classmethod
    def fetch(cls):
        fetch.python()

    def prepare(self):
        self.world.write("sys/mounts/aws", type="aws")
        self.python = fetch.python() / "python"

    @flow("every method of `client.secrets.aws`")
    def methods(self):
        world = self.world
        printed = world.run(
            self.python, HVAC, world.address, TOKEN, "aws", *world.root, world.aws.url,
            world.assumable_role("deploy"),
        )
        leases = printed.split()
        expect(len(leases) == 7, f"seven leases were expected: {printed}")
        expect(len(world.generated_users()) == 3, "three IAM users were expected")
        for lease in leases:
            world.write("sys/leases/revoke", lease_id=lease, sync=True)
        expect(not world.generated_users(), "revoking the leases left users")

    @flow("static roles with the generic calls")
    def static_roles(self):
        user = self.world.user("ci-uploader")
        program = [
            "import hvac, sys",
            "client = hvac.Client(url=sys.argv[1], token=sys.argv[2])",
            *re.findall(r"^(client\..*)$", PAGE.read_text().split("## hvac and Ansible")[1].split("\n## ")[0], re.M),
            "print(client.read('aws/static-creds/ci')['data']['access_key'])",
        ]
        expect(len(program) == 5, "the page should have two calls of hvac's")
        printed = self.world.run(self.python, "-c", "\n".join(program), self.world.address, TOKEN)
        expect(self.world.keys_of(user) == printed.split(), f"not the user's key: {printed}")


class CredentialProcess(Client):
    """The configuration file of docs/clients.md, as it stands there."""

    @classmethod
    def fetch(cls):
        if shutil.which("jq") is None:
            raise fetch.Missing("jq is not installed")
        fetch.python()

    def prepare(self):
        world = self.world
        world.mount()
        world.write(
            "aws/roles/deploy", credential_type="assumed_role", role_arns=world.assumable_role("deploy"),
            default_sts_ttl="1h",
        )
        world.write("aws/static-roles/ci", username=world.user("ci-uploader"), rotation_period="24h")
        self.python = fetch.python()
        page = PAGE.read_text()
        file = re.search(r"```ini\n# ~/\.aws/config\n(.*?)```", page, re.DOTALL)
        config = world.directory / "aws-config"
        config.write_text(file[1])
        # The page says `vault` whatever the host is.
        programs = world.directory / "bin"
        programs.mkdir()
        (programs / "vault").symlink_to(world.host)
        self.variables = {
            "AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": world.aws.url, "AWS_DEFAULT_REGION": "us-east-1",
            "PATH": f"{programs}:{os.environ['PATH']}",
        }

    def caller(self, profile):
        raise NotImplementedError

    @flow("a session, by `credential_process`")
    def session(self):
        arn = self.caller("deploy")
        expect(":assumed-role/deploy/" in arn, f"it is {arn}")

    @flow("a static role's key, by `credential_process`")
    def static(self):
        arn = self.caller("ci")
        expect(arn.endswith(":user/ci-uploader"), f"it is {arn}")


class AwsCli(CredentialProcess):
    name = "AWS CLI"

    @classmethod
    def version(cls):
        return fetch.python_version("awscli")

    @classmethod
    def flows(cls):
        return CredentialProcess.flows()

    def caller(self, profile):
        printed = self.world.run(
            self.python / "aws", "sts", "get-caller-identity", "--profile", profile, **self.variables
        )
        return json.loads(printed)["Arn"]


BOTO3 = """
import datetime, sys
import boto3
session = boto3.Session(profile_name=sys.argv[1])
print(session.client("sts").get_caller_identity()["Arn"])
credentials = session.get_credentials()
def key():
    return credentials.get_frozen_credentials().access_key
first = key()
assert key() == first, "it was fetched twice"
if len(sys.argv) > 2:
    now = datetime.datetime.now(datetime.timezone.utc)
    credentials._time_fetcher = lambda: now + datetime.timedelta(seconds=int(sys.argv[2]))
    print("another" if key() != first else "the same")
"""


class Boto3(CredentialProcess):
    name = "boto3"

    @classmethod
    def version(cls):
        return fetch.python_version("boto3")

    @classmethod
    def flows(cls):
        return [*CredentialProcess.flows(), cls.refreshes]

    def program(self, *arguments):
        return self.world.run(self.python / "python", "-c", BOTO3, *arguments, **self.variables).split("\n")

    def caller(self, profile):
        return self.program(profile)[0]

    @flow("the next session before the end of this one")
    def refreshes(self):
        expect(self.program("deploy", "600")[1] == "the same", "fetched anew after ten minutes of sixty")
        expect(self.program("deploy", "3300")[1] == "another", "not fetched anew five minutes before the end")
