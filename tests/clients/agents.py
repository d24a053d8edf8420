"""Programs that keep files with credentials up to date: the agents of both products, and consul-template."""

import re
import signal

import fetch
from client import Client, flow
from throwaway import ROOT
from world import READ_ONLY, eventually, expect

PAGE = ROOT / "docs" / "clients.md"
POLICY = """
path "aws/creds/*" { capabilities = ["read", "update"] }
path "aws/static-creds/*" { capabilities = ["read"] }
path "sys/leases/renew" { capabilities = ["update"] }
"""
# Of a lease of the role user, in seconds: renewed once or twice before it ends for good.
LEASE, LEASE_MAX = 20, 50
# The shortest that a static role takes.
ROTATION = 60


class Renders(Client):
    """What all of them do with the same templates."""

    stop, exits_with = signal.SIGTERM, 0

    def prepare(self):
        world = self.world
        world.mount()
        world.write("aws/config/lease", lease=f"{LEASE}s", lease_max=f"{LEASE_MAX}s")
        world.write("aws/roles/user", credential_type="iam_user", policy_arns=READ_ONLY)
        world.write(
            "aws/roles/deploy", credential_type="assumed_role", role_arns=world.assumable_role("deploy"),
        )
        self.static_user = world.user("ci-uploader")
        world.write("aws/static-roles/ci", username=self.static_user, rotation_period=ROTATION)
        template = re.search(r"```text\n(\{\{ with secret.*?)```", PAGE.read_text(), re.DOTALL)[1]
        self.templates = {
            "deploy": template,
            "user": template.replace("aws/creds/deploy", "aws/creds/user").replace(' "ttl=1h"', ""),
            "ci": template.replace("aws/creds/deploy", "aws/static-creds/ci").replace(' "ttl=1h"', ""),
        }
        for name, text in self.templates.items():
            (world.directory / f"{name}.tpl").write_text(text)
        self.process = self.start()

    def start(self):
        raise NotImplementedError

    def template_blocks(self):
        return "\n".join(
            f'template {{\n  source      = "{self.world.directory}/{name}.tpl"\n'
            f'  destination = "{self.world.directory}/{name}.env"\n  perms       = "0600"\n}}'
            for name in self.templates
        )

    def rendered(self, name):
        """The key pair, and the token if there is one, that stand in a file."""
        path = self.world.directory / f"{name}.env"
        if not path.exists():
            return None
        lines = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        values = (
            lines.get(f"AWS_{variable}") for variable in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
        )
        access_key, secret_key, token = values
        return (access_key, secret_key, None if token in ("", "<no value>") else token) if secret_key else None

    @flow("renders a user's, a session's and a static role's credentials, as docs/clients.md writes them")
    def renders(self):
        for name, expected in (("user", ":user/vault-"), ("deploy", ":assumed-role/deploy/"), ("ci", ":user/ci-uploader")):
            keys = eventually(f"{name}.env", 60, lambda: self.rendered(name))
            arn = self.world.who(*keys)
            expect(expected in arn, f"{name}.env has the credentials of {arn}")
        self.first = self.rendered("user")
        self.first_static = self.rendered("ci")

    @flow("renews the user's lease")
    def renews(self):
        lease = f"aws/creds/user/{self.world.leases('aws/creds/user')[0]}"
        eventually("the lease to be renewed", LEASE + 20, lambda: self.world.lease(lease)["last_renewal"])
        expect(self.rendered("user") == self.first, "a renewal should change nothing in the file")

    @flow("renders another user when the lease cannot be renewed any more")
    def renders_again(self):
        eventually("another user", LEASE_MAX + 60, lambda: self.rendered("user") != self.first)
        expect(":user/vault-" in self.world.who(*self.rendered("user")), "not a user of the engine")
        eventually("the first user to go", LEASE_MAX + 60, lambda: self.world.refused(*self.first))

    @flow("renders a static role's new key after a rotation")
    def rotates(self):
        eventually("another key", 3 * ROTATION, lambda: self.rendered("ci") != self.first_static)
        expect(self.rendered("ci")[0] in self.world.keys_of(self.static_user), "not a key of the user")

    @flow("ends when it is told to; its token, once revoked, takes the users along")
    def ends(self):
        self.process.send_signal(self.stop)
        eventually("it to end", 30, lambda: self.process.poll() is not None)
        expect(self.process.returncode == self.exits_with, f"exited with {self.process.returncode}")
        self.world.ask("POST", "auth/token/revoke-self", {}, token=self.its_token())
        eventually("the users to go", 30, lambda: not self.world.generated_users())

    def its_token(self):
        raise NotImplementedError


class Agent(Renders):
    """The host's own program, as an agent."""

    name = "OpenBao Agent, Vault Agent"

    @classmethod
    def version(cls):
        return "the host's"

    @classmethod
    def flows(cls):
        return Renders.flows()

    def start(self):
        world = self.world
        directory = world.directory
        world.write("sys/policies/acl/client", policy=POLICY)
        world.write("sys/auth/approle", type="approle")
        world.write("auth/approle/role/agent", token_policies="client", token_ttl="1h")
        role_id = world.read("auth/approle/role/agent/role-id")["data"]["role_id"]
        secret_id = world.write("auth/approle/role/agent/secret-id")["data"]["secret_id"]
        (directory / "role-id").write_text(role_id)
        (directory / "secret-id").write_text(secret_id)
        (directory / "agent.hcl").write_text(f"""
vault {{ address = "{world.address}" }}
auto_auth {{
  method "approle" {{
    config = {{
      role_id_file_path   = "{directory}/role-id"
      secret_id_file_path = "{directory}/secret-id"
    }}
  }}
  sink "file" {{
    config = {{ path = "{directory}/agent-token" }}
  }}
}}
{self.template_blocks()}
""")
        variables = world.variables()
        for name in ("VAULT_TOKEN", "BAO_TOKEN"):
            del variables[name]
        return world.servers.start("agent", [world.host, "agent", f"-config={directory}/agent.hcl"], variables)[0]

    def its_token(self):
        return (self.world.directory / "agent-token").read_text().strip()


class ConsulTemplate(Renders):
    name = "consul-template"
    # Its `kill_signal` unless it is configured, and what it says after an interrupt.
    stop, exits_with = signal.SIGINT, 12

    @classmethod
    def version(cls):
        return fetch.go_version("consul-template")

    @classmethod
    def fetch(cls):
        fetch.go_program("consul-template")

    @classmethod
    def flows(cls):
        return Renders.flows()

    def start(self):
        world = self.world
        self.given = world.token(POLICY)
        configuration = world.directory / "consul-template.hcl"
        configuration.write_text(f"""
vault {{
  address     = "{world.address}"
  renew_token = false
}}
{self.template_blocks()}
""")
        program = fetch.go_program("consul-template")
        return world.servers.start(
            "consul-template", [program, f"-config={configuration}"], world.variables(token=self.given)
        )[0]

    def its_token(self):
        return self.given
