// A plain server of Go's standard library, with HTTP/2 without TLS (Go 1.24 and later).
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	routes := http.NewServeMux()
	routes.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	routes.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, "uploaded")
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{Addr: os.Args[1], Handler: routes, Protocols: protocols}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
