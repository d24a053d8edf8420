"""The files that put a release into service, from the templates in plugin-catalog/."""

import json
import re

from releasing.build import ROOT
from releasing.failure import Failure

FOLDER = "plugin-catalog"
TEMPLATE = ".in"
PLACE = re.compile(r"@([A-Z0-9_]+)@")
# Where nobody said where the image will be.
REGISTRY = "registry.example.com/vault-plugin-secrets-aws"


def values(version, binary, checksum, registry, image):
    return {
        "VERSION": version,
        "BINARY": binary,
        "SHA256": checksum,
        "REGISTRY": registry,
        "IMAGE_DIGEST": image,
        "IMAGE": f"{registry}:{version}@{image}",
    }


def filled(text, known, name):
    def value(found):
        if found[1] not in known:
            raise Failure(f"{FOLDER}/{name}: nothing is known as {found[0]}")
        return known[found[1]]

    return PLACE.sub(value, text)


def write(directory, known):
    """Fills the templates, and copies what is none."""
    directory.mkdir()
    for source in sorted((ROOT / FOLDER).iterdir()):
        if source.name == "README.md":
            continue
        text = source.read_text()
        if source.suffix == TEMPLATE:
            text = filled(text, known, source.name)
        (directory / source.name.removesuffix(TEMPLATE)).write_text(text)
    registration = json.loads((directory / "aws.json").read_text())
    registration |= {
        "command": known["BINARY"], "version": known["VERSION"], "sha256": known["SHA256"],
    }
    (directory / "aws.json").write_text(json.dumps(registration, indent=2) + "\n")
