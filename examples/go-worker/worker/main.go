// Worker B: the activities of a second service, in Go, on a task queue of its own. The saga that calls them is
// interpreted by a worker of sagadsl; this one serves activities alone, and knows nothing of sagas.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
)

// Keys are matched by their tags; what is missing is zero, so it is checked by hand.
type creditIn struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
	Key     string `json:"key"`
}

type undoIn struct {
	Key string `json:"key"`
}

type movementOut struct {
	Account string `json:"account"`
	Balance int64  `json:"balance"`
	Key     string `json:"key"`
}

type undoOut struct {
	Key    string `json:"key"`
	Undone bool   `json:"undone"`
}

type partner struct {
	ledger *ledger
	slow   time.Duration
}

// Credit gives money to an account, once per key.
func (p *partner) Credit(ctx context.Context, in creditIn) (movementOut, error) {
	if in.Key == "" || in.Account == "" || in.Amount <= 0 {
		return movementOut{}, no("InvalidInput", errors.New("key, account and a positive amount are needed"))
	}
	p.pause(ctx)
	found, err := p.ledger.credit(in.Key, in.Account, in.Amount)
	if err != nil {
		return movementOut{}, explained(err)
	}
	return movementOut{Account: found.Account, Balance: found.Balance, Key: found.Key}, nil
}

// UndoCredit takes the money back that was given under a key, or nothing; the key is refused from then on.
func (p *partner) UndoCredit(_ context.Context, in undoIn) (undoOut, error) {
	if in.Key == "" {
		return undoOut{}, no("InvalidInput", errors.New("a key is needed"))
	}
	found, err := p.ledger.undo(in.Key)
	if err != nil {
		return undoOut{}, explained(err)
	}
	return undoOut{Key: in.Key, Undone: found.Account != ""}, nil
}

// pause makes an activity slow, for demonstrations of crashes; its heartbeats let the server notice them.
func (p *partner) pause(ctx context.Context) {
	for end := time.Now().Add(p.slow); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		activity.RecordHeartbeat(ctx)
	}
}

// explained turns a no of the ledger into an error with a type. It will be the same at every attempt, so it is not
// retried; anything else (a full disk) may pass, and is.
func explained(err error) error {
	for _, kind := range []error{errAccountClosed, errUnknownAccount, errAlreadyUndone, errKeyReused} {
		if errors.Is(err, kind) {
			return no(kind.Error(), err)
		}
	}
	return err
}

func no(kind string, err error) error {
	return temporal.NewNonRetryableApplicationError(strings.TrimPrefix(err.Error(), kind+": "), kind, nil)
}

func main() {
	address := flag.String("address", client.DefaultHostPort, "Temporal server")
	namespace := flag.String("namespace", client.DefaultNamespace, "namespace")
	queue := flag.String("task-queue", "partner", "task queue")
	path := flag.String("ledger", "partner.jsonl", "file of the ledger")
	open := flag.String("open", "carol,dave", "accounts")
	closed := flag.String("closed", "erin", "accounts that take no money any more")
	slow := flag.Duration("slow", 0, "let each credit take so long")
	flag.Parse()

	accounts := map[string]bool{}
	for names, isOpen := range map[string]bool{*open: true, *closed: false} {
		for _, name := range strings.Split(names, ",") {
			accounts[name] = isOpen
		}
	}
	ledger, err := openLedger(*path, accounts)
	if err != nil {
		log.Fatalf("cannot use the ledger %s: %v", *path, err)
	}
	connected, err := client.Dial(client.Options{HostPort: *address, Namespace: *namespace, Logger: quiet{}})
	if err != nil {
		log.Fatalf("cannot reach Temporal at %s: %v", *address, err)
	}
	defer connected.Close()

	serving := worker.New(connected, *queue, worker.Options{DisableWorkflowWorker: true, WorkerStopTimeout: 10 * time.Second})
	acts := &partner{ledger: ledger, slow: *slow}
	serving.RegisterActivityWithOptions(acts.Credit, activity.RegisterOptions{Name: "partner.credit"})
	serving.RegisterActivityWithOptions(acts.UndoCredit, activity.RegisterOptions{Name: "partner.undo_credit"})
	log.SetOutput(os.Stderr)
	log.Printf("partner serves task queue %s at %s", *queue, *address)
	if err := serving.Run(worker.InterruptCh()); err != nil {
		log.Fatal(err)
	}
}

// quiet keeps the SDK from writing of errors that activities give on purpose.
type quiet struct{}

func (quiet) Debug(string, ...any)      {}
func (quiet) Info(string, ...any)       {}
func (quiet) Warn(string, ...any)       {}
func (quiet) Error(m string, kv ...any) { log.Println(append([]any{m}, kv...)...) }
