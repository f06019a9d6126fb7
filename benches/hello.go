// net/http, as one would write it: `hello-go ADDRESS` alone, `hello-go ADDRESS LINES` with metrics and an access log; with
// HELLO_H2C=yes also HTTP/2 without TLS.
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

type line struct {
	Time     time.Time `json:"timestamp"`
	Level    string    `json:"level"`
	Method   string    `json:"http.request.method"`
	Path     string    `json:"url.path"`
	Status   int       `json:"http.response.status_code"`
	Duration float64   `json:"http.server.request.duration"`
	Bytes    int       `json:"http.response.body.size"`
	Client   string    `json:"client.address"`
	Agent    string    `json:"user_agent.original"`
}

// What the handler answered.
type answer struct {
	http.ResponseWriter
	status, bytes int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(body []byte) (int, error) {
	a.bytes += len(body)
	return a.ResponseWriter.Write(body)
}

func observed(next http.Handler, lines string) http.Handler {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_server_request_duration_seconds"},
		[]string{"method", "route", "status"})
	prometheus.MustRegister(durations)
	file, err := os.Create(lines)
	if err != nil {
		panic(err)
	}
	// One write for each line, as loggers do.
	log := json.NewEncoder(file)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun, a := time.Now(), &answer{w, http.StatusOK, 0}
		next.ServeHTTP(a, r)
		lasted := time.Since(begun).Seconds()
		durations.WithLabelValues(r.Method, r.URL.Path, strconv.Itoa(a.status)).Observe(lasted)
		_ = log.Encode(line{begun, "INFO", r.Method, r.URL.Path, a.status, lasted, a.bytes, r.RemoteAddr, r.UserAgent()})
	})
}

func main() {
	routes := http.NewServeMux()
	routes.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Hello, World!")) })
	var all http.Handler = routes
	if len(os.Args) > 2 {
		all = observed(routes, os.Args[2])
		routes.Handle("/metrics", promhttp.Handler())
	}
	if os.Getenv("HELLO_H2C") != "" {
		all = h2c.NewHandler(all, &http2.Server{})
	}
	panic(http.ListenAndServe(os.Args[1], all))
}
