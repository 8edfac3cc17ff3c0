package com.example.partner;

import io.temporal.activity.Activity;
import io.temporal.activity.ActivityExecutionContext;
import io.temporal.activity.DynamicActivity;
import io.temporal.client.WorkflowClient;
import io.temporal.common.converter.EncodedValues;
import io.temporal.failure.ApplicationFailure;
import io.temporal.serviceclient.Version;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import io.temporal.worker.WorkerFactory;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * What arrives from Java: activities that return and report all that is told in docs/other-languages.md, which is made
 * from their real runs. Nothing to copy: {@link PartnerWorker} shows how it is done.
 */
public final class Measured implements DynamicActivity {
  /** A nested class, as many error types are. */
  static final class Declined extends RuntimeException {
    private static final long serialVersionUID = 1;

    Declined() {
      super("no");
    }
  }

  static final class CheckedDeclined extends Exception {
    private static final long serialVersionUID = 1;
  }

  enum Colour {
    RED
  }

  record Fields(String text, Integer boxed, Optional<String> empty, List<Integer> list) {}

  record Typed(long whole, String text, Long pointer) {}

  /** Has no property that Jackson could see. */
  static final class Opaque {}

  static final class Refuses {
    public String getText() {
      throw new IllegalStateException("not this one");
    }
  }

  private final Map<String, Callable<Object>> cases = new HashMap<>();

  private Measured() {
    cases.put("integer", () -> (1L << 53) + 1);
    cases.put("whole_float", () -> 1.0);
    cases.put("minus_zero", () -> -0.0);
    cases.put("large_float", () -> 1e21);
    cases.put("big_integer", () -> BigInteger.TEN.pow(21));
    cases.put("decimal", () -> new BigDecimal("19.90"));
    cases.put("bytes", () -> new byte[] {0, -1});
    cases.put("bytes_inside", () -> Map.of("data", new byte[] {0, -1}));
    cases.put("duration", () -> Duration.ofSeconds(90));
    cases.put("instant", () -> Instant.ofEpochMilli(1500));
    cases.put("date", () -> LocalDate.of(2026, 1, 31));
    cases.put("optional", () -> Optional.of("x"));
    cases.put("empty", Optional::empty);
    cases.put("enum", () -> Colour.RED);
    cases.put("nothing", () -> null);
    cases.put("fields", () -> new Fields("x", null, Optional.empty(), null));
    cases.put("nan", () -> Double.NaN);

    cases.put("opaque", Opaque::new);
    cases.put("refuses", Refuses::new);
    cases.put("too_large", () -> "x".repeat(3_000_000));

    cases.put("plain", failing(() -> new RuntimeException("no")));
    cases.put("typed_error", failing(Declined::new));
    cases.put("checked", failing(() -> Activity.wrap(new CheckedDeclined())));
    cases.put("retryable", failing(() -> ApplicationFailure.newFailure("no", "Declined")));
    cases.put("final", failing(Measured::declined));
    cases.put("wrapped", failing(() -> new RuntimeException("while charging", declined())));
    cases.put("future", () -> CompletableFuture.failedFuture(declined()).join());
    cases.put("future_get", () -> CompletableFuture.failedFuture(declined()).get());
    cases.put("reflected", () -> Measured.class.getDeclaredMethod("refusing").invoke(null));
    cases.put("interrupted", failing(InterruptedException::new));
    cases.put("suppressed", failing(Measured::suppressed));

    cases.put("heartbeat", () -> beating(List.of("a", 2)));
    cases.put("stops", () -> beating(null));
  }

  @Override
  public Object execute(EncodedValues arguments) {
    ActivityExecutionContext context = Activity.getExecutionContext();
    String name = context.getInfo().getActivityType().substring("measured.".length());
    if (name.equals("echo")) {
      return arguments.get(0, Map.class);
    }
    if (name.equals("echo_typed")) {
      return arguments.get(0, Typed.class);
    }
    try {
      return cases.get(name).call();
    } catch (RuntimeException | Error thrown) {
      throw thrown;
    } catch (Exception checked) {
      throw Activity.wrap(checked);
    }
  }

  private static ApplicationFailure declined() {
    return ApplicationFailure.newNonRetryableFailure("no", "Declined");
  }

  static void refusing() {
    throw declined();
  }

  private static RuntimeException suppressed() {
    RuntimeException error = new RuntimeException("no");
    error.addSuppressed(declined());
    return error;
  }

  private static Callable<Object> failing(Callable<Exception> made) {
    return () -> {
      throw made.call();
    };
  }

  private static Object beating(Object details) throws InterruptedException {
    Activity.getExecutionContext().heartbeat(details);
    while (true) {
      Thread.sleep(100);
      Activity.getExecutionContext().heartbeat(details);
    }
  }

  public static void main(String[] words) throws IOException {
    Options options = new Options(words);
    WorkflowServiceStubs service =
        WorkflowServiceStubs.newServiceStubs(
            WorkflowServiceStubsOptions.newBuilder().setTarget(options.get("address", "127.0.0.1:7233")).build());
    WorkerFactory factory = WorkerFactory.newInstance(WorkflowClient.newInstance(service));
    factory.newWorker(options.get("task-queue", "measured")).registerActivitiesImplementations(new Measured());
    factory.start();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  factory.shutdownNow();
                  factory.awaitTermination(5, TimeUnit.SECONDS);
                }));
    System.err.printf("serves with Java SDK %s on Java %s%n", Version.LIBRARY_VERSION, System.getProperty("java.version"));
  }
}
