package crypt

import (
	"bytes"
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

// AgeRecipients reads recipients of age, and files of them with one on each line, "#" beginning a comment. Recipients
// of a post-quantum kind and others do not go into one slot: age refuses that.
func AgeRecipients(recipients []string, files [][]byte) ([]age.Recipient, error) {
	var list []age.Recipient
	for _, r := range recipients {
		one, err := age.ParseRecipients(strings.NewReader(strings.TrimSpace(r)))
		if err != nil || len(one) != 1 || strings.ContainsAny(r, "\n\r") {
			return nil, unknownRecipient(r)
		}
		list = append(list, one...)
	}
	for _, f := range files {
		for line := range strings.Lines(string(f)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			one, err := age.ParseRecipients(strings.NewReader(line))
			if err != nil {
				return nil, unknownRecipient(line)
			}
			list = append(list, one...)
		}
	}
	if len(list) == 0 {
		return nil, errs.New(errs.Usage, "there is no age recipient")
	}
	return list, nil
}

// unknownRecipient shows the text only where it cannot be an identity: those are secret.
func unknownRecipient(text string) error {
	const hint = "a recipient begins with age1, as age-keygen -y prints it; plugins and SSH keys are not known"
	if !strings.HasPrefix(text, "age1") || strings.Contains(strings.ToUpper(text), "SECRET") {
		return errs.WithHint(errs.New(errs.Usage, "an age recipient is not understood"), hint)
	}
	return errs.WithHint(errs.New(errs.Usage, "age recipient %q: not understood", text), hint)
}
