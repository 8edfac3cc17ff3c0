// What arrives from Go: activities that return and report all that is told in docs/other-languages.md, which is made
// from their real runs. Nothing to copy: worker/ shows how it is done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"math/big"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
)

type declined struct{}

func (*declined) Error() string { return "no" }

func final() error { return temporal.NewNonRetryableApplicationError("no", "Declined", nil) }

type fields struct {
	Untagged string
	Slice    []int          `json:"slice"`
	Map      map[string]int `json:"map"`
	Pointer  *int           `json:"pointer"`
	Omitted  string         `json:"omitted,omitempty"`
}

type refuses struct{}

func (refuses) MarshalJSON() ([]byte, error) { return nil, errors.New("not this one") }

// An object of the definition, in a typed field; what is missing is told from null by a pointer alone.
type typed struct {
	Whole   int64  `json:"whole"`
	Text    string `json:"text"`
	Pointer *int64 `json:"pointer"`
}

func gives(value any) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return value, nil }
}

func fails(err error) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return nil, err }
}

var activities = map[string]any{
	"echo":       func(_ context.Context, in map[string]any) (map[string]any, error) { return in, nil },
	"echo_typed": func(_ context.Context, in typed) (typed, error) { return in, nil },

	"integer":      gives(int64(1)<<53 + 1),
	"whole_float":  gives(1.0),
	"minus_zero":   gives(math.Copysign(0, -1)),
	"large_float":  gives(1e21),
	"big_integer":  gives(new(big.Int).Exp(big.NewInt(10), big.NewInt(21), nil)),
	"bytes":        gives([]byte{0, 255}),
	"bytes_inside": gives(map[string]any{"data": []byte{0, 255}}),
	"duration":     gives(90 * time.Second),
	"instant":      gives(time.Unix(1, 500_000_000).UTC()),
	"nothing":      func(context.Context) error { return nil },
	"fields":       gives(fields{Untagged: "x"}),

	"nan":       gives(math.NaN()),
	"channel":   gives(make(chan int)),
	"refuses":   gives(refuses{}),
	"too_large": gives(strings.Repeat("x", 3_000_000)),

	"plain":         fails(errors.New("no")),
	"typed_error":   fails(&declined{}),
	"retryable":     fails(temporal.NewApplicationError("no", "Declined")),
	"final":         fails(final()),
	"wrapped":       fails(fmt.Errorf("while charging: %w", final())),
	"wrapped_twice": fails(fmt.Errorf("in the shop: %w", fmt.Errorf("while charging: %w", &declined{}))),
	"wraps_two":     fails(fmt.Errorf("%w, and %w", final(), errors.New("the log is full"))),
	"joined":        fails(errors.Join(final(), errors.New("the log is full"))),
	"panics":        func(context.Context) error { panic("no") },
	"heartbeat": func(ctx context.Context) error {
		activity.RecordHeartbeat(ctx, "a", 2)
		<-ctx.Done()
		return ctx.Err()
	},
}

func main() {
	address := flag.String("address", client.DefaultHostPort, "Temporal server")
	queue := flag.String("task-queue", "measured", "task queue")
	flag.Parse()

	connected, err := client.Dial(client.Options{HostPort: *address, Logger: quiet{}})
	if err != nil {
		log.Fatal(err)
	}
	defer connected.Close()
	serving := worker.New(connected, *queue, worker.Options{DisableWorkflowWorker: true, WorkerStopTimeout: time.Second})
	for name, function := range activities {
		serving.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: "measured." + name})
	}
	fmt.Fprintf(os.Stderr, "serves with Go SDK %s\n", temporal.SDKVersion)
	if err := serving.Run(worker.InterruptCh()); err != nil {
		log.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
