import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/** What the ledger says no to; `type` becomes the error type of the activity. */
export class Refused extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}

/**
 * A ledger is right in the three hard cases: an undo without a do succeeds and is remembered, a do that comes
 * after its undo is refused, and everything twice is answered as it was the first time. It is a file of lines,
 * each on the disk before its answer leaves, so that a worker that is killed has lost nothing. Its methods do not
 * wait for anything, so nothing comes between.
 */
export class Ledger {
  #file;
  #accounts;
  #balances = new Map();
  #done = new Map();
  #undone = new Map();

  /** `accounts` says of each account by name whether it takes money. */
  constructor(path, accounts) {
    this.#accounts = accounts;
    for (const line of existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []) {
      try {
        this.#take(JSON.parse(line));
      } catch {
        break; // half a line: its answer never left
      }
    }
    this.#file = openSync(path, 'a', 0o600);
  }

  credit(key, account, amount) {
    const before = this.#done.get(key);
    if (before !== undefined) {
      if (before.account !== account || before.amount !== amount) {
        throw new Refused('KeyReused', 'the key stands for another movement');
      }
      return before;
    }
    if (this.#undone.has(key)) {
      throw new Refused('AlreadyUndone', 'this movement was undone before it came');
    }
    if (!this.#accounts.has(account)) {
      throw new Refused('UnknownAccount', `there is no account \`${account}\``);
    }
    if (!this.#accounts.get(account)) {
      throw new Refused('AccountClosed', `account \`${account}\` takes no money`);
    }
    return this.#write({ key, account, amount, balance: this.#balance(account) + amount });
  }

  undo(key) {
    const before = this.#undone.get(key);
    if (before !== undefined) {
      return before;
    }
    const { account, amount = 0 } = this.#done.get(key) ?? {}; // nothing, if there is nothing to undo
    return this.#write({ key, account, amount, balance: this.#balance(account) - amount, undone: true });
  }

  close() {
    closeSync(this.#file);
  }

  #write(entry) {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
    this.#take(entry);
    return entry;
  }

  #take(entry) {
    (entry.undone ? this.#undone : this.#done).set(entry.key, entry);
    this.#balances.set(entry.account, entry.balance);
  }

  #balance(account) {
    return this.#balances.get(account) ?? 0;
  }
}
