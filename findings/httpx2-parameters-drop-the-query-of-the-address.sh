#!/usr/bin/env bash
# httpx2 2.16.2 (and httpx 0.28.1): parameters take the place of what the address has behind its question mark, they are not
# added to it: those of the call, an empty set of them, and those that a client has for all of its calls (a key, a version),
# which make each single call lose its own.
#
# Seen, for the address http://127.0.0.1/orders?page=2:
#   no parameters: page=2
#   params={"size": 5}: size=5
#   params={}: nothing
#   a client with params={"key": "k"}: key=k
#
# Expected, as with requests 2.34.2: page=2 in all of them. Exits with 1 if that changes. Nothing is sent.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 httpx2==2.16.2
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import httpx
import httpx2

ADDRESS = "http://127.0.0.1/orders?page=2"


def queries(library):
    client, keyed = library.Client(), library.Client(params={"key": "k"})
    yield "no parameters", client.build_request("GET", ADDRESS)
    yield 'params={"size": 5}', client.build_request("GET", ADDRESS, params={"size": 5})
    yield "params={}", client.build_request("GET", ADDRESS, params={})
    yield 'a client with params={"key": "k"}', keyed.build_request("GET", ADDRESS)


seen = [[f"{what}: {request.url.query.decode() or 'nothing'}" for what, request in queries(each)] for each in (httpx, httpx2)]
print(*seen[0], sep="\n")
print("httpx2: the same" if seen[0] == seen[1] else f"httpx2: {seen[1]}")
PY
diff - "$work/seen" <<'SEEN'
no parameters: page=2
params={"size": 5}: size=5
params={}: nothing
a client with params={"key": "k"}: key=k
httpx2: the same
SEEN
