"""Whether what is in dist/ is what it says."""

import hashlib
import json
import os
import re
import struct
import zlib

from releasing import image
from releasing.build import PLUGIN, cargo_home, reported
from releasing.dependencies import SECTION
from releasing.failure import Failure

SUMS = "SHA256SUMS"
# Programs that need an interpreter to be started, which is where the C library would come in.
PT_INTERP, PT_DYNAMIC = 3, 2
DT_NEEDED = 1
SHT_NULL = 0
# What this machine can run.
HERE = {"x86_64": "amd64", "aarch64": "arm64"}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Elf:
    """As much of a 64-bit little-endian program as there is to ask of it."""

    def __init__(self, content):
        if content[:6] != b"\x7fELF\x02\x01":
            raise Failure("the binary is no 64-bit program for Linux")
        self.content = content
        (self.program_at, self.sections_at) = struct.unpack_from("<QQ", content, 32)
        (self.program_size, self.programs, self.section_size, self.sections, self.names) = (
            struct.unpack_from("<HHHHH", content, 54)
        )

    def segments(self):
        """Type, and the bytes in the file."""
        for number in range(self.programs):
            at = self.program_at + number * self.program_size
            kind, _, start, _, _, size = struct.unpack_from("<IIQQQQ", self.content, at)
            yield kind, self.content[start : start + size]

    def section(self, wanted):
        def header(number):
            at = self.sections_at + number * self.section_size
            name, kind, _, _, start, size = struct.unpack_from("<IIQQQQ", self.content, at)
            return name, kind, self.content[start : start + size]

        _, _, names = header(self.names)
        for number in range(self.sections):
            name, kind, content = header(number)
            if kind != SHT_NULL and names[name : names.index(b"\0", name)].decode() == wanted:
                return content
        return None

    def is_static(self):
        for kind, content in self.segments():
            if kind == PT_INTERP:
                return False
            if kind == PT_DYNAMIC:
                tags = struct.iter_unpack("<qQ", content[: len(content) // 16 * 16])
                if any(tag == DT_NEEDED for tag, _ in tags):
                    return False
        return True


def packages_in(content):
    """What scanners find in a binary."""
    packed = Elf(content).section(SECTION)
    if packed is None:
        raise Failure(f"the binary has no section {SECTION}")
    return json.loads(zlib.decompress(packed))["packages"]


def no_folder_of_a_machine(content, folders):
    """A folder's name would tell one build from another, and whoever made it from others."""
    for folder in folders:
        if folder.encode() in content:
            raise Failure(f"the binary holds the name of a folder of this machine, {folder}")
    found = re.search(rb"/(?:home|root|Users)/[\w./-]*(?:\.rs|\.c|\.h)\b", content)
    if found:
        raise Failure(f"the binary holds the name of a file of a machine, {found[0].decode()}")


def binary(path, version, folders):
    content = path.read_bytes()
    if not Elf(content).is_static():
        raise Failure(f"{path.name} needs libraries of the machine that it runs on")
    no_folder_of_a_machine(content, folders)
    (root,) = (package for package in packages_in(content) if package.get("root"))
    if (root["name"], f"v{root['version']}") != (PLUGIN, version):
        raise Failure(f"{path.name} says that it is {root['name']} {root['version']}")
    if path.name.endswith(HERE.get(os.uname().machine, "nowhere")) and reported(path) != version:
        raise Failure(f"{path.name} says that it is {reported(path)}")


def sums(directory):
    """Every file and its sum, as SHA256SUMS has them; each is held against the file."""
    listed = {}
    for line in (directory / SUMS).read_text().splitlines():
        checksum, name = line.split("  ", 1)
        listed[name] = checksum
    there = {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and path.name != SUMS and not path.name.endswith(".sigstore.json")
        and path.relative_to(directory).parts[:2] != (image.LAYOUT, "blobs")
    }
    if there != set(listed):
        raise Failure(f"{SUMS} and the files differ in {sorted(there ^ set(listed))}")
    for name, checksum in listed.items():
        if sha256(directory / name) != checksum:
            raise Failure(f"{name} is not what {SUMS} says")
    return listed


def release(directory, version, is_trial):
    """All of it. A trial is of a binary that somebody else has built."""
    if not (directory / SUMS).is_file():
        raise Failure(f"{directory} holds no release: run scripts/release")
    listed = sums(directory)
    binaries = {name: checksum for name, checksum in listed.items() if re.search(r"-linux-\w+$", name)}
    if not binaries:
        raise Failure(f"{directory} holds no binary")
    digest, packed = image.read(directory / image.LAYOUT)
    for name, checksum in binaries.items():
        if not is_trial:
            binary(directory / name, version, [str(cargo_home())])
        inside = hashlib.sha256(packed[name.rsplit("-", 1)[1]]).hexdigest()
        if inside != checksum:
            raise Failure(f"the image holds another binary than {name}")

    bill = json.loads((directory / f"{PLUGIN}-{version}.cdx.json").read_text())
    described = {
        part["name"]: part["hashes"][0]["content"] for part in bill["metadata"]["component"]["components"]
    }
    if described != binaries:
        raise Failure("the bill of materials is about other binaries")
    if not is_trial:
        components = {(part["name"], part["version"]) for part in bill["components"]}
        for name in binaries:
            packages = packages_in((directory / name).read_bytes())
            unknown = {
                (package["name"], package["version"]) for package in packages if not package.get("root")
            } - components
            if unknown:
                raise Failure(f"the bill of materials lacks {sorted(unknown)}")

    statement = json.loads((directory / "provenance.json").read_text())
    subjects = {part["name"]: part["digest"]["sha256"] for part in statement["subject"]}
    if subjects.get("image") != digest.removeprefix("sha256:"):
        raise Failure("the provenance is about another image")
    for name, checksum in binaries.items():
        if subjects.get(name) != checksum:
            raise Failure(f"the provenance is about another {name}")
    return digest, binaries
