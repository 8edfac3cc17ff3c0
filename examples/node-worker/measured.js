// What arrives from JavaScript: activities that return and report all that is told in docs/other-languages.md, which is
// made from their real runs. Nothing to copy: worker.js shows how it is done.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { ApplicationFailure, Context, heartbeat } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1:7233' },
    'task-queue': { type: 'string', default: 'measured' },
  },
});

class Declined extends Error {}
class Named extends Error {
  name = 'Declined';
}

const final = () => ApplicationFailure.nonRetryable('no', 'Declined');
const gives = (value) => async () => value;
const fails = (thrown) => async () => {
  throw thrown;
};
const circle = {};
circle.itself = circle;

const activities = {
  echo: async (value) => value,

  integer: gives(2 ** 53 + 1),
  whole_float: gives(1.0),
  minus_zero: gives(-0),
  large_float: gives(1e21),
  bytes: gives(new Uint8Array([0, 255])),
  bytes_inside: gives({ data: new Uint8Array([0, 255]) }),
  instant: gives(new Date(1500)),
  nothing: async () => {},
  null: gives(null),
  undefined_inside: gives({ a: undefined, b: [undefined] }),
  map: gives(new Map([['a', 1]])),
  set: gives(new Set([1])),
  nan: gives(NaN),
  infinity_inside: gives({ a: Infinity }),
  instance: gives(new (class Point { x = 1; #y = 2; })()),

  big_integer: gives(10n ** 21n),
  circle: gives(circle),
  function: gives(() => 1),
  refuses: gives({ toJSON() { throw new Error('not this one'); } }),
  too_large: gives('x'.repeat(3_000_000)),

  plain: fails(new Error('no')),
  typed_error: fails(new Declined('no')),
  named: fails(new Named('no')),
  retryable: fails(ApplicationFailure.retryable('no', 'Declined')),
  final: fails(final()),
  wrapped: fails(new Error('while charging', { cause: final() })),
  joined: fails(new AggregateError([final(), new Error('the log is full')], 'two')),
  thrown_text: fails('no'),
  thrown_object: fails({ code: 'Declined' }),
  thrown_nothing: fails(undefined),
  type_error: async () => null.account,

  heartbeat: async () => {
    heartbeat(['a', 2]);
    await Context.current().cancelled;
  },
  stops: async () => {
    await Context.current().cancelled;
  },
  stops_inside: async () => {
    const { cancellationSignal: signal } = Context.current();
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError'))));
  },
  stops_wrapped: async () => {
    try {
      await Context.current().cancelled;
    } catch (error) {
      throw new Error('while charging', { cause: error });
    }
  },
};

Runtime.install({ logger: new DefaultLogger('ERROR', () => {}) });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address: options.address }),
  taskQueue: options['task-queue'],
  activities: Object.fromEntries(Object.entries(activities).map(([name, call]) => [`measured.${name}`, call])),
  shutdownGraceTime: '500ms',
});
const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json');
console.error(`serves with TypeScript SDK ${version} on Node ${process.versions.node}`);
await worker.run();
