// Goes through the whole life of a connection.
import { connect, errorInfo, print, status } from './vault.mjs'

const vault = connect()
const whose = { subject: 'alice', provider: 'mailchimp' }

const refusal = async (vault, method, request) => {
  try {
    await vault.call(method, request)
  } catch (err) {
    print({ code: status[err.code], message: err.details, info: errorInfo(err) })
    return
  }
  throw new Error(`${method} was not refused`)
}
await refusal(connect('tv_wrong'), 'GetCredentials', whose)
await refusal(vault, 'GetCredentials', whose)
await refusal(vault, 'GetCredentials', { subject: 'alice', provider: 'unheard-of' })

const changes = vault.watch(whose)
const seen = changes[Symbol.asyncIterator]()
const next = async () => {
  const { value } = await seen.next()
  return { event: value.event, status: value.connection?.status ?? '', resumable: value.resumeToken !== '' }
}
print(await next())
print({ link: (await vault.call('Connect', whose)).connectUrl })
print(await next())

const got = await vault.call('GetCredentials', { ...whose, minTtl: { seconds: 600 } })
print({
  credential: got.credential, type: got.oauth2.tokenType, headers: got.headers, base: got.apiBaseUrl, metadata: got.metadata,
  account: got.account, source: got.source, expires: got.expireTime !== null, token: got.oauth2.accessToken,
})
print({ connections: (await vault.call('ListConnections', {})).connections.map(c => c.subject + ' ' + c.status) })
print({ revocation: (await vault.call('Disconnect', whose)).revocation })
print(await next())
changes.on('error', () => {}).cancel()
