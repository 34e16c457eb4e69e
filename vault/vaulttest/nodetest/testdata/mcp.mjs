// An MCP client that does what it reads, and prints what comes of it. MCP_CLIENT says
// which SDK it is of, and where its server is.
//
//   {"list": true}                             -> {"tools": [...]}
//   {"call": {"name": ..., "arguments": ...}}  -> {"result": ...} or {"error": ...}
//   {"answer": "accept"}                       answers {"asked": ...}
import { createInterface } from 'node:readline'
import { print } from './vault.mjs'

const say = JSON.parse(process.env.MCP_CLIENT)
const sdk = await import(say.sdk === 1 ? './sdk1.mjs' : './sdk2.mjs')

const client = new sdk.Client({ name: 'nodetest', version: '1' }, {
  ...(say.old ? {} : sdk.newest),
  capabilities: say.asksPeople ? { elicitation: { url: {} } } : {},
})
client.onerror = err => console.error(err)
const answers = []
if (say.asksPeople) {
  sdk.onElicit(client, async ({ params }) => {
    print({ asked: asked(params) })
    return { action: await new Promise(resolve => answers.push(resolve)) }
  })
  sdk.onComplete(client, ({ params }) => print({ completed: params.elicitationId }))
}

const asked = ({ mode, url, message, elicitationId }) => ({ mode, url, message, elicitationId })

async function call({ manually, ...params }) {
  try {
    const answer = await client.callTool(params, ...(manually ? [{ allowInputRequired: true }] : []))
    if (answer.resultType === 'input_required') {
      const asking = Object.entries(answer.inputRequests).map(([key, { params }]) => [key, { params: asked(params) }])
      return { inputRequired: { inputRequests: Object.fromEntries(asking), requestState: answer.requestState } }
    }
    const text = answer.content.filter(part => part.type === 'text').map(part => part.text).join('\n')
    return { result: { isError: answer.isError === true, text, structured: answer.structuredContent } }
  } catch (err) {
    if (err.code === undefined) throw err
    return { error: { code: err.code, message: err.message, elicitations: err.data?.elicitations?.map(asked) } }
  }
}

const transport = say.url
  ? new sdk.StreamableHTTPClientTransport(new URL(say.url), { requestInit: { headers: { Authorization: `Bearer ${say.token}` } } })
  : new sdk.StdioClientTransport({ command: say.command, args: say.args, env: say.env })
const revision = sdk.revisionOf(client, transport)
await client.connect(transport)
print({ connected: { revision: revision(), server: client.getServerVersion().name } })

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  if (order.list) print({ tools: (await client.listTools()).tools.map(({ name, annotations }) => ({ name, readOnly: annotations?.readOnlyHint === true })) })
  if (order.answer) answers.shift()(order.answer)
  if (order.call) call(order.call).then(print) // the answer to what it asks comes by a line, too
}
await client.close()
