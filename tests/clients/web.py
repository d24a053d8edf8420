"""OpenBao's own pages for this engine, in a Chromium without a window."""

import json
import platform
import re

import fetch
from client import Client, flow
from npm_clients import run_module
from world import eventually, expect

EVERYTHING = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
# What the pages' own words are when something went wrong.
ERRORS = ("Error", "error", "undefined", "NaN", "null")


class WebPages(Client):
    name = "OpenBao's web pages"
    absent = {"Vault": "they are OpenBao's"}

    @classmethod
    def version(cls):
        return f"Chromium {fetch.npm_version('@sparticuz/chromium').split('.')[0]}"

    @classmethod
    def fetch(cls):
        if platform.machine() not in ("x86_64", "AMD64"):
            raise fetch.Missing("npm serves a Chromium for x86-64 only")
        fetch.npm()

    def prepare(self):
        world = self.world
        world.write("sys/mounts/aws", type="aws")
        # The pages forget a root token at each page.
        self.token = world.token(EVERYTHING, ttl="1h")
        self.folder = world.directory / "pictures"
        self.folder.mkdir()

    def perform(self, name, **wants):
        printed = run_module(
            self.world, "web.mjs", name, self.folder, json.dumps(wants), token=self.token, timeout=400,
        )
        answer = json.loads(printed.splitlines()[-1])
        for text in answer.values():
            expect(not any(error in text for error in ERRORS), f"the page shows an error: {text}")
        return answer

    @flow("Configure AWS: root credentials, then the lifetime of users")
    def configures(self):
        world = self.world
        said = self.perform(
            "configure", accessKey=world.root[0], secretKey=world.root[1], endpoint=world.aws.url
        )
        expect(all("saved successfully" in text for text in said.values()), str(said))
        root = world.read("aws/config/root")["data"]
        expect((root["access_key"], root["sts_endpoint"]) == (world.root[0], world.aws.url), str(root))
        lease = world.read("aws/config/lease")["data"]
        expect(lease == {"lease": "30m0s", "lease_max": "12h0m0s"}, str(lease))

    @flow("create a role, by direct link, and show it")
    def creates(self):
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        self.perform("create", document=json.dumps(document, indent=2))
        role = self.world.read("aws/roles/reader")["data"]
        expect(role["policy_arns"] == ["arn:aws:iam::aws:policy/ReadOnlyAccess"], str(role))
        expect(json.loads(role["policy_document"]) == document, str(role))

    @flow("generate a user's credentials")
    def generates(self):
        shown = self.perform("generate")["body"]
        users = self.world.generated_users()
        expect(len(users) == 1, f"one IAM user was expected: {users}")
        expect(self.world.keys_of(users[0])[0] in shown, shown)
        self.lease = f"aws/creds/reader/{self.world.leases('aws/creds/reader')[0]}"
        expect(self.lease in shown and "Renewable\nYes" in shown and "Lease duration\n1800" in shown, shown)

    @flow("generate a session, with a lifetime of its own")
    def sessions(self):
        self.world.write(
            "aws/roles/deploy", credential_type="assumed_role", role_arns=self.world.assumable_role("deploy"),
            max_sts_ttl="2h",
        )
        shown = self.perform("session")["body"]
        expect("Security token" in shown and "Renewable\nNo" in shown and "Lease duration\n3600" in shown, shown)

    @flow("look at the lease, renew it and revoke it")
    def revokes(self):
        shown = self.perform("revoke", lease=self.lease)["body"]
        expect(re.search(r"Last renewal\n[A-Z][a-z]+ \d", shown) and "Expiration time" in shown, shown)
        eventually("the user to go", 60, lambda: not self.world.generated_users())

    @flow("what they cannot do is as docs/clients.md says")
    def cannot(self):
        self.world.write("aws/roles/self", credential_type="session_token")
        self.perform("cannot")
