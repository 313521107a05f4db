package repo

import "errors"

// ErrStranger says that a control object names a writer that the ring does not know.
var ErrStranger = errors.New("its writer is not in the keyring")
