package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
)

// What a ledger says no to; each becomes an error type of the activity.
var (
	errAccountClosed  = errors.New("AccountClosed")
	errUnknownAccount = errors.New("UnknownAccount")
	errAlreadyUndone  = errors.New("AlreadyUndone")
	errKeyReused      = errors.New("KeyReused")
)

// An entry is one line of the file: what has happened under a key, and what was answered.
type entry struct {
	Key     string `json:"key"`
	Account string `json:"account,omitempty"`
	Amount  int64  `json:"amount,omitempty"`
	Balance int64  `json:"balance,omitempty"`
	Undone  bool   `json:"undone,omitempty"`
}

// A ledger is right in the three hard cases: an undo without a do succeeds and is remembered, a do that comes
// after its undo is refused, and everything twice is answered as it was the first time. It is a file of lines,
// each on the disk before its answer leaves, so that a worker that is killed has lost nothing.
type ledger struct {
	mu       sync.Mutex
	file     *os.File
	open     map[string]bool
	balances map[string]int64
	done     map[string]entry
	undone   map[string]entry
}

func openLedger(path string, accounts map[string]bool) (*ledger, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	found := &ledger{file: file, open: accounts, balances: map[string]int64{}, done: map[string]entry{}, undone: map[string]entry{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var each entry
		if json.Unmarshal(lines.Bytes(), &each) != nil {
			break // half a line: its answer never left
		}
		found.take(each)
	}
	return found, lines.Err()
}

func (l *ledger) credit(key, account string, amount int64) (entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.done[key]; ok {
		if before.Account != account || before.Amount != amount {
			return entry{}, fmt.Errorf("%w: the key stands for another movement", errKeyReused)
		}
		return before, nil
	}
	if _, ok := l.undone[key]; ok {
		return entry{}, fmt.Errorf("%w: this movement was undone before it came", errAlreadyUndone)
	}
	if isOpen, known := l.open[account]; !known {
		return entry{}, fmt.Errorf("%w: there is no account `%s`", errUnknownAccount, account)
	} else if !isOpen {
		return entry{}, fmt.Errorf("%w: account `%s` takes no money", errAccountClosed, account)
	}
	return l.write(entry{Key: key, Account: account, Amount: amount, Balance: l.balances[account] + amount})
}

func (l *ledger) undo(key string) (entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.undone[key]; ok {
		return before, nil
	}
	did := l.done[key] // empty, if there is nothing to undo
	return l.write(entry{Key: key, Account: did.Account, Amount: did.Amount, Balance: l.balances[did.Account] - did.Amount, Undone: true})
}

func (l *ledger) write(each entry) (entry, error) {
	line, err := json.Marshal(each)
	if err != nil {
		return entry{}, err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return entry{}, err
	}
	if err := l.file.Sync(); err != nil {
		return entry{}, err
	}
	l.take(each)
	return each, nil
}

func (l *ledger) take(each entry) {
	if each.Undone {
		l.undone[each.Key] = each
		l.balances[each.Account] -= each.Amount
	} else {
		l.done[each.Key] = each
		l.balances[each.Account] += each.Amount
	}
}
