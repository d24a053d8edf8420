"""Fetches clients and builds those that come as sources, each pinned by hash, once, under .cache/clients."""

import fcntl
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

from throwaway import ROOT, Failure

HERE = pathlib.Path(__file__).resolve().parent
CACHE = ROOT / ".cache" / "clients"
SMALLEST_NODE = 20

# What the Go module proxy serves: path, version, the hash that go.sum would have, the package to build. The
# module's own go.sum pins all else.
GO_PROGRAMS = {
    "tofu": (
        "github.com/opentofu/opentofu", "v1.12.6", "h1:0VT4P8pMmGcCUnQ9JDrJ+Qg2d35Vzm4FFd/9+H7oF98=", "./cmd/tofu",
    ),
    # The release v5.9.0: the proxy knows only the first major version of a module by its tags.
    "terraform-provider-vault": (
        "github.com/hashicorp/terraform-provider-vault", "v1.9.1-0.20260422134934-5e9fcd457a99", "h1:Y8APAoHlAT4+gXjv1X4cG96bWiYR8JgyZakAk94jPf4=", ".",
    ),
    "consul-template": (
        "github.com/hashicorp/consul-template", "v0.41.1", "h1:6VM6kzyBt7xpHfeSjuSRFO6X0/pPdIy+AJpNlM8PekM=", ".",
    ),
}
# Test programs, of a module above: the packages whose tests speak to the AWS engine.
GO_TESTS = {
    "provider-tests": ("terraform-provider-vault", "./vault"),
    "provider-ephemeral-tests": ("terraform-provider-vault", "./internal/vault/secrets/ephemeral"),
}


class Missing(Exception):
    """Why something cannot be had on this machine."""


def say(text):
    print(f"clients: {text}", file=sys.stderr, flush=True)


def run(*command, directory=None, **variables):
    finished = subprocess.run(
        command, cwd=directory, env={**os.environ, **variables}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if finished.returncode != 0:
        too_old = re.search(r"requires go >= \S+ \(running go \S+", finished.stdout)
        if too_old:
            raise Missing(f"its source {too_old[0]})")
        tail = "\n".join(finished.stdout.splitlines()[-15:])
        raise Failure(f"`{' '.join(map(str, command[:4]))}` failed:\n{tail}")
    return finished.stdout


class Fetched:
    """Makes something unless it is there as wanted. Two at once: the second one waits."""

    def __init__(self, name, *pins):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.place, self.stamp, self.lock = (CACHE / f"{name}{suffix}" for suffix in ("", ".stamp", ".lock"))
        digest = hashlib.sha256()
        for pin in (*pins, platform.machine(), str(self.place)):
            digest.update(pin if isinstance(pin, bytes) else str(pin).encode() + b"\0")
        self.wanted = digest.hexdigest()

    def ready(self, make):
        with open(self.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.stamp.exists() or self.stamp.read_text() != self.wanted:
                self.stamp.unlink(missing_ok=True)
                if self.place.is_dir():
                    shutil.rmtree(self.place)
                make(self.place)
                self.stamp.write_text(self.wanted)
        return self.place


def python():
    """The directory of programs of a virtual environment with the Python clients."""
    requirements = HERE / "requirements.txt"

    def make(place):
        say("fetching the Python clients")
        run(sys.executable, "-m", "venv", place)
        run(
            place / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
            "--require-hashes", "--requirement", requirements,
        )

    return Fetched("python", requirements.read_bytes(), sys.version).ready(make) / "bin"


def npm():
    """The directory whose node_modules has the npm clients."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    node = run("node", "--version").strip()
    if int(re.match(r"v(\d+)", node)[1]) < SMALLEST_NODE:
        raise Missing(f"Node.js {SMALLEST_NODE} or later is needed, this is {node}")
    pins = [HERE / "npm" / name for name in ("package.json", "package-lock.json")]

    def make(place):
        say("fetching the npm clients")
        place.mkdir()
        for pin in pins:
            shutil.copy(pin, place)
        # Nothing that a package brings is run here.
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", directory=place)

    return Fetched("npm", *(pin.read_bytes() for pin in pins)).ready(make)


def npm_version(package):
    installed = npm() / "node_modules" / package / "package.json"
    return json.loads(installed.read_text())["version"]


def python_version(package):
    pinned = re.search(rf"^{package}==(\S+)", (HERE / "requirements.txt").read_text(), re.MULTILINE)
    return pinned[1]


def go_source(name):
    """The source of a Go program, as the module proxy serves it, where it can be built."""
    if shutil.which("go") is None:
        raise Missing("Go is not installed")
    module, version, checksum, _ = GO_PROGRAMS[name]

    def make(place):
        say(f"fetching {module}@{version}")
        answered = run("go", "mod", "download", "-json", f"{module}@{version}", directory=CACHE, GOFLAGS="")
        found = json.loads(answered[answered.index("{"):])
        if found["Sum"] != checksum:
            raise Failure(f"{module}@{version} has the hash {found['Sum']}, not {checksum}")
        shutil.copytree(found["Dir"], place)
        for folder, _, files in os.walk(place):
            os.chmod(folder, 0o755)
            for file in files:
                os.chmod(os.path.join(folder, file), 0o644)

    return Fetched(f"source-{name}", module, version, checksum).ready(make)


def go_program(name):
    source = go_source(name)
    package = GO_PROGRAMS[name][3]
    fetched = Fetched(f"go/{name}", *GO_PROGRAMS[name])
    fetched.place.parent.mkdir(exist_ok=True)
    return fetched.ready(lambda place: build(name, source, place, package, "build"))


def go_tests(name):
    """The test program of a package, and the directory in which its tests expect to be run."""
    module, package = GO_TESTS[name]
    source = go_source(module)
    fetched = Fetched(f"go/{name}", *GO_PROGRAMS[module], package)
    fetched.place.parent.mkdir(exist_ok=True)
    return fetched.ready(lambda place: build(name, source, place, package, "test", "-c", "-vet=off")), source / package


def build(name, source, place, package, *command):
    say(f"building {name}: the first time this takes minutes")
    run(
        # Somebody else may need this machine too.
        "nice", "-n", "10", "go", *command, "-p=1", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", place,
        package, directory=source, CGO_ENABLED="0", GOFLAGS="-mod=readonly",
    )


def go_version(name):
    return GO_PROGRAMS[name][1]
