package crypt

import (
	"bytes"
	"fmt"
	"strings"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/errs"
)

// AgeIdentities reads an identity file of age: one identity on each line, "#" begins a comment. Nothing of the file
// stands in the error.
func AgeIdentities(file []byte) ([]age.Identity, error) {
	ids, err := age.ParseIdentities(bytes.NewReader(file))
	if err == nil {
		return ids, nil
	}
	if bytes.HasPrefix(file, []byte("age-encryption.org/")) || bytes.HasPrefix(file, []byte("-----BEGIN AGE ENCRYPTED FILE-----")) {
		return nil, errs.WithHint(errs.New(errs.Usage, "the age identities are encrypted"), "decrypt them first: age --decrypt")
	}
	return nil, errs.WithHint(errs.New(errs.Usage, "there is no age identity, or one that is not understood"),
		"an identity begins with AGE-SECRET-KEY-, as age-keygen writes it; plugins and SSH keys are not known")
}

// AgeRecipient reads a recipient of age.
func AgeRecipient(text string) (age.Recipient, error) {
	list, err := age.ParseRecipients(strings.NewReader(strings.TrimSpace(text)))
	if err != nil || len(list) != 1 || strings.ContainsAny(text, "\n\r") {
		return nil, unknownRecipient(text)
	}
	return list[0], nil
}

// AgeRecipients reads a file of recipients of age: one on each line, "#" begins a comment. Recipients of a post-quantum
// kind and others do not go into one slot: age refuses that.
func AgeRecipients(file []byte) (list []age.Recipient, err error) {
	n := 0
	for line := range strings.Lines(string(file)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		one, err := AgeRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, errs.WithHint(errs.New(errs.Usage, "there is no age recipient in it"), hintRecipient)
	}
	return list, nil
}

const hintRecipient = "a recipient begins with age1, as age-keygen -y prints it; plugins and SSH keys are not known"

// unknownRecipient shows the text only where it cannot be an identity: those are secret.
func unknownRecipient(text string) error {
	if !strings.HasPrefix(text, "age1") || strings.Contains(strings.ToUpper(text), "SECRET") {
		return errs.WithHint(errs.New(errs.Usage, "an age recipient is not understood"), hintRecipient)
	}
	return errs.WithHint(errs.New(errs.Usage, "age recipient %q: not understood", text), hintRecipient)
}
