// Package server puts the vault on gRPC. It translates between messages and the
// engine, asks access who may do what, turns errors into statuses, and puts
// what was decided on record; it decides nothing else.
//
// There are two gRPC servers in one process. The public one is for programs. The
// other is reachable through the gateway's in-process connection alone, serves
// the browser's RPCs and those of REST, and never gives out credentials. Which RPC is to be had
// where, and by whom, stands in one table: methods.go.
package server
