/**
 * What an audit did not check, and why: what was sealed for others or is gone, and what no log can show. A report that left this out would
 * say yes to checks that nobody made.
 *
 * @module
 */
import { CHECKS } from '../checks.ts'
import { countText, type Html, html } from './html.ts'
import type { ReportData } from './read-report.ts'

export function notChecked({ checkpoint, openedWith, states }: ReportData): Html {
  const [erased = 0, foreign = 0, unreadable = 0] = ['erased', 'foreign', 'unreadable'].map((state) =>
    states.get(state),
  )
  const { unopened } = checkpoint
  const reasons = [
    ...(unopened === 0
      ? []
      : [
          html`What is sealed in ${countText(unopened)} records: ${openedWith === null ? 'the audit ran without a key' : 'the auditor’s key opened none of it'}. ${WITH_KEY.length} checks take what is opened:
<details><summary>which</summary><code>${WITH_KEY.join(', ')}</code></details>`,
        ]),
    ...(openedWith === null
      ? []
      : [
          html`Sections that are sealed for others, of records of which the auditor’s key opened another: how many those are is not counted.`,
        ]),
    ...(erased === 0
      ? []
      : [
          html`What ${countText(erased)} entries said: the log has no bytes of them. That they are in the tree is proven. Attestation results and announcements that nothing
came of are not looked for before the last of these entries: what is gone may be what came of them.`,
        ]),
    ...(unreadable === 0
      ? []
      : [
          html`What ${countText(unreadable)} entries say: they are no statements, or not signed by the key that they name.`,
        ]),
    ...(foreign === 0
      ? []
      : [
          html`What ${countText(foreign)} foreign statements say: the log’s policy lets them in, and that alone was checked.`,
        ]),
    html`Credentials that were never logged: no log can show them. Only a second source can: <code>provlog audit cross-check</code>.`,
    html`How long after its checkpoint an entry came: this log promises no merge delay.`,
    html`Whether a Credential Issuer should have announced a credential, and whether Evidence was appraised that no result is about: nothing on a log says so.`,
  ]
  return html`<div class="card"><ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul></div>`
}

const WITH_KEY = Object.entries(CHECKS)
  .filter(([, { needs }]) => needs === 'key')
  .map(([id]) => id)
