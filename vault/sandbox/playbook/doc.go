// Package playbook makes scripts for the sandbox out of provider definitions: it
// says how the provider of a catalogue entry is to be played. It reads a
// definition as a provider's documentation would be read, on its own, and asks
// nothing of the code that speaks to providers: so that each finds the other's
// mistakes.
//
// What a definition has no word for, such as a body that is a form, is in the
// table of manners.
package playbook
