package com.example.partner;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A ledger is right in the three hard cases: an undo without a do succeeds and is remembered, a do that comes after its
 * undo is refused, and everything twice is answered as it was the first time. It is a file of lines, each on the disk
 * before its answer leaves, so that a worker that is killed has lost nothing.
 */
final class Ledger {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** One line of the file: what has happened under a key, and what was answered. */
  @JsonInclude(JsonInclude.Include.NON_DEFAULT)
  record Entry(String key, String account, long amount, long balance, boolean undone) {}

  /** What the ledger says no to; the type becomes the error type of the activity. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1;
    final String type;

    Refused(String type, String message) {
      super(message);
      this.type = type;
    }
  }

  private final FileOutputStream file;
  private final Map<String, Boolean> accounts;
  private final Map<String, Long> balances = new HashMap<>();
  private final Map<String, Entry> done = new HashMap<>();
  private final Map<String, Entry> undone = new HashMap<>();

  /**
   * @param accounts whether an account takes money, by its name
   */
  Ledger(Path path, Map<String, Boolean> accounts) throws IOException {
    this.accounts = accounts;
    for (String line : Files.exists(path) ? Files.readAllLines(path) : List.<String>of()) {
      try {
        take(JSON.readValue(line, Entry.class));
      } catch (JsonProcessingException half) {
        break; // half a line: its answer never left
      }
    }
    file = new FileOutputStream(path.toFile(), true);
  }

  synchronized Entry credit(String key, String account, long amount) throws Refused, IOException {
    Entry before = done.get(key);
    if (before != null) {
      if (!before.account.equals(account) || before.amount != amount) {
        throw new Refused("KeyReused", "the key stands for another movement");
      }
      return before;
    }
    if (undone.containsKey(key)) {
      throw new Refused("AlreadyUndone", "this movement was undone before it came");
    }
    Boolean takesMoney = accounts.get(account);
    if (takesMoney == null) {
      throw new Refused("UnknownAccount", "there is no account `" + account + "`");
    }
    if (!takesMoney) {
      throw new Refused("AccountClosed", "account `" + account + "` takes no money");
    }
    return write(new Entry(key, account, amount, balance(account) + amount, false));
  }

  synchronized Entry undo(String key) throws IOException {
    Entry before = undone.get(key);
    if (before != null) {
      return before;
    }
    Entry did = done.getOrDefault(key, new Entry(key, null, 0, 0, false)); // if there is nothing to undo
    return write(new Entry(key, did.account, did.amount, balance(did.account) - did.amount, true));
  }

  private Entry write(Entry entry) throws IOException {
    file.write((JSON.writeValueAsString(entry) + "\n").getBytes(StandardCharsets.UTF_8));
    file.getFD().sync();
    take(entry);
    return entry;
  }

  private void take(Entry entry) {
    (entry.undone ? undone : done).put(entry.key, entry);
    balances.put(entry.account, entry.balance);
  }

  private long balance(String account) {
    return balances.getOrDefault(account, 0L);
  }
}
