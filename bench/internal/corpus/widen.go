package corpus

import "os"

// shift copies what stands at from to the end of the file to another place, back to front or front to back as overlap
// asks for.
func shift(f *os.File, from, to int64) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for left, at := st.Size()-from, int64(0); left > 0; {
		n := min(left, int64(len(buf)))
		off := at
		if to > from {
			off = left - n // the last part first
		}
		if _, err := f.ReadAt(buf[:n], from+off); err != nil {
			return err
		}
		if _, err := f.WriteAt(buf[:n], to+off); err != nil {
			return err
		}
		left, at = left-n, at+n
	}
	if to < from {
		return f.Truncate(st.Size() - (from - to))
	}
	return nil
}
