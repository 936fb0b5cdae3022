// Pushes blobs as clients do, POST and then PUT, from many connections, at little cost of its own.
//
//	generator -host 127.0.0.1:5000 -repository local/bench -connections 64 -size 10240 -seconds 5
//	generator -host 127.0.0.1:5000 -repository local/bench -large 1073741824
//
// Prints one line of JSON. All blobs are different.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	host        = flag.String("host", "127.0.0.1:5000", "where the registry listens")
	repository  = flag.String("repository", "local/bench", "what is pushed to")
	connections = flag.Int("connections", 64, "clients at once")
	size        = flag.Int("size", 10240, "bytes of a blob")
	seconds     = flag.Float64("seconds", 5, "how long")
	large       = flag.Int64("large", 0, "push one blob of this many bytes instead, streamed")
	single      = flag.Bool("single", false, "push in one request: POST with the digest")
)

type report struct {
	Pushes   int     `json:"pushes"`
	Errors   int     `json:"errors"`
	Seconds  float64 `json:"seconds"`
	MedianMs float64 `json:"median_ms"`
	OwnCPU   float64 `json:"own_cpu"`
	Problem  string  `json:"problem"`
}

// A connection to the registry that is kept open.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func connect() (*client, error) {
	conn, err := net.Dial("tcp", *host)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReaderSize(conn, 8192)}, nil
}

// Sends a request with its body, and gives status and Location of the answer.
func (c *client) ask(method, target string, length int64, body func(io.Writer) error) (int, string, error) {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nContent-Type: application/octet-stream\r\n\r\n", method, target, *host, length)
	if _, err := io.WriteString(c.conn, head); err != nil {
		return 0, "", err
	}
	if body != nil {
		if err := body(c.conn); err != nil {
			return 0, "", err
		}
	}
	return c.answer()
}

func (c *client) answer() (int, string, error) {
	line, err := c.in.ReadString('\n')
	if err != nil || len(line) < 12 {
		return 0, "", fmt.Errorf("no answer: %v", err)
	}
	status, _ := strconv.Atoi(line[9:12])
	location, length := "", 0
	for {
		line, err = c.in.ReadString('\n')
		if err != nil {
			return 0, "", err
		}
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !found {
			break
		}
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "location":
			location = value
		case "content-length":
			length, _ = strconv.Atoi(value)
		}
	}
	_, err = io.CopyN(io.Discard, c.in, int64(length))
	return status, location, err
}

// The path of a Location, which may be absolute.
func path(location string) string {
	if _, rest, absolute := strings.Cut(location, "://"); absolute {
		return rest[strings.Index(rest, "/"):]
	}
	return location
}

// The same with one more parameter.
func with(location, parameter string) string {
	if strings.Contains(location, "?") {
		return path(location) + "&" + parameter
	}
	return path(location) + "?" + parameter
}

func (c *client) begin() (string, error) {
	status, location, err := c.ask("POST", "/v2/"+*repository+"/blobs/uploads/", 0, nil)
	if err == nil && status != 202 {
		err = fmt.Errorf("POST: %d", status)
	}
	return location, err
}

func (c *client) push(blob []byte) error {
	whole := func(to io.Writer) error { _, err := to.Write(blob); return err }
	digest := fmt.Sprintf("digest=sha256:%x", sha256.Sum256(blob))
	method, target := "POST", "/v2/"+*repository+"/blobs/uploads/?"+digest
	if !*single {
		location, err := c.begin()
		if err != nil {
			return err
		}
		method, target = "PUT", with(location, digest)
	}
	status, _, err := c.ask(method, target, int64(len(blob)), whole)
	if err == nil && status != 201 {
		err = fmt.Errorf("%s: %d", method, status)
	}
	return err
}

// Many small blobs from many connections.
func small() (result report) {
	var number atomic.Uint64
	var lock sync.Mutex
	var group sync.WaitGroup
	var took []time.Duration
	begun := time.Now()
	end := begun.Add(time.Duration(*seconds * float64(time.Second)))
	for range *connections {
		group.Go(func() {
			blob := make([]byte, *size)
			rand.Read(blob)
			c, err := connect()
			var own []time.Duration
			for err == nil && time.Now().Before(end) {
				binary.BigEndian.PutUint64(blob, number.Add(1))
				start := time.Now()
				if err = c.push(blob); err == nil {
					own = append(own, time.Since(start))
				}
			}
			lock.Lock()
			defer lock.Unlock()
			took = append(took, own...)
			if err != nil {
				result.Errors++
				result.Problem = err.Error()
			}
		})
	}
	group.Wait()
	result.Pushes, result.Seconds = len(took), time.Since(begun).Seconds()
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	if len(took) > 0 {
		result.MedianMs = took[len(took)/2].Seconds() * 1000
	}
	return result
}

// One large blob, whose digest is known before the clock starts.
func one() (result report) {
	block := make([]byte, 1<<20)
	rand.Read(block)
	stream := func(to io.Writer) error {
		for sent, number := int64(0), uint64(0); sent < *large; number++ {
			binary.BigEndian.PutUint64(block, number)
			piece := block[:min(int64(len(block)), *large-sent)]
			if _, err := to.Write(piece); err != nil {
				return err
			}
			sent += int64(len(piece))
		}
		return nil
	}
	hash := sha256.New()
	stream(hash)
	digest := fmt.Sprintf("digest=sha256:%x", hash.Sum(nil))
	c, err := connect()
	begun := time.Now()
	var location string
	status := 0
	if err == nil {
		location, err = c.begin()
	}
	if err == nil {
		status, location, err = c.ask("PATCH", path(location), *large, stream)
	}
	if err == nil && status == 202 {
		status, _, err = c.ask("PUT", with(location, digest), 0, nil)
	}
	result.Seconds = time.Since(begun).Seconds()
	if err != nil || status != 201 {
		result.Errors, result.Problem = 1, fmt.Sprintf("%d %v", status, err)
		return result
	}
	result.Pushes, result.MedianMs = 1, result.Seconds*1000
	return result
}

func main() {
	flag.Parse()
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	var result report
	if *large > 0 {
		result = one()
	} else {
		result = small()
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	spent := func(usage syscall.Rusage) float64 {
		return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
	}
	result.OwnCPU = spent(after) - spent(before)
	json.NewEncoder(os.Stdout).Encode(result)
}
