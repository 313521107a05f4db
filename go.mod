module github.com/nacre-backup/nacre

go 1.26.0
