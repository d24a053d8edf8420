"""What one client finds: a host with the engine, and an AWS that checks signatures and permissions."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

from aws_names import AwsNames
from throwaway import TOKEN, Aws, Failure, Servers, clean_environment, start_aws, start_host, wait_for

PLUGIN = "vault-plugin-secrets-aws"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


class Unexpected(Exception):
    """Something that a client should not have seen."""


def expect(holds, what):
    if not holds:
        raise Unexpected(what)


class World:
    def __init__(self, directory, paths, plugin, host, version, builtin=False):
        directory.mkdir(parents=True)
        self.directory, self.host, self.version = directory, pathlib.Path(host), version
        self.servers = Servers(directory)
        self.names = None
        self.own_users = set(Aws.SEEDED)
        try:
            self.aws = Aws(start_aws(self.servers, paths["MOTO_SERVER"]), paths["SITE_PACKAGES"])
            self.root = self.aws.seed()
            self.names = AwsNames(directory, self.aws.url)
            plugins = directory / "plugins"
            plugins.mkdir()
            shutil.copy(plugin, plugins / PLUGIN)
            self.address = start_host(self.servers, host, version, plugins, **self.names.variables())
            if not builtin:
                self.register(plugins / PLUGIN)
        except BaseException:
            self.end()
            raise

    def end(self):
        self.servers.end()
        if self.names:
            self.names.end()

    def register(self, plugin):
        checksum = hashlib.sha256(plugin.read_bytes()).hexdigest()
        self.write("sys/plugins/catalog/secret/aws", sha256=checksum, command=plugin.name)

    def mount(self, path="aws"):
        """Mounts the engine and tells it its root credentials."""
        self.write(f"sys/mounts/{path}", type="aws")
        self.write(
            f"{path}/config/root", access_key=self.root[0], secret_key=self.root[1], region="us-east-1",
            iam_endpoint=self.aws.url, sts_endpoint=self.aws.url,
        )

    # --- the host ---

    def ask(self, method, path, body=None, token=TOKEN):
        request = urllib.request.Request(
            f"{self.address}/v1/{path}", method=method, headers={"X-Vault-Token": token},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def read(self, path, **options):
        return self.ask("GET", path, **options)

    def write(self, path, token=TOKEN, **data):
        try:
            return self.ask("POST", path, data, token)
        except urllib.error.HTTPError as error:
            raise Unexpected(f"{path} was answered with {error.code}: {error.read().decode()}") from None

    def missing(self, path):
        try:
            self.read(path)
        except urllib.error.HTTPError as error:
            return error.code == 404
        return False

    def token(self, policies=None, **more):
        """A token that may do what the policy says, or all."""
        if policies:
            self.write("sys/policies/acl/client", policy=policies)
        return self.write("auth/token/create", policies=["client" if policies else "root"], **more)["auth"]["client_token"]

    def lease(self, lease_id):
        return self.write("sys/leases/lookup", lease_id=lease_id)["data"]

    def leases(self, prefix):
        try:
            return self.ask("LIST", f"sys/leases/lookup/{prefix}")["data"]["keys"]
        except urllib.error.HTTPError:
            return []

    # --- AWS ---

    @property
    def iam(self):
        return self.aws.administrator

    def user(self, name):
        """Makes an IAM user."""
        self.iam.create_user(UserName=name)
        self.own_users.add(name)
        return name

    def keys_of(self, user):
        return [key["AccessKeyId"] for key in self.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]

    def assumable_role(self, name):
        """Makes an AWS role that the engine may assume, and returns its ARN."""
        root = self.iam.get_user(UserName="vault-root")["User"]["Arn"]
        statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        self.iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
        return role["Arn"]

    def generated_users(self):
        """The users that the engine has made and not removed."""
        names = [user["UserName"] for user in self.iam.list_users()["Users"]]
        return [name for name in names if name not in self.own_users]

    def who(self, access_key, secret_key, session_token=None):
        """The ARN that AWS knows these credentials by."""
        client = self.aws.session.create_client(
            "sts", region_name="us-east-1", endpoint_url=self.aws.url, aws_access_key_id=access_key,
            aws_secret_access_key=secret_key, aws_session_token=session_token,
        )
        return client.get_caller_identity()["Arn"]

    def refused(self, *keys):
        try:
            self.who(*keys)
        except self.aws.error:
            return True
        return False

    # --- programs ---

    def variables(self, token=TOKEN, **more):
        """The environment of a client: the host is known, and AWS by its own names."""
        known = {
            f"{product}_{name}": value
            for product in ("VAULT", "BAO")
            for name, value in (("ADDR", self.address), ("TOKEN", token))
        }
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return clean_environment(HOME=str(home), **known, **self.names.variables(), **more)

    def run(self, *command, directory=None, accepted=(0,), timeout=300, **variables):
        """Runs a client's program to its end and returns what it printed."""
        finished = subprocess.run(
            command, cwd=directory or self.directory, env=self.variables(**variables), timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        name = pathlib.Path(command[0]).name
        with open(self.directory / f"{name}.log", "a") as log:
            log.write(f"$ {' '.join(map(str, command))}\n{finished.stdout}\n")
        if finished.returncode not in accepted:
            raise Unexpected(
                f"`{name} {' '.join(map(str, command[1:3]))}` exited with {finished.returncode}:\n"
                + "\n".join(finished.stdout.splitlines()[-25:])
            )
        return finished.stdout

    # --- the end ---

    def check_clean(self):
        """Once every lease is revoked, AWS has nothing that was generated, and the log no secret."""
        for path, mount in self.read("sys/mounts")["data"].items():
            if mount["type"] == "aws":
                self.write(f"sys/leases/revoke-prefix/{path.rstrip('/')}", sync=True)
        left = self.generated_users()
        expect(not left, f"AWS still has {', '.join(left)}")
        expect(len(self.keys_of("vault-root")) == 1, "the engine's user has not one key")
        log = (self.directory / "host.log").read_text(errors="replace")
        expect(self.root[1] not in log, "the engine's secret key is in the host's log")


def eventually(what, seconds, ask):
    try:
        return wait_for(what, seconds, ask)
    except Failure as failure:
        raise Unexpected(str(failure)) from None
