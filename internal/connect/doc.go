// Package connect is about opening stores, sources and sinks from what a user wrote. It is the only room that knows the
// members of each family; a new one is one line in a table here.
//
// Today a store is a folder of this machine, a source is files or a stream, a sink is a folder.
package connect
