package files

import "syscall"

// errQuota is ERROR_DISK_FULL, which Windows also reports for a used-up quota.
var errQuota error = syscall.Errno(112)
