"""What is in the binary: every crate with its version and licence, and the C library."""

import functools
import hashlib
import json
import pathlib
import re
import subprocess
import uuid
import zlib

from releasing.build import PLUGIN, ROOT
from releasing.failure import Failure

# Text of licences, as crates name the files.
LICENCE_FILES = re.compile(r"(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)
# Where cargo-auditable puts its list, and scanners look for it.
SECTION = ".dep-v0"
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def asked(*command):
    try:
        finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed") from None
    if finished.returncode != 0:
        raise Failure(f"`{' '.join(command)}` failed, see above")
    return finished.stdout


@functools.cache
def metadata(target):
    return json.loads(
        asked("cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}")
    )


def tree(target, edges):
    """Name and version of the crates that cargo builds over these edges, and over no others."""
    printed = asked(
        "cargo", "tree", "--locked", "--prefix=none", "--no-dedupe", "--format={p}",
        f"--target={target}", f"--edges={edges}",
    )
    return {tuple(line.split()[:2]) for line in printed.splitlines() if line}


class Crates:
    """The crates of the release for a target, those that only help to build it among them."""

    def __init__(self, target):
        resolved = metadata(target)
        linked = tree(target, "normal,no-proc-macro")
        built = tree(target, "normal,build")
        self.packages = sorted(
            (
                package for package in resolved["packages"]
                if (package["name"], f"v{package['version']}") in built
            ),
            key=lambda package: (package["name"], package["version"]),
        )
        if len(self.packages) != len(built):
            raise Failure("cargo metadata and cargo tree disagree about the dependencies")
        self.is_linked = {
            package["id"]: (package["name"], f"v{package['version']}") in linked
            for package in self.packages
        }
        self.uses = {
            node["id"]: sorted(
                dependency["pkg"] for dependency in node["deps"]
                if dependency["pkg"] in self.is_linked and dependency["pkg"] != node["id"]
                and any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
            )
            for node in resolved["resolve"]["nodes"]
            if node["id"] in self.is_linked
        }
        (self.root,) = (package for package in self.packages if package["name"] == PLUGIN)

    def others(self):
        return [package for package in self.packages if package is not self.root]


def checksums():
    """Of crates.io's archives, from the lock file."""
    found, name = {}, None
    for line in (ROOT / "Cargo.lock").read_text().splitlines():
        key, _, value = line.partition(" = ")
        if key == "name":
            name = value.strip('"')
        elif key == "version":
            version = value.strip('"')
        elif key == "checksum":
            found[name, version] = value.strip('"')
    return found


def auditable(crates):
    """The list in the form of cargo-auditable, compressed, for a section of the binary."""
    numbers = {package["id"]: number for number, package in enumerate(crates.packages)}
    listed = []
    for package in crates.packages:
        entry = {
            "name": package["name"],
            "version": package["version"],
            "source": "crates.io" if package["source"] == CRATES_IO else "local",
        }
        if not crates.is_linked[package["id"]]:
            entry["kind"] = "build"
        if used := sorted(numbers[other] for other in crates.uses[package["id"]]):
            entry["dependencies"] = used
        if package is crates.root:
            entry["root"] = True
        listed.append(entry)
    return zlib.compress(json.dumps({"packages": listed}, separators=(",", ":")).encode(), 9)


def identifier(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def bill_of_materials(crates, version, runtime, subjects):
    """CycloneDX 1.6. `subjects` are names and SHA-256 of the binaries."""
    sums = checksums()

    def component(package):
        known = sums.get((package["name"], package["version"]))
        return {
            "type": "library",
            "bom-ref": identifier(package),
            "name": package["name"],
            "version": package["version"],
            "purl": identifier(package),
            # What helps to build is not in the binary.
            "scope": "required" if crates.is_linked[package["id"]] else "excluded",
            "licenses": [{"expression": (package["license"] or "NOASSERTION").replace("/", " OR ")}],
            **({"hashes": [{"alg": "SHA-256", "content": known}]} if known else {}),
            **(
                {"externalReferences": [{"type": "vcs", "url": package["repository"]}]}
                if package["repository"] else {}
            ),
        }

    main = {
        "type": "application",
        "bom-ref": identifier(crates.root),
        "name": PLUGIN,
        "version": version.removeprefix("v"),
        "purl": identifier(crates.root),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "components": [
            {
                "type": "file",
                "bom-ref": name,
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": checksum}],
            }
            for name, checksum in subjects
        ],
    }
    names = {package["id"]: identifier(package) for package in crates.packages}
    edges = [
        {
            "ref": names[package["id"]],
            "dependsOn": [names[used] for used in crates.uses[package["id"]]]
            + ([part["bom-ref"] for part in runtime] if package is crates.root else []),
        }
        for package in crates.packages
    ]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main, "tools": {"components": [
            {"type": "application", "name": "scripts/release", "version": version}
        ]}},
        "components": [component(package) for package in crates.others()] + runtime,
        "dependencies": edges,
    }
    # The same list has the same number, whoever makes it.
    fingerprint = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()[:16]
    return {**content, "serialNumber": f"urn:uuid:{uuid.UUID(bytes=fingerprint, version=4)}"}


def runtime_components(toolchain, is_gnu):
    """What is linked beside crates."""
    def part(name, version, licence):
        return {
            "type": "library",
            "bom-ref": f"pkg:generic/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:generic/{name}@{version}",
            "scope": "required",
            "licenses": [{"expression": licence}],
        }

    library = (
        part("glibc", toolchain["c_library"], "LGPL-2.1-or-later")
        if is_gnu else part("musl", toolchain["c_library"], "MIT")
    )
    return [library, part("rust-std", toolchain["rustc"].split()[1], "MIT OR Apache-2.0")]


def licences(crates, runtime):
    """The text of every licence, each text once, and under it the crates that have it."""
    texts = {}
    without = []
    for package in crates.others():
        if not crates.is_linked[package["id"]]:
            continue
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(
            file for file in folder.iterdir() if file.is_file() and LICENCE_FILES.match(file.name)
        )
        named = f"{package['name']} {package['version']} ({package['license']})"
        for file in files:
            text = "\n".join(
                line.rstrip() for line in file.read_text(errors="replace").splitlines()
            ).strip()
            texts.setdefault(text, set()).add(named)
        if not files:
            without.append(named)
    parts = [
        "The licences of what is in this program, which is itself under the Apache License 2.0.\n",
        *(
            f"{library['name']} {library['version']} ({library['licenses'][0]['expression']})"
            for library in runtime
        ),
        "",
        "The GNU C Library, where it is named above, is linked statically and under the GNU Lesser General",
        "Public License. This program's whole source and how it is built are published with it, so that it",
        "can be linked with another build of that library.",
    ]
    for text, names in sorted(texts.items(), key=lambda item: sorted(item[1])):
        parts += ["", "=" * 100, *sorted(names), "-" * 100, "", text]
    if without:
        parts += ["", "=" * 100, "Without a text of their own, under the licence named here:", *without]
    return "\n".join(parts) + "\n"

