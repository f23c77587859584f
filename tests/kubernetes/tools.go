//go:build tools

// Commands that are built from this module beside its own: the suite's server image and its runner.
package main

import (
	_ "github.com/onsi/ginkgo/v2/ginkgo"
	_ "k8s.io/kubernetes/test/images/agnhost"
)
