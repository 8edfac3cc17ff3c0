#!/usr/bin/env bash
# grpcio 1.85.3: a call that the server has carried out, and whose reply is longer than the client takes (4 MB by default), ends
# with RESOURCE_EXHAUSTED. A server that does nothing, as it has no room, answers with the same code. Only the text of the
# client's own error tells them apart: whoever goes by the code does the call again.
#
# Seen:
#   carried out, long reply: RESOURCE_EXHAUSTED, calls carried out: 1
#   refused: RESOURCE_EXHAUSTED, calls carried out: 0
#   the first one says that a received message is too large: True
#
# Expected: a code that does not also mean that nothing was done. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.3
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
from concurrent.futures import ThreadPoolExecutor

import grpc

done = []


def work(request, context):
    if request == b"refuse":
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
    done.append(request)
    return b"x" * 5_000_000


server = grpc.server(ThreadPoolExecutor(1))
handlers = {"Work": grpc.unary_unary_rpc_method_handler(work)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
said = []
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    for what, sent in (("carried out, long reply", b"work"), ("refused", b"refuse")):
        before = len(done)
        try:
            channel.unary_unary("/a.B/Work")(sent)
        except grpc.RpcError as error:
            said.append(error.details())
            print(f"{what}: {error.code().name}, calls carried out: {len(done) - before}")
print("the first one says that a received message is too large:", "Received message larger than max" in said[0])
server.stop(None).wait()
PY
diff - "$work/seen" <<'SEEN'
carried out, long reply: RESOURCE_EXHAUSTED, calls carried out: 1
refused: RESOURCE_EXHAUSTED, calls carried out: 0
the first one says that a received message is too large: True
SEEN
