package crypt

import (
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestAgeIdentitiesAndRecipientsAreReadAsAgeWritesThem(t *testing.T) {
	t.Parallel()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := AgeIdentities([]byte("# created: today\n# public key: x\n" + classic.String() + "\n\n" + hybrid.String() + "\n"))
	if err != nil || len(ids) != 2 {
		t.Fatalf("%d identities (%v), want 2", len(ids), err)
	}
	rs, err := AgeRecipients([]string{classic.Recipient().String()}, [][]byte{[]byte("# me\n" + hybrid.Recipient().String() + "\n")})
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
		_, err := AgeRecipients([]string{r}, nil)
		if !errors.Is(err, errs.Usage) || strings.Contains(strings.ToUpper(err.Error()+errs.Hint(err)), secret) {
			t.Errorf("recipients, %s: %v", name, err)
		}
		if _, err := AgeRecipients(nil, [][]byte{[]byte("x" + r)}); !errors.Is(err, errs.Usage) || strings.Contains(strings.ToUpper(err.Error()), secret) {
			t.Errorf("recipients in a file, %s: %v", name, err)
		}
	}
	if _, err := AgeRecipients(nil, [][]byte{[]byte("# nobody\n")}); !errors.Is(err, errs.Usage) {
		t.Errorf("a file without recipients: %v", err)
	}
}

func TestAgeRecipientsThatDoNotMixAreRefused(t *testing.T) {
	t.Parallel()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]age.Recipient{"none": nil, "post-quantum and not": {classic.Recipient(), hybrid.Recipient()}} {
		if _, err := NewAgeSlot(seeded(5), testSpec, list, testKEK); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
}
