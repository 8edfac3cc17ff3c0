#!/usr/bin/env bash
# go.temporal.io/sdk 1.50.0 (Go): an error that is made non-retryable becomes retryable when Go's own means add a word to it,
# though errors.As still finds it: a refused card is charged again. With %w the type that a retry policy compares is the
# wrapper's; with errors.Join nothing of the first error is left but its text.
#
# Seen:
#   as it is: errors.As true, type SoldOut, non-retryable true, cause of type none
#   with %w: errors.As true, type wrapError, non-retryable false, cause of type SoldOut
#   with errors.Join: errors.As true, type joinError, non-retryable false, cause of type none
#
# Expected by who tests with errors.As: the same in all three. Exits with 1 if that changes. Needs Go 1.26.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
go mod init example 2>/dev/null
cat >main.go <<'GO'
package main

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
)

func main() {
	refused := temporal.NewNonRetryableApplicationError("no seat", "SoldOut", nil)
	for _, each := range []struct {
		how string
		err error
	}{
		{"as it is", refused},
		{"with %w", fmt.Errorf("order 7: %w", refused)},
		{"with errors.Join", errors.Join(refused, errors.New("and the books are closed"))},
	} {
		var found *temporal.ApplicationError
		known := errors.As(each.err, &found) && found.NonRetryable()
		failure := temporal.GetDefaultFailureConverter().ErrorToFailure(each.err)
		sent := failure.GetApplicationFailureInfo()
		cause := "none"
		if inner := failure.GetCause().GetApplicationFailureInfo(); inner != nil {
			cause = inner.GetType()
		}
		fmt.Printf("%s: errors.As %v, type %s, non-retryable %v, cause of type %s\n",
			each.how, known, sent.GetType(), sent.GetNonRetryable(), cause)
	}
}
GO
go get go.temporal.io/sdk@v1.50.0 2>/dev/null
go mod tidy 2>/dev/null
go run . | tee seen
diff - seen <<'SEEN'
as it is: errors.As true, type SoldOut, non-retryable true, cause of type none
with %w: errors.As true, type wrapError, non-retryable false, cause of type SoldOut
with errors.Join: errors.As true, type joinError, non-retryable false, cause of type none
SEEN
