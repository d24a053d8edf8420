"""A client of the npm registry."""

import json
import pathlib
import shutil

import fetch
from client import Client, flow
from world import expect

HERE = pathlib.Path(__file__).resolve().parent


class NodeVault(Client):
    name = "node-vault"

    @classmethod
    def version(cls):
        return fetch.npm_version("node-vault")

    @classmethod
    def fetch(cls):
        fetch.npm()

    @flow("configuration, roles, static role, credentials, renewal, errors")
    def everything(self):
        world = self.world
        user = world.user("ci-uploader")
        printed = run_module(
            world, "node_vault.mjs", world.assumable_role("deploy"), user, world.aws.url, *world.root
        )
        answers = json.loads(printed.splitlines()[-1])
        expect(world.keys_of(user) == [answers["key"]], "not the static role's key")
        expect(len(world.generated_users()) == 1, "one IAM user was expected")
        world.write("sys/leases/revoke", lease_id=answers["generated"], sync=True)
        expect(not world.generated_users(), "revoking the lease left the user")


def run_module(world, name, *arguments, **options):
    """Runs a module of this folder where its packages are: Node looks for them beside the file."""
    packages = fetch.npm()
    shutil.copy(HERE / name, packages)
    # Chromium is unpacked to the temporary directory.
    return world.run(
        shutil.which("node"), packages / name, *arguments, TMPDIR=str(world.directory), **options
    )
