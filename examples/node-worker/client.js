// A client in JavaScript: starts a saga by its name, waits for its end, and reads the failure with its type and its report.
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { ApplicationFailure, CancelledFailure, Client, Connection, WorkflowFailedError } from '@temporalio/client';

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1:7233' },
    namespace: { type: 'string', default: 'default' },
    'task-queue': { type: 'string', default: 'sagadsl' }, // where a worker of sagadsl knows the saga
    saga: { type: 'string', default: 'transfer-abroad' },
    id: { type: 'string', default: randomUUID() },
    input: { type: 'string', default: '{}' }, // as JSON
  },
});

const connection = await Connection.connect({ address: options.address });
const client = new Client({ connection, namespace: options.namespace });
const run = await client.workflow.start(options.saga, {
  workflowId: options.id,
  taskQueue: options['task-queue'],
  // Idempotency keys are made of the id, so an id is used once: of a second run of it, no key would be new.
  workflowIdReusePolicy: 'REJECT_DUPLICATE',
  args: [JSON.parse(options.input)],
});
console.log(`started ${options.saga} as ${run.workflowId}`);
try {
  console.log('completed:', JSON.stringify(await run.result()));
} catch (error) {
  if (!(error instanceof WorkflowFailedError)) {
    throw error;
  }
  process.exitCode = told(error.cause); // the same exit codes as `sagadsl run`
} finally {
  await connection.close();
}

function told(failure) {
  if (failure instanceof CancelledFailure) {
    console.log('cancelled');
    return 12;
  }
  if (!(failure instanceof ApplicationFailure)) {
    console.log(`failed: ${failure}`);
    return 11;
  }
  const [report] = failure.details ?? []; // what a failed saga leaves
  const notUndone = report.not_undone.map((each) => each.path);
  console.log(`${report.status}: ${failure.type}`);
  console.log(`  ${failure.message}`);
  console.log(`  failed step ${report.failed_step}, undone [${report.undone.join(' ')}], not undone [${notUndone.join(' ')}]`);
  return report.status === 'compensated' ? 10 : 11;
}
