"""Reads the files that a release has for each way in, as those do for whom they are."""

import configparser
import json
import pathlib
import re
import sys

import hcl2
import yaml

catalog = pathlib.Path(sys.argv[1])
registration = json.loads((catalog / "aws.json").read_text())
version, command, checksum = (registration[key] for key in ("version", "command", "sha256"))
assert re.fullmatch(r"v\d+\.\d+\.\d+", version), version
assert re.fullmatch(r"[0-9a-f]{64}", checksum), checksum


def plain(value):
    """The texts of both hosts' language are in quotes, as its reader gives them."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def stanza(text):
    """The one plugin that a configuration declares."""
    (declared,) = plain(hcl2.loads(text))["plugin"]
    return declared["secret"]["aws"]


def values(name):
    return yaml.safe_load((catalog / name).read_text())["server"]


for text in (
    (catalog / "openbao-image.hcl").read_text(),
    values("kubernetes-openbao.yaml")["standalone"]["config"],
):
    declared = stanza(text)
    assert declared["version"] == version, declared
    assert declared["sha256sum"] == checksum, declared
    assert re.search(r"@sha256:[0-9a-f]{64}$", declared["image"]), declared
declared = stanza((catalog / "openbao-command.hcl").read_text())
assert (declared["command"], declared["sha256sum"]) == (command, checksum), declared

server = values("kubernetes-vault.yaml")
(container,) = server["extraInitContainers"]
(script,) = container["args"]
assert f"{checksum}  new" in script and command in script, script
volumes = {volume["name"] for volume in server["volumes"]}
for mount in server["volumeMounts"] + container["volumeMounts"]:
    assert mount["name"] in volumes, mount
(directory,) = (mount["mountPath"] for mount in server["volumeMounts"])
configuration = plain(hcl2.loads(server["standalone"]["config"]))
assert configuration["plugin_directory"] == directory, configuration

(resource,) = (
    resource["vault_plugin"]["aws"]
    for resource in plain(hcl2.loads((catalog / "vault_plugin.tf").read_text()))["resource"]
    if "vault_plugin" in resource
)
assert (resource["command"], resource["sha256"], resource["version"]) == (command, checksum, version)

unit = configparser.ConfigParser(strict=False)
unit.optionxform = str
unit.read_string((catalog / "systemd.conf").read_text())
assert unit.sections() == ["Service"], unit.sections()
assert "/etc/vault/plugins" in unit["Service"]["ExecPaths"]

policy = plain(hcl2.loads((catalog / "policy.hcl").read_text()))["path"]
assert any("sys/plugins/catalog/secret/aws" in path for path in policy), policy
