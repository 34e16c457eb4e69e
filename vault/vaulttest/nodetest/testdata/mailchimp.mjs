// Uses Mailchimp's own client, as its documentation has it, with what the vault gives.
import mailchimp from '@mailchimp/mailchimp_marketing'
import { connect, print } from './vault.mjs'

const { oauth2, metadata } = await connect().call('GetCredentials', { subject: 'alice', provider: 'mailchimp' })

mailchimp.setConfig({ accessToken: oauth2.accessToken, server: metadata.dc })
print({ ping: await mailchimp.ping.get() })
const { lists } = await mailchimp.lists.getAllLists()
print({ names: lists.map(list => list.name) })

const list = lists[0].id
const { members } = await mailchimp.lists.getListMembersInfo(list, { status: 'subscribed', count: 2 })
print({ names: members.map(member => member.full_name) })
const kay = await mailchimp.lists.addListMember(list, { email_address: 'kay.mcnulty@example.org', status: 'subscribed', merge_fields: { FNAME: 'Kay' } })
await mailchimp.lists.updateListMemberTags(list, kay.id, { tags: [{ name: 'Pioneers', status: 'active' }] })
print({ names: (await mailchimp.lists.getListMemberTags(list, kay.id)).tags.map(tag => tag.name) })
print({ names: (await mailchimp.searchMembers.search('kay.mcnulty@example.org')).exact_matches.members.map(member => member.email_address) })

const { campaigns } = await mailchimp.campaigns.list({ status: 'sent', sortField: 'send_time', sortDir: 'DESC', count: 1 })
print({ names: campaigns.map(campaign => campaign.settings.subject_line) })
print({ names: [(await mailchimp.reports.getCampaignReport(campaigns[0].id)).subject_line] })

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
