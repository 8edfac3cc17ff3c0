package com.example.partner;

import io.temporal.activity.Activity;
import io.temporal.client.WorkflowClient;
import io.temporal.client.WorkflowClientOptions;
import io.temporal.failure.ApplicationFailure;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import io.temporal.worker.WorkerFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Worker B: the activities of a second service, in Java, on a task queue of its own. The saga that calls them is
 * interpreted by a worker of sagadsl; this one serves activities alone, and knows nothing of sagas.
 */
public final class PartnerWorker implements Partner {
  private final Ledger ledger;
  private final Duration slow;

  private PartnerWorker(Ledger ledger, Duration slow) {
    this.ledger = ledger;
    this.slow = slow;
  }

  @Override
  public Movement credit(Credit in) {
    if (blank(in.key()) || blank(in.account()) || in.amount() <= 0) {
      throw no("InvalidInput", "key, account and a positive amount are needed");
    }
    pause();
    Ledger.Entry found = answered(() -> ledger.credit(in.key(), in.account(), in.amount()));
    return new Movement(found.account(), found.balance(), found.key());
  }

  @Override
  public Undone undoCredit(Undo in) {
    if (blank(in.key())) {
      throw no("InvalidInput", "a key is needed");
    }
    return new Undone(in.key(), answered(() -> ledger.undo(in.key())).account() != null);
  }

  /** Makes an activity slow, for demonstrations of crashes; its heartbeats let the server notice them. */
  private void pause() {
    for (Instant end = Instant.now().plus(slow); Instant.now().isBefore(end); ) {
      Activity.getExecutionContext().heartbeat(null); // throws when a cancel has come with one
      try {
        Thread.sleep(50);
      } catch (InterruptedException stopped) {
        throw Activity.wrap(stopped);
      }
    }
  }

  private interface Call {
    Ledger.Entry make() throws Ledger.Refused, IOException;
  }

  /**
   * Turns a no of the ledger into an error with a type. It will be the same at every attempt, so it is not retried;
   * anything else (a full disk) may pass, and is.
   */
  private static Ledger.Entry answered(Call call) {
    try {
      return call.make();
    } catch (Ledger.Refused refused) {
      throw no(refused.type, refused.getMessage());
    } catch (IOException broken) {
      throw Activity.wrap(broken);
    }
  }

  private static ApplicationFailure no(String type, String message) {
    return ApplicationFailure.newNonRetryableFailure(message, type);
  }

  private static boolean blank(String text) {
    return text == null || text.isEmpty();
  }

  public static void main(String[] words) throws IOException {
    Options options = new Options(words);
    String address = options.get("address", "127.0.0.1:7233");
    String queue = options.get("task-queue", "partner");
    Map<String, Boolean> accounts = new HashMap<>();
    for (String name : options.get("open", "carol,dave").split(",")) {
      accounts.put(name, true);
    }
    for (String name : options.get("closed", "erin").split(",")) { // these take no money any more
      accounts.put(name, false);
    }
    Ledger ledger = new Ledger(Path.of(options.get("ledger", "partner.jsonl")), accounts);
    Duration slow = Duration.parse("PT" + options.get("slow", "0s")); // let each credit take so long

    WorkflowServiceStubs service =
        WorkflowServiceStubs.newServiceStubs(WorkflowServiceStubsOptions.newBuilder().setTarget(address).build());
    WorkflowClient client =
        WorkflowClient.newInstance(
            service, WorkflowClientOptions.newBuilder().setNamespace(options.get("namespace", "default")).build());
    WorkerFactory factory = WorkerFactory.newInstance(client);
    factory.newWorker(queue).registerActivitiesImplementations(new PartnerWorker(ledger, slow));
    factory.start();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> { // let what runs end, at a SIGINT or SIGTERM
                  factory.shutdown();
                  factory.awaitTermination(10, TimeUnit.SECONDS);
                }));
    System.err.printf("partner serves task queue %s at %s%n", queue, address);
  }
}
