// What programs in Node.js know of the vault: its .proto files.
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import protobuf from 'protobufjs'

const files = loadSync('tokenvault/v1/vault.proto', { includeDirs: ['proto'], enums: String, longs: String, defaults: true, oneofs: true })
const { VaultService } = grpc.loadPackageDefinition(files).tokenvault.v1
export const { status } = grpc

// connect returns a client of the vault that calls as the one whose token it is.
export function connect(token = process.env.TOKENVAULT_TOKEN) {
  const vault = new VaultService(process.env.TOKENVAULT_ADDR, grpc.credentials.createInsecure())
  const caller = new grpc.Metadata()
  if (token) caller.set('authorization', `Bearer ${token}`)
  return {
    call: (method, request) => new Promise((resolve, reject) =>
      vault[method](request, caller, (err, answer) => (err ? reject(err) : resolve(answer)))),
    watch: request => vault.WatchConnections(request, caller),
  }
}

// The parts of google/rpc/status.proto and google/rpc/error_details.proto that hold
// the reason of an error.
const { root } = protobuf.parse(`syntax = "proto3";
  message Status { repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }`)

// errorInfo returns the google.rpc.ErrorInfo of an error.
export function errorInfo(err) {
  const [trailer] = err.metadata.get('grpc-status-details-bin')
  const { details } = root.lookupType('Status').decode(trailer)
  const info = details.find(detail => detail.typeUrl === 'type.googleapis.com/google.rpc.ErrorInfo')
  return root.lookupType('ErrorInfo').toObject(root.lookupType('ErrorInfo').decode(info.value))
}

// print prints what the test reads.
export const print = seen => console.log(JSON.stringify(seen))
