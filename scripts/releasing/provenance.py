"""Where a release comes from: source, toolchain and flags, in the words of SLSA and in-toto."""

import os
import pathlib
import platform
import shutil
import subprocess
import zlib

from releasing.build import FLAGS, ROOT
from releasing.dependencies import asked
from releasing.image import digest

REPOSITORY = "https://github.com/vault-plugin-secrets-aws/vault-plugin-secrets-aws"
UNKNOWN = "unknown"


def first_line(*command):
    if shutil.which(command[0]) is None:
        return UNKNOWN
    finished = subprocess.run(command, capture_output=True, text=True)
    return finished.stdout.splitlines()[0] if finished.stdout else UNKNOWN


def toolchain():
    known = "CS_GNU_LIBC_VERSION" in os.confstr_names
    library = os.confstr("CS_GNU_LIBC_VERSION") if known else None
    return {
        "rustc": asked("rustc", "--version").strip(),
        "cargo": asked("cargo", "--version").strip(),
        "c_compiler": first_line("cc", "--version"),
        "linker": first_line("ld", "--version"),
        "c_library": (library or UNKNOWN).removeprefix("glibc "),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "system": platform.platform(terse=True).split("-with-")[-1],
    }


def commit():
    """Of the checkout, and whether that is all there is in it."""
    def git(*arguments):
        try:
            finished = subprocess.run(
                ["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True,
            )
        except FileNotFoundError:
            return None
        return finished.stdout.strip() if finished.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    return head or UNKNOWN, head is not None and git("status", "--porcelain") == ""


def statement(subjects, targets, version, revision, is_clean, builds, tools):
    """`subjects` are names and SHA-256 of all that is released."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sum_}} for name, sum_ in subjects],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{REPOSITORY}/blob/main/docs/reproducing.md",
                "externalParameters": {
                    "source": f"git+{REPOSITORY}",
                    "revision": revision,
                    "version": version,
                    "targets": targets,
                },
                "internalParameters": {
                    "source_is_as_committed": is_clean,
                    "rustflags": list(FLAGS),
                    # Folders are replaced in both languages; their names on this machine say nothing.
                    "replaced_folders": ["/cargo", "/source", "/target"],
                    "toolchain": tools,
                    "equal_builds_in_different_folders": builds,
                },
                "resolvedDependencies": [
                    {"uri": f"git+{REPOSITORY}", "digest": {"gitCommit": revision}},
                    {
                        "uri": "Cargo.lock",
                        "digest": {
                            "sha256": digest(pathlib.Path(ROOT / "Cargo.lock").read_bytes())[7:]
                        },
                    },
                ],
            },
            "runDetails": {"builder": {"id": f"{REPOSITORY}/blob/main/scripts/release"}},
        },
    }
