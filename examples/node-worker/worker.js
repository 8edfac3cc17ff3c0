// Worker B: the activities of a second service, in JavaScript, on a task queue of its own. The saga that calls them is
// interpreted by a worker of sagadsl; this one serves activities alone, and knows nothing of sagas.
import { parseArgs } from 'node:util';
import { ApplicationFailure, heartbeat, sleep } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { Ledger, Refused } from './ledger.js';

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1:7233' },
    namespace: { type: 'string', default: 'default' },
    'task-queue': { type: 'string', default: 'partner' },
    ledger: { type: 'string', default: 'partner.jsonl' },
    open: { type: 'string', default: 'carol,dave' }, // accounts
    closed: { type: 'string', default: 'erin' }, // accounts that take no money any more
    slow: { type: 'string', default: '0s' }, // let each credit take so many seconds
  },
});

const names = (text, takesMoney) => text.split(',').map((name) => [name, takesMoney]);
const ledger = new Ledger(options.ledger, new Map([...names(options.open, true), ...names(options.closed, false)]));

// The names of the activities, as the definition writes them. What an input lacks is `undefined`, so it is checked by hand.
const activities = {
  /** Give money to an account, once per key. */
  'partner.credit': async ({ account, amount, key }) => {
    if (!key || !account || !Number.isSafeInteger(amount) || amount <= 0) {
      throw no('InvalidInput', 'key, account and a positive amount are needed');
    }
    await pause(Number.parseFloat(options.slow));
    const { balance } = answered(() => ledger.credit(key, account, amount));
    return { account, balance, key };
  },

  /** Take the money back that was given under a key, or nothing; the key is refused from then on. */
  'partner.undo_credit': async ({ key }) => {
    if (!key) {
      throw no('InvalidInput', 'a key is needed');
    }
    const { account } = answered(() => ledger.undo(key));
    return { key, undone: account !== undefined };
  },
};

/** Make an activity slow, for demonstrations of crashes; its heartbeats let the server notice them. */
async function pause(seconds) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(50)) {
    heartbeat(); // `sleep` throws when a cancel has come with one
  }
}

/**
 * Turn a no of the ledger into an error with a type. It will be the same at every attempt, so it is not retried;
 * anything else (a full disk) may pass, and is.
 */
function answered(call) {
  try {
    return call();
  } catch (error) {
    throw error instanceof Refused ? no(error.type, error.message) : error;
  }
}

function no(type, message) {
  return ApplicationFailure.nonRetryable(message, type);
}

Runtime.install({ logger: new DefaultLogger('ERROR') }); // not a line for each error that an activity gives on purpose
const connection = await NativeConnection.connect({ address: options.address });
const worker = await Worker.create({
  connection,
  namespace: options.namespace,
  taskQueue: options['task-queue'],
  activities,
  shutdownGraceTime: '10s',
});
console.error(`partner serves task queue ${options['task-queue']} at ${options.address}`);
await worker.run(); // until SIGINT or SIGTERM
await connection.close();
ledger.close();
