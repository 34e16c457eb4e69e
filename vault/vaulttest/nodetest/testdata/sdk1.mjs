// The MCP SDK for TypeScript, version 1: revision 2025-11-25.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitationCompleteNotificationSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'

export { Client, StdioClientTransport, StreamableHTTPClientTransport }
export const newest = {}
export const onElicit = (client, handler) => client.setRequestHandler(ElicitRequestSchema, handler)
export const onComplete = (client, handler) => client.setNotificationHandler(ElicitationCompleteNotificationSchema, handler)

// revisionOf returns a function for the revision that client and server have agreed
// on. The client tells transports alone.
export function revisionOf(client, transport) {
  let revision
  const told = transport.setProtocolVersion?.bind(transport)
  transport.setProtocolVersion = agreed => {
    revision = agreed
    told?.(agreed)
  }
  return () => revision
}
