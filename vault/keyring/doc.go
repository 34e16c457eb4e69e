// Package keyring encrypts what the vault keeps.
//
// A [Keyring] does two things with two keys. It seals values (XAES-256-GCM with
// 192-bit random nonces, so that one key serves for any number of records) and
// it makes names blind (HMAC-SHA256, so that a store shows neither who nor
// what). Both keys are Tink keysets, and both are kept in the store, encrypted
// with the master key, which the store never sees.
//
// Associated data binds every sealed value to the place it is kept in: moved to
// another key, or to another kind of record, it does not open. What no key can show is
// that a value is not the latest: a record may be as it was before, or be back after it
// was deleted, which is what a restored backup looks like, too. Against that stand the
// permissions of the database's file.
//
// The package must never write a key anywhere in the clear, except for
// [GenerateMasterKey], whose whole point is to hand one to an operator.
package keyring
