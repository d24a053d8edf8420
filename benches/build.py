"""Builds what the programs that drive a host need, and finds the host."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLUGIN = "vault-plugin-secrets-aws"


class Failed(Exception):
    """What a person has to know, in a sentence or two."""


def run(*command, **variables):
    print(f"$ {' '.join(map(str, command))}", file=sys.stderr, flush=True)
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise Failed(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        output, _ = process.communicate()
    except KeyboardInterrupt:
        # Whatever it started has to end before it.
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        raise Failed(f"{command[0]} exited with {process.returncode}")
    return output


def built(kind, name, *arguments):
    """Has cargo build a target and returns its path."""
    lines = run("cargo", "build", "--locked", *arguments, "--message-format=json-render-diagnostics")
    for message in map(json.loads, lines.splitlines()):
        target = message.get("target", {})
        if (target.get("kind"), target.get("name")) == ([kind], name) and message.get("executable"):
            return message["executable"]
    raise Failed(f"cargo did not say where {name} is")


def plugin():
    """The plugin to drive: what PLUGIN_BIN names, or else the one that would be released."""
    if "PLUGIN_BIN" in os.environ:
        return os.environ["PLUGIN_BIN"]
    print(run(ROOT / "scripts" / "release", "--once"), file=sys.stderr, end="")
    (binary,) = (ROOT / "dist").glob(f"{PLUGIN}-v*-linux-*")
    return str(binary)


def driver(name, *arguments):
    """The program that drives the host."""
    return built("bench", name, f"--bench={name}", *arguments)


def host():
    """The host's program: what HOST_BIN names, or else OpenBao."""
    if "HOST_BIN" in os.environ:
        return os.environ["HOST_BIN"]
    lines = run(ROOT / "scripts" / "environment").splitlines()
    return dict(line.split("=", 1) for line in lines)["BAO"]


def check_programs(variables):
    for name, path in variables.items():
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            raise Failed(f"{name}: {path} is not a program")
