//go:build unix

package files

import "syscall"

// errQuota is the error of a used-up quota.
var errQuota error = syscall.EDQUOT
