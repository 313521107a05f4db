package crypt

import (
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/errs"
)

// identities makes one of each kind.
func identities(t *testing.T) (*age.X25519Identity, *age.HybridIdentity) {
	t.Helper()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return classic, hybrid
}

func TestAgeIdentitiesAndRecipientsAreReadAsAgeWritesThem(t *testing.T) {
	t.Parallel()
	classic, hybrid := identities(t)
	ids, err := AgeIdentities([]byte("# created: today\n# public key: x\n" + classic.String() + "\n\n" + hybrid.String() + "\n"))
	if err != nil || len(ids) != 2 {
		t.Fatalf("%d identities (%v), want 2", len(ids), err)
	}
	if _, err := AgeRecipient(classic.Recipient().String()); err != nil {
		t.Error(err)
	}
	rs, err := AgeRecipients([]byte("# me\n" + hybrid.Recipient().String() + "\n\n" + classic.Recipient().String() + "\n"))
	if err != nil || len(rs) != 2 {
		t.Fatalf("%d recipients (%v), want 2", len(rs), err)
	}
	for name, file := range map[string]string{
		"empty": "", "a word": "hello", "a broken identity": classic.String()[:40], "encrypted": "age-encryption.org/v1\n-> scrypt",
		"an unknown kind": "AGE-PLUGIN-YUBIKEY-1QQQ",
	} {
		if _, err := AgeIdentities([]byte(file)); !errors.Is(err, errs.Usage) || errs.Hint(err) == "" || strings.Contains(err.Error(), "SECRET-KEY-1") {
			t.Errorf("identities, %s: %v", name, err)
		}
	}
	secret := classic.String()
	for name, r := range map[string]string{"a word": "hello", "two": classic.Recipient().String() + "\n" + classic.Recipient().String(), "an identity": secret, "lower case": strings.ToLower(secret)} {
		_, err := AgeRecipient(r)
		if !errors.Is(err, errs.Usage) || strings.Contains(strings.ToUpper(err.Error()+errs.Hint(err)), secret) {
			t.Errorf("recipients, %s: %v", name, err)
		}
		if _, err := AgeRecipients([]byte("# a\nx" + r)); !errors.Is(err, errs.Usage) || !strings.Contains(err.Error(), "line 2") || strings.Contains(strings.ToUpper(err.Error()), secret) {
			t.Errorf("recipients in a file, %s: %v", name, err)
		}
	}
	if _, err := AgeRecipients([]byte("# nobody\n")); !errors.Is(err, errs.Usage) {
		t.Errorf("a file without recipients: %v", err)
	}
}

func TestAgeRecipientsThatDoNotMixAreRefused(t *testing.T) {
	t.Parallel()
	classic, hybrid := identities(t)
	for name, list := range map[string][]age.Recipient{"none": nil, "post-quantum and not": {classic.Recipient(), hybrid.Recipient()}} {
		if _, err := NewAgeSlot(seeded(5), testSpec, list, testKEK); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
}
