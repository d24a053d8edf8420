"""A host and an AWS to throw away: what the programs share that show the plugin, or try it with clients."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = "root"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
# moto lets this many calls pass before it starts to check them: those of seed().
SEEDING_CALLS = 6


class Failure(Exception):
    """What a person has to know, in a sentence or two."""


def environment():
    """Starts to make it; the result is to be waited for."""
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "environment"], stdout=subprocess.PIPE, text=True
    )


def made(environment):
    printed, _ = environment.communicate()
    if environment.returncode != 0:
        raise Failure("scripts/environment failed, see above")
    return dict(line.split("=", 1) for line in printed.splitlines())


def version_of(binary):
    try:
        printed = subprocess.run([binary, "version"], capture_output=True, text=True).stdout
    except OSError as error:
        raise Failure(f"cannot run {binary}: {error.strerror}") from None
    if not printed.startswith(("OpenBao", "Vault")):
        raise Failure(f"{binary} is neither OpenBao nor HashiCorp Vault")
    return printed.strip()


class Servers:
    """What was started here, and is ended here however this ends."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, name, command, environment):
        log = self.directory / f"{name}.log"
        with open(log, "w") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us alone, and its group is what we end.
                start_new_session=True,
            )
        self.running.append(process)
        return process, log

    def end(self):
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.running):
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                pass
            # Itself, if it is slow, and whatever it has left: a host its plugins.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.running.clear()


def wait_for(what, seconds, ask):
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} seconds in vain for {what}")
        time.sleep(0.05)


def alive(process, log, name):
    if process.poll() is not None:
        raise Failure(f"{name} ended at once; its last lines:\n{tail(log)}")


def tail(log):
    return "".join(log.read_text(errors="replace").splitlines(keepends=True)[-10:])


def clean_environment(**more):
    """Ours, without what would make the host or the plugin talk to somebody real."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "VAULT_", "BAO_", "MOTO_"))
    }
    return {**kept, **more}


def start_aws(servers, moto_server):
    process, log = servers.start(
        "aws",
        [moto_server, "-H", "127.0.0.1", "-p", "0"],
        clean_environment(
            MOTO_IAM_LOAD_MANAGED_POLICIES="true",
            INITIAL_NO_AUTH_ACTION_COUNT=str(SEEDING_CALLS),
        ),
    )

    def address():
        alive(process, log, "moto")
        _, found, after = log.read_text(errors="replace").partition("Running on http://")
        return found and "\n" in after and "http://" + after.split("\n", 1)[0].strip()

    return wait_for("moto to listen", 60, address)


def start_host(servers, binary, version, plugin_directory, **variables):
    configuration = servers.directory / "host.hcl"
    configuration.write_text(
        f'plugin_directory = "{plugin_directory}"\n'
        + ("disable_mlock = true\n" if version.startswith("Vault") else "")
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, log = servers.start(
        "host",
        [
            binary, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}",
            f"-dev-listen-address=127.0.0.1:{port}", f"-config={configuration}",
        ],
        clean_environment(HOME=str(servers.directory), AWS_EC2_METADATA_DISABLED="true", **variables),
    )

    def listens():
        alive(process, log, "the host")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0 and "Root Token" in log.read_text()

    wait_for("the host to listen", 60, listens)
    return f"http://127.0.0.1:{port}"


class Aws:
    """Signed calls to AWS, made with botocore, which moto brings along."""

    SEEDED = ("administrator", "vault-root")

    def __init__(self, url, site_packages):
        sys.path.insert(0, site_packages)
        import botocore.config
        import botocore.exceptions
        import botocore.session

        # Whatever the machine has configured is about another AWS.
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
        self.error = botocore.exceptions.ClientError
        self.session = botocore.session.get_session()
        # A call that is sent again where the machine is slow finds what it made the first time.
        self.once = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=300)
        self.url = url

    def client(self, service, keys):
        return self.session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            config=self.once,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
        )

    def seed(self):
        """Makes an administrator for us to look with, and the user the engine acts as."""
        iam = self.client("iam", ("anybody", "anything"))
        made = []
        for name in self.SEEDED:
            iam.create_user(UserName=name)
            iam.attach_user_policy(UserName=name, PolicyArn=ADMINISTRATOR)
            key = iam.create_access_key(UserName=name)["AccessKey"]
            made.append((key["AccessKeyId"], key["SecretAccessKey"]))
        self.administrator = self.client("iam", made[0])
        return made[1]
