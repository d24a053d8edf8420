"""Verifies an identity token as any party does that knows the issuer's URL and nothing else.

    verify_token.py ISSUER AUDIENCE SUBJECT [COPIES] < token

prints the token's claims. What is wrong with it goes to standard error. COPIES is the URL of a place
that has copies of the issuer's documents, from which they are then read.
"""

import json
import sys
import urllib.request

from joserfc import jwt
from joserfc.jwk import KeySet


def read(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def main(issuer, audience, subject, copies=None):
    place = copies or issuer
    configuration = read(f"{place}/.well-known/openid-configuration")
    if configuration["issuer"] != issuer:
        sys.exit(f"the documents are of {configuration['issuer']}")
    keys = KeySet.import_key_set(read(configuration["jwks_uri"].replace(issuer, place, 1)))
    algorithms = configuration["id_token_signing_alg_values_supported"]
    token = jwt.decode(sys.stdin.read().strip(), keys, algorithms=algorithms)
    wanted = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        sub={"essential": True, "value": subject},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
    wanted.validate(token.claims)
    print(json.dumps(token.claims))


main(*sys.argv[1:])
