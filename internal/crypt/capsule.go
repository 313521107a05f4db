package crypt

// ReaderPublic is the X-Wing public key of a reader's seed (1216 bytes).
func ReaderPublic(seed Key) ([]byte, error) { panic("crypt: skeleton") }

// NewCapsule makes a capsule for the readers, and the input key of the object that carries it. The writer forgets the
// key when the object is done and can never open it again.
func NewCapsule(readerPub []byte) (capsule []byte, ikm Key, err error) { panic("crypt: skeleton") }

// OpenCapsule yields the input key of an object that carries the capsule.
func OpenCapsule(seed Key, capsule []byte) (Key, error) { panic("crypt: skeleton") }
