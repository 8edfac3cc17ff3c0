#!/usr/bin/env bash
# @temporalio/common 1.24.0 (TypeScript SDK): the type of an error that an activity throws is the name of its class,
# and not its `name`, which JavaScript prints, and libraries set. What a bundler has made shorter is another type.
#
# Seen:
#   name: printed as "Declined: no", type Named
#   minified: printed as "Error: no", type a
#   Error with a name: printed as "Declined: no", type Error
#
# Expected by a reader of a stack: what is printed. Exits with 1 if that changes. Needs Node 20 and npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts @temporalio/common@1.24.0
cat >main.mjs <<'JS'
import common from '@temporalio/common';

class Named extends Error {
  name = 'Declined';
}
const a = class extends Error {}; // as a bundler leaves `class Declined extends Error`
const errors = {
  name: new Named('no'),
  minified: new a('no'),
  'Error with a name': Object.assign(new Error('no'), { name: 'Declined' }),
};
for (const [what, error] of Object.entries(errors)) {
  console.log(`${what}: printed as "${error}", type ${common.ensureApplicationFailure(error).type}`);
}
JS
node main.mjs | tee seen
diff - seen <<'SEEN'
name: printed as "Declined: no", type Named
minified: printed as "Error: no", type a
Error with a name: printed as "Declined: no", type Error
SEEN
