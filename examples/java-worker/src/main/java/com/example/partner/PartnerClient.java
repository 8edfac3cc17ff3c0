package com.example.partner;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.temporal.api.enums.v1.WorkflowIdReusePolicy;
import io.temporal.client.WorkflowClient;
import io.temporal.client.WorkflowClientOptions;
import io.temporal.client.WorkflowFailedException;
import io.temporal.client.WorkflowOptions;
import io.temporal.client.WorkflowStub;
import io.temporal.failure.ApplicationFailure;
import io.temporal.failure.CanceledFailure;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import java.util.List;
import java.util.UUID;

/** A client in Java: starts a saga by its name, waits for its end, and reads the failure with its type and its report. */
public final class PartnerClient {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What a failed saga leaves: the first detail of its failure. */
  @JsonIgnoreProperties(ignoreUnknown = true)
  record Report(
      String status,
      @JsonProperty("failed_step") String failedStep,
      List<String> undone,
      @JsonProperty("not_undone") List<NotUndone> notUndone) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  record NotUndone(String path, String type, String message) {}

  private PartnerClient() {}

  public static void main(String[] words) throws JsonProcessingException {
    Options options = new Options(words);
    WorkflowServiceStubs service =
        WorkflowServiceStubs.newServiceStubs(
            WorkflowServiceStubsOptions.newBuilder().setTarget(options.get("address", "127.0.0.1:7233")).build());
    WorkflowClient client =
        WorkflowClient.newInstance(
            service, WorkflowClientOptions.newBuilder().setNamespace(options.get("namespace", "default")).build());
    String saga = options.get("saga", "transfer-abroad");
    WorkflowStub run =
        client.newUntypedWorkflowStub(
            saga,
            WorkflowOptions.newBuilder()
                .setWorkflowId(options.get("id", UUID.randomUUID().toString()))
                .setTaskQueue(options.get("task-queue", "sagadsl")) // where a worker of sagadsl knows the saga
                // Idempotency keys are made of the id, so an id is used once: of a second run of it, no key would be new.
                .setWorkflowIdReusePolicy(WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
                .build());
    System.out.printf("started %s as %s%n", saga, run.start(JSON.readTree(options.get("input", "{}"))).getWorkflowId());
    int code = 0;
    try {
      System.out.printf("completed: %s%n", run.getResult(JsonNode.class));
    } catch (WorkflowFailedException failed) {
      code = told(failed.getCause()); // the same exit codes as `sagadsl run`
    }
    System.exit(code);
  }

  private static int told(Throwable failure) {
    if (failure instanceof CanceledFailure) {
      System.out.println("cancelled");
      return 12;
    }
    if (!(failure instanceof ApplicationFailure application)) {
      System.out.println("failed: " + failure);
      return 11;
    }
    Report left = application.getDetails().get(Report.class);
    String notUndone = String.join(" ", left.notUndone().stream().map(NotUndone::path).toList());
    System.out.printf("%s: %s%n  %s%n", left.status(), application.getType(), application.getOriginalMessage());
    System.out.printf(
        "  failed step %s, undone [%s], not undone [%s]%n",
        left.failedStep(), String.join(" ", left.undone()), notUndone);
    return "compensated".equals(left.status()) ? 10 : 11;
  }
}
