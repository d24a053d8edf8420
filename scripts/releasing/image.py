"""The image, as a folder that registries and their tools take, made without a container engine.

Nothing of the machine or the moment is in it, so its digest follows from the binary, and from the version of
zstandard that scripts/requirements.txt pins.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile

from releasing.build import PLUGIN, ROOT, TARGETS
from releasing.failure import Failure

LAYOUT = "image"
LARGEST = 5_000_000
# Of nobody: the host that pulls it starts the program itself, as its own user.
USER = "65532:65532"

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIGURATION = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"


def layer(binary):
    """The one file, in the root, where OpenBao looks for it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(PLUGIN)
        entry.mode = 0o755
        entry.size = len(binary)
        archive.addfile(entry, io.BytesIO(binary))
    return packed.getvalue()


def zstandard(call, content):
    """Has the environment's zstandard pack or unpack something: Python has it by itself from 3.14 on only,
    and the same bytes come from the same version of it."""
    listed = subprocess.run([ROOT / "scripts" / "environment"], stdout=subprocess.PIPE, text=True)
    if listed.returncode != 0:
        raise Failure("the image cannot be packed without the environment of scripts/environment")
    python = dict(line.split("=", 1) for line in listed.stdout.splitlines())["PYTHON"]
    program = f"import sys, zstandard; sys.stdout.buffer.write({call}(sys.stdin.buffer.read()))"
    ran = subprocess.run([python, "-c", program], input=content, stdout=subprocess.PIPE)
    if ran.returncode != 0:
        raise Failure("zstandard failed, see above")
    return ran.stdout


def packed(plain, largest):
    """As small as can be where the size counts, and quickly for a trial."""
    level = 1 if largest is None else 19
    return zstandard(f"zstandard.ZstdCompressor(level={level}).compress", plain)


def unpacked(content):
    return zstandard("zstandard.ZstdDecompressor().decompress", content)


def encoded(value):
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Layout:
    """A folder of the form that the OCI image specification calls a layout."""

    def __init__(self, directory):
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self.blobs = directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def add(self, media_type, content):
        (self.blobs / digest(content).removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def write(directory, binaries, version, commit, repository, largest):
    """Writes the image of these binaries, one for each target, and returns its digest."""
    layout = Layout(directory)
    labels = {
        "org.opencontainers.image.title": PLUGIN,
        "org.opencontainers.image.description":
            "The AWS secrets engine of HashiCorp Vault and OpenBao as an external plugin",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.source": repository,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    manifests = []
    for target, binary in sorted(binaries.items()):
        plain = layer(binary)
        platform = {"architecture": TARGETS[target], "os": "linux"}
        configuration = {
            **platform,
            "config": {"Entrypoint": [f"/{PLUGIN}"], "Labels": labels, "User": USER},
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
            "history": [{"created_by": "scripts/release", "comment": "the static binary"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "annotations": labels,
            "config": layout.add(CONFIGURATION, encoded(configuration)),
            "layers": [layout.add(LAYER, packed(plain, largest))],
        }
        size = manifest["layers"][0]["size"]
        if largest is not None and size > largest:
            raise Failure(f"the layer for {target} has {size} bytes, more than {largest}")
        manifests.append({**layout.add(MANIFEST, encoded(manifest)), "platform": platform})

    if len(manifests) == 1:
        named = manifests[0]
    else:
        listed = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        named = layout.add(INDEX, encoded({**listed, "annotations": labels}))
    tagged = {**named, "annotations": {"org.opencontainers.image.ref.name": version}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [tagged]}
    (directory / "index.json").write_bytes(encoded(index))
    (directory / "oci-layout").write_bytes(encoded({"imageLayoutVersion": "1.0.0"}))
    return named["digest"]


def read(directory):
    """What such a folder holds: the digest of the image, and its binaries by architecture.

    Every blob is held against its digest and size.
    """
    if json.loads((directory / "oci-layout").read_text()) != {"imageLayoutVersion": "1.0.0"}:
        raise Failure(f"{directory} is not an image layout of version 1.0.0")

    def blob(descriptor):
        content = (directory / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
        if (digest(content), len(content)) != (descriptor["digest"], descriptor["size"]):
            raise Failure(f"{descriptor['digest']} in {directory} is something else")
        return content

    def manifests(descriptor):
        content = json.loads(blob(descriptor))
        if descriptor["mediaType"] == INDEX:
            for listed in content["manifests"]:
                yield from manifests(listed)
        else:
            yield content

    (named,) = json.loads((directory / "index.json").read_text())["manifests"]
    binaries = {}
    for manifest in manifests(named):
        configuration = json.loads(blob(manifest["config"]))
        (packed,) = manifest["layers"]
        plain = unpacked(blob(packed))
        if configuration["rootfs"]["diff_ids"] != [digest(plain)]:
            raise Failure(f"the layer {packed['digest']} is not the one of its image")
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            (entry,) = archive.getmembers()
            content = archive.extractfile(entry).read()
        if configuration["config"]["Entrypoint"] != [f"/{entry.name}"] or entry.mode != 0o755:
            raise Failure(f"the image does not start what is in it, {entry.name}")
        binaries[configuration["architecture"]] = content
    return named["digest"], binaries
