// A client in Go: starts a saga by its name, waits for its end, and reads the failure with its type and its report.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// What a failed saga leaves: the first detail of its failure.
type report struct {
	Status       string   `json:"status"`
	FailedStep   string   `json:"failed_step"`
	Undone       []string `json:"undone"`
	NotAttempted []string `json:"not_attempted"`
	NotUndone    []struct {
		Path    string `json:"path"`
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"not_undone"`
}

func main() {
	address := flag.String("address", client.DefaultHostPort, "Temporal server")
	namespace := flag.String("namespace", client.DefaultNamespace, "namespace")
	queue := flag.String("task-queue", "sagadsl", "where a worker of sagadsl knows the saga")
	saga := flag.String("saga", "transfer-abroad", "its name")
	id := flag.String("id", "", "id of the run; by chance if left out")
	input := flag.String("input", "{}", "input, as JSON")
	flag.Parse()

	connected, err := client.Dial(client.Options{HostPort: *address, Namespace: *namespace})
	if err != nil {
		log.Fatalf("cannot reach Temporal at %s: %v", *address, err)
	}
	defer connected.Close()

	ctx := context.Background()
	options := client.StartWorkflowOptions{
		ID:        *id,
		TaskQueue: *queue,
		// Idempotency keys are made of the id, so an id is used once: of a second run of it, no key would be new.
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}
	run, err := connected.ExecuteWorkflow(ctx, options, *saga, json.RawMessage(*input))
	if err != nil {
		log.Fatalf("not started: %v", err)
	}
	fmt.Printf("started %s as %s\n", *saga, run.GetID())
	var output json.RawMessage // a number beyond 2^53 would lose its end in a map[string]any
	err = run.Get(ctx, &output)
	if err == nil {
		fmt.Printf("completed: %s\n", output)
		return
	}
	var failure *temporal.ApplicationError
	switch {
	case errors.As(err, &failure):
		var left report
		if failure.HasDetails() {
			_ = failure.Details(&left)
		}
		fmt.Printf("%s: %s\n", left.Status, failure.Type())
		fmt.Printf("  %s\n  failed step %s, undone %v, not undone %v\n", failure.Message(), left.FailedStep, left.Undone, left.NotUndone)
		if left.Status == "compensated" {
			os.Exit(10) // the same exit codes as `sagadsl run`
		}
		os.Exit(11)
	case temporal.IsCanceledError(err):
		fmt.Println("cancelled")
		os.Exit(12)
	default:
		fmt.Printf("failed: %v\n", err)
		os.Exit(11)
	}
}
