// Loaded before a program, this has its connections to Mailchimp's API lead to a
// server on this machine, and lets none lead anywhere else. The program, the names it
// asks for and the certificates it checks are as they always are.
import net from 'node:net'

const connect = net.Socket.prototype.connect

net.Socket.prototype.connect = function (...args) {
  // Node.js itself hands the arguments on as one, once they are put in order.
  const [options, ...rest] = Array.isArray(args[0]) ? args[0] : args
  const host = options.host ?? 'localhost'
  if (host.endsWith('.api.mailchimp.com') && Number(options.port) === 443) {
    return connect.call(this, { ...options, host: '127.0.0.1', port: Number(process.env.MAILCHIMP_PORT) }, ...rest)
  }
  if (!['127.0.0.1', 'localhost'].includes(host)) throw new Error(`a connection to ${host} leads off this machine`)
  return connect.apply(this, args)
}
