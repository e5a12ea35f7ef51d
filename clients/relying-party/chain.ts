/**
 * A chain of credentials: what a gateway shows, and what it shows it in the place of (WIMSE architecture, gateways).
 *
 *     [gateway, original]     each verified by itself, with its own bundle and receipts
 *         └── an identity-generalization on the log says that the first stands for the second
 *
 * A gateway that leaves a credential as it is adds nothing: a chain of one.
 *
 * @module
 */
import { toHex } from '../../merkle/index.ts'
import { type Check, ProvenanceError, type VerificationReport } from '../../provenance/index.ts'
import { Checklist, notChecked } from '../../provenance/verification/verification-report.ts'
import { type OfflineInput, type OnlineInput, verifyOffline, verifyOnline } from './verify.ts'

export interface ChainReport {
  /** Every credential holds, and each is shown in the place of the next. */
  readonly ok: boolean
  /** Of each credential, in the order of the chain. */
  readonly credentials: readonly VerificationReport[]
  /** What holds them together. */
  readonly checks: readonly Check[]
}

/** Longest chain: each gateway is one more whose word is taken. */
export const MAX_CHAIN = 4

export const CHAIN_TITLES = {
  credentials: 'Every credential of the chain holds by itself',
  translation: 'Each is shown in the place of the next, as the log says',
  original: 'The log says so of this very one',
} as const

/**
 * Verifies each credential of a chain, that of the last gateway first, and what holds them together.
 *
 * That the second is the very one is sealed. Who is given the key to it learns it (`openWith`); for others `original` stays unchecked, and
 * the gateway's word is that there is one.
 *
 * @throws as {@link verifyOnline}, where a client is given
 */
export async function verifyChain(chain: readonly (OfflineInput | OnlineInput)[]): Promise<ChainReport> {
  const credentials = await Promise.all(
    chain.slice(0, MAX_CHAIN).map((input) => ('client' in input ? verifyOnline(input) : verifyOffline(input))),
  )
  const list = new Checklist(CHAIN_TITLES, ['original'])
  const sound = await list.check('credentials', {}, () => {
    if (chain.length === 0 || chain.length > MAX_CHAIN) throw broken(`${chain.length} credentials`)
    const bad = credentials.findIndex(({ ok }) => !ok)
    if (bad >= 0) throw broken(`the one at place ${bad + 1} is refused`)
    return { value: credentials, detail: credentials.map(({ credential }) => credential?.subject).join(' for ') }
  })
  const translated = await list.check('translation', { sound }, () => {
    const links = credentials.slice(0, -1).map(({ standsFor }, i) => {
      if (!standsFor) throw broken(`the log knows of nobody that the credential at place ${i + 1} stands for`)
      return standsFor
    })
    return { value: links, detail: links.map(({ by }) => `says ${by}`).join(', ') || 'one credential, as it is' }
  })
  await list.check('original', { translated }, ({ translated: links }) => {
    for (const [i, { internal }] of links.entries()) {
      if (!internal) return notChecked('sealed: no key to open it was given')
      const { digest, subject } = credentials[i + 1]!.credential!
      if (toHex(internal.digest) !== digest || internal.subject !== subject) {
        throw broken(`the credential at place ${i + 1} stands for another one than that after it`)
      }
    }
    return { value: undefined, detail: `${links.length} opened` }
  })
  return { ok: list.ok, credentials, checks: list.checks }
}

function broken(why: string): ProvenanceError {
  return new ProvenanceError('chain_broken', why)
}
