// Package certs keeps the certificates of a listener in step with the files they come
// from: those who renew certificates write files, and cannot restart what uses them.
//
// The files are read every few seconds, whatever their times say, since a new mount or a
// link that leads elsewhere changes what a name stands for and not the file. Only what is
// whole and fits together comes into use. What does not is logged, and the last that was
// good stays: a file that is half written, or gone for a moment, ends no service. New
// connections get what is in use when they begin; those that are open keep what they had.
//
// gRPC's own certprovider/pemfile does the same, but logs the private key when the pair
// does not fit, wants both files in one folder, and takes half an authority file.
package certs
