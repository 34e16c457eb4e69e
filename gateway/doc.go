// Package gateway is the vault's face to browsers and REST clients: grpc-gateway
// with a few pages around it.
//
// It forwards everything to the server over one in-process gRPC connection and
// holds no state and no secrets. It must never pass on a header that it has not
// named itself, since the server believes the metadata that comes this way.
package gateway
