// Says of each object what helm --wait and Flux would make of it, by the library that both use.
//
// A JSON list of objects comes in; a JSON list of verdicts ("InProgress", "Current", "Failed", "Terminating", "Unknown")
// goes out, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("a list of objects is expected: %w", err)
	}
	verdicts := make([]string, 0, len(objects))
	for _, text := range objects {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return err
		}
		result, err := status.Compute(object)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, result.Status.String())
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}
