#!/usr/bin/env bash
# The main job, shown: a transfer that succeeds, then one that fails and is undone. Makes its own bank in the folder given.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
folder="${1:-$root/build/demo}"
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

say "A bank with two accounts"
show bank init --accounts alice=100 bob=50

say "A transfer that succeeds"
show sagadsl run "$root/definitions/transfer_money.saga.yaml" \
  --set from_account=alice --set to_account=bob --set amount=30
show bank balances

say "A transfer whose last step fails: both movements are undone, newest first"
code=0
show sagadsl run "$root/definitions/transfer_money.saga.yaml" \
  --set from_account=alice --set to_account=bob --set amount=30 --set fail=true || code=$?
echo "exit code $code (10: failed, and all of it was undone)"
[ "$code" -eq 10 ]
show bank balances

say "No money was made or lost"
show bank check
