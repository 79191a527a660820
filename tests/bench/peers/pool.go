// SPDX-License-Identifier: LGPL-2.1-or-later

// pgxpool, driven by bench-pool through its standard input: CASE CALLERS MILLISECONDS a line,
// answered by operations, wall time, median and 99th percentile in ns.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
)

const connections = 8
const maxSamples = 1 << 18

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func checkout(pool *pgxpool.Pool) {
	connection, err := pool.Acquire(context.Background())
	must(err)
	connection.Release()
}

func select1(pool *pgxpool.Pool) {
	var one int
	must(pool.QueryRow(context.Background(), "SELECT 1").Scan(&one))
}

type caller struct {
	n       int64
	samples []int64
}

// Only what takes long enough is timed one by one.
func (c *caller) run(pool *pgxpool.Pool, operation func(*pgxpool.Pool), timed bool, over *int32) {
	for atomic.LoadInt32(over) == 0 {
		if !timed {
			operation(pool)
		} else {
			begin := time.Now()
			operation(pool)
			if len(c.samples) < maxSamples {
				c.samples = append(c.samples, time.Since(begin).Nanoseconds())
			}
		}
		c.n++
	}
}

func measure(pool *pgxpool.Pool, operation func(*pgxpool.Pool), timed bool, callers int, ms int) {
	var group sync.WaitGroup
	var over int32
	all := make([]caller, callers)
	begin := time.Now()
	for i := range all {
		group.Add(1)
		go func(c *caller) {
			c.run(pool, operation, timed, &over)
			group.Done()
		}(&all[i])
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	atomic.StoreInt32(&over, 1)
	group.Wait()
	wall := time.Since(begin).Nanoseconds()
	n := int64(0)
	samples := []int64{0}
	for i := range all {
		n += all[i].n
		samples = append(samples, all[i].samples...)
	}
	sort.Slice(samples, func(a, b int) bool { return samples[a] < samples[b] })
	fmt.Println(n, wall, samples[len(samples)/2], samples[len(samples)*99/100])
}

func main() {
	config, err := pgxpool.ParseConfig(os.Args[1])
	must(err)
	config.MinConns = connections
	config.MaxConns = connections
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	must(err)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var name string
		var callers, ms int
		_, err := fmt.Sscan(lines.Text(), &name, &callers, &ms)
		must(err)
		switch name {
		case "checkout":
			measure(pool, checkout, false, callers, ms)
		case "select1":
			measure(pool, select1, true, callers, ms)
		default:
			fmt.Println("none")
		}
	}
}
