// Package blob is about storing and reading blobs: the contents with an id that files, trees and extent lists are made
// of.
//
// Writing. A Writer belongs to a run; each goroutine that stores has a Worker of its own. Worker.Put claims the id in
// the index and, if the blob is new, appends it to the worker's own open segment. A full segment is compressed by the
// worker, takes its place in the open pack of its class (data and metadata, one each), is sealed, opened again and
// compared, and handed to the pack, which streams into the store while it is hashed. Where the store takes no stream, a
// pack is gathered in memory and put by a goroutine of its own while the next one fills. A pack that is in the store
// goes to the index and to the session's list. Writer.Flush ends the open packs and returns when all are put; it does
// not flush the store: the commit does.
//
// Every failure to seal or to put is a failure of the whole run: the id was claimed, others count on it. After it every
// call returns the same error.
//
// Reading. A Reader finds a blob in the index, opens its pack's directory, fetches and decodes its segment and compares
// the blob with its full id. A copy that is damaged or gone gives way to the next one; if all are, the reader takes a
// newer state of the repository once, since a pruner may have moved the blob. Segments and directories are kept in a
// small cache.
package blob
