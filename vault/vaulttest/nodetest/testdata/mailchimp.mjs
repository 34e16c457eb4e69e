// Uses Mailchimp's own client, as its documentation has it, with what the vault gives.
import mailchimp from '@mailchimp/mailchimp_marketing'
import { connect, print } from './vault.mjs'

const { oauth2, metadata } = await connect().call('GetCredentials', { subject: 'alice', provider: 'mailchimp' })

mailchimp.setConfig({ accessToken: oauth2.accessToken, server: metadata.dc })
print({ ping: await mailchimp.ping.get() })
print({ lists: (await mailchimp.lists.getAllLists()).lists.map(list => list.name) })
print({ campaigns: (await mailchimp.campaigns.list({ count: 1 })).campaigns.map(campaign => campaign.settings.subject_line) })

const refused = async (server, accessToken) => {
  mailchimp.setConfig({ accessToken, server })
  try {
    await mailchimp.ping.get()
  } catch (err) {
    print({ status: err.status, title: err.response.body.title, type: err.response.type })
    return
  }
  throw new Error('it was not refused')
}
await refused(metadata.dc, 'wrong')
await refused('us999', oauth2.accessToken)
