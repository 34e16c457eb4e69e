// Package config reads tokenvault.yaml.
//
// Whatever cannot work stops the start, with file, line and what to write
// instead; all faults are told at once. A message never repeats a value that
// could be a secret. Secrets themselves are references (env:NAME, file:PATH),
// resolved here and carried in redacting types from then on.
package config
