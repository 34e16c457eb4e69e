// The MCP SDK for TypeScript, version 2: revision 2026-07-28 where the server has it,
// for programs that want that, and 2025-11-25 for others.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'

export { Client, StdioClientTransport, StreamableHTTPClientTransport }
export const newest = { versionNegotiation: { mode: 'auto' } }
export const onElicit = (client, handler) => client.setRequestHandler('elicitation/create', handler)
export const onComplete = (client, handler) => client.setNotificationHandler('notifications/elicitation/complete', handler)
export const revisionOf = client => () => client.getNegotiatedProtocolVersion()
