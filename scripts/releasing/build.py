"""The binary: linked statically, and the same bytes whoever builds it and wherever."""

import os
import pathlib
import shlex
import subprocess

from releasing.failure import Failure

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = "vault-plugin-secrets-aws"

# What can be built, and what the rest of the world calls it. Where a host runs a plugin its C library
# need not be ours, or be there at all.
TARGETS = {
    "x86_64-unknown-linux-gnu": "amd64",
    "aarch64-unknown-linux-gnu": "arm64",
    "x86_64-unknown-linux-musl": "amd64",
    "aarch64-unknown-linux-musl": "arm64",
}
TARGET = "x86_64-unknown-linux-gnu"

FLAGS = (
    # A target feature and not a link argument, so that the crates know of it.
    "-Ctarget-feature=+crt-static",
    # The files /dev/random and /dev/urandom, which the crate goes back to in static builds, need not
    # be there.
    '--cfg=getrandom_backend="linux_getrandom"',
)


def version():
    for line in (ROOT / "Cargo.toml").read_text().splitlines():
        if line.startswith("version ="):
            return "v" + line.split('"')[1]
    raise Failure("Cargo.toml has no version")


def name(target, version):
    """Of the binary in dist/."""
    return f"{PLUGIN}-{version}-linux-{TARGETS[target]}"


def reported(binary):
    """The version that a program says it is."""
    try:
        says = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip()
    except OSError as error:
        raise Failure(f"{binary} does not run on this machine: {error.strerror}") from None
    if not says.startswith(f"{PLUGIN} v"):
        raise Failure(f"{binary} is not this plugin: it says that it is {says!r}")
    return says.removeprefix(f"{PLUGIN} ")


def cargo_home():
    return pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")).resolve()


def target_directory():
    """Cargo's own for this checkout."""
    return (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()


def replaced(source, target_directory):
    """Folders of this machine, and what stands in the binary in their place. The last that fits wins."""
    return {
        cargo_home(): "/cargo",
        source: "/source",
        target_directory: "/target",
    }


def environment(target, source, target_directory):
    folders = replaced(source, target_directory)
    flags = [*FLAGS, *(f"--remap-path-prefix={path}={new}" for path, new in folders.items())]
    c_flags = [f"-ffile-prefix-map={path}={new}" for path, new in folders.items()]
    kept = {
        variable: value
        for variable, value in os.environ.items()
        if not variable.startswith(("CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "AWS_LC_"))
        and variable not in ("RUSTFLAGS", "CARGO_INCREMENTAL", "CFLAGS", "LDFLAGS")
    }
    return {
        **kept,
        "CARGO_TARGET_DIR": str(target_directory),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        f"CFLAGS_{target.replace('-', '_')}": shlex.join(c_flags),
        "CC_SHELL_ESCAPED_FLAGS": "1",
        # What a program's text is sorted and shown by.
        "LC_ALL": "C",
    }


def build(target, source, target_directory):
    """Has cargo build the release in that folder, and returns the path of the binary."""
    command = ["cargo", "build", "--locked", "--release", "--bin", PLUGIN, "--target", target]
    print(f"$ {shlex.join(command)}    # in {source}", flush=True)
    try:
        status = subprocess.run(
            command, cwd=source, env=environment(target, source, target_directory)
        ).returncode
    except FileNotFoundError:
        raise Failure("cargo is not installed: see https://rustup.rs") from None
    if status != 0:
        raise Failure(
            f"cargo exited with {status}. A target beside {TARGET} needs `rustup target add {target}` and "
            "a C compiler for it"
            if target != TARGET
            else f"cargo exited with {status}"
        )
    return target_directory / target / "release" / PLUGIN


def sources():
    """What a checkout holds, as far as git knows, with what is changed and not committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE,
    )
    if listed.returncode != 0:
        raise Failure("this is no checkout of git, so nobody could tell what was released")
    names = listed.stdout.decode().split("\0")
    return sorted(name for name in names if name and (ROOT / name).is_file())
