/**
 * What must not be on a log, one of each: for every check of an audit something that it is there to find.
 *
 * Each fault is an honest story with one thing changed. What else the change brings about is said beside it (`also`): a credential by a policy
 * that has ended also outlives it.
 *
 * @module
 */
import type { CheckId } from '../../clients/auditor/index.ts'
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { encodePublicKey, type FieldsOf, type Link, type NewRecord } from '../../provenance/index.ts'
import {
  type CborMap,
  decodeCbor,
  encodeCbor,
  encodeCoseSign1,
  kidOf,
  parseSignedStatement,
  publicJwkOf,
  type SignedStatement,
  signStatement,
  withOtherS,
  wrapKeys,
} from '../../statement/index.ts'
import type { Chapter, MadeEntry } from './chapter.ts'
import type { Roots, Version, Workload } from './roots.ts'
import {
  announce,
  announceAndIssue,
  attest,
  type CredentialChange,
  deny,
  generalize,
  type Instance,
  type Issued,
  instanceOf,
  issueOn,
  RESULT_LIFETIME,
  type Result,
  type ResultChange,
  setStatus,
} from './stories.ts'

/** What there is to do wrong with. */
export interface Stage {
  readonly chapter: Chapter
  readonly roots: Roots
  /** Of the first issuer. */
  readonly workload: Workload
  readonly logPolicy: { readonly entry: Uint8Array; readonly fields: FieldsOf<'log-policy'> }
}

export interface Fault {
  tell(stage: Stage): Promise<unknown>
  /** What else an audit finds in its entries. */
  readonly also?: readonly CheckId[]
}

const TOKEN = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2ln'
const LONG_AGO = 1_000
const YEAR_2100 = 4_102_444_800

/** In this order: some leave something behind that the later ones must not meet. */
export const FAULTS: Readonly<Record<CheckId, Fault>> = {
  'statement-erased': {
    tell: async ({ chapter, workload }) => {
      const entry = await chapter.add(bareProvenance('a hole'), workload.issuer)
      await hole(chapter, entry, workload)
    },
  },
  'link-erased': {
    also: ['statement-erased'],
    tell: async (stage) => {
      const { chapter, workload } = stage
      const gone = await chapter.add(bareProvenance('gone'), workload.issuer)
      await hole(chapter, gone, workload)
      await use(stage, await result(stage), { links: (links) => replaced(links, 'workload-provenance', gone) })
    },
  },
  'erased-by-record': {
    tell: async ({ chapter, workload }) => {
      const entry = await chapter.add(bareProvenance('erased'), workload.issuer)
      await chapter.add(erasureOf(entry), chapter.cast.admin)
    },
  },
  'erasure-not-done': {
    tell: async ({ chapter, workload }) => {
      const entry = await chapter.add(bareProvenance('still there'), workload.issuer)
      chapter.entries.push(without(await chapter.sign(erasureOf(entry), chapter.cast.admin), 'erases'))
    },
  },
  'statement-malformed': {
    tell: async ({ chapter }) => void chapter.entries.push(rawEntry(utf8('This is no statement.'), chapter.now)),
  },
  'token-in-clear': {
    tell: async ({ chapter, workload, roots }) => {
      const issued = await issueOn(chapter, roots, instanceOf(workload, chapter), [])
      await setStatus(chapter, roots, issued, 'revoked')
      const { statement } = chapter.entries.pop()!
      await resign(chapter, statement, workload, (payload) => payload.set('reasonCode', TOKEN))
    },
  },
  'signature-invalid': {
    tell: async ({ chapter, workload }) => {
      const { statement } = await chapter.sign(bareProvenance('forged'), workload.issuer)
      const { sign1 } = parseSignedStatement(statement)
      const forged = sign1.signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte))
      chapter.entries.push(rawEntry(encodeCoseSign1({ ...sign1, signature: forged }), chapter.now))
    },
  },
  'signature-twin': {
    tell: async ({ chapter, workload }) => {
      const { admin, auditor } = chapter.cast
      const { subject } = workload
      const fields = { role: 'auditor' as const, trustDomain: workload.issuer.trustDomain, subject, notBefore: 0 }
      const key = encodePublicKey(auditor.publicJwk)
      await chapter.add({ type: 'key-authorization', fields: { ...fields, key } }, admin)
      const { sign1 } = parseSignedStatement(chapter.entries.at(-1)!.statement)
      const twin = encodeCoseSign1({ ...sign1, signature: withOtherS(sign1.signature) })
      chapter.entries.push(rawEntry(twin, chapter.now))
    },
  },
  'foreign-refused': {
    tell: async ({ chapter, workload }) => {
      const { issuer } = workload
      const content = { issuer: issuer.issuer, subject: 'urn:example:note', issuedAt: chapter.now }
      const statement = await signStatement(
        { ...content, contentType: 'text/plain', payload: utf8('Hello.') },
        issuer.key,
      )
      chapter.entries.push(rawEntry(statement.bytes, chapter.now))
    },
  },
  'record-refused': {
    tell: async (stage) =>
      // An excuse, where there is nothing to excuse.
      use(stage, await result(stage), { fields: { unattestedReason: 'legacy-platform' } }),
  },
  'signer-unauthorized': {
    tell: ({ chapter }) => chapter.add(bareProvenance('not his'), chapter.cast.verifiers[0]!),
  },
  'link-refused': {
    tell: async (stage) =>
      use(stage, await result(stage, { links: (links) => links.filter(({ rel }) => rel !== 'reference-values') })),
  },
  'lifetime-exceeds': {
    tell: (stage) =>
      issueOn(stage.chapter, stage.roots, instance(stage), [], { fields: { notAfter: stage.chapter.now + 7201 } }),
  },
  'outlives-grounds': {
    tell: async (stage) => {
      const policy = await publish(stage, 'short', { notAfter: stage.chapter.now + 200 })
      await issueOn(stage.chapter, stage.roots, instance(stage), [], { policy, lifetime: 300 })
    },
  },
  duplicate: {
    tell: async (stage) => {
      const { digest } = await issueOn(stage.chapter, stage.roots, instance(stage), [])
      await issueOn(stage.chapter, stage.roots, instance(stage), [], { fields: { credentialDigest: digest } })
      unindexed(stage.chapter)
    },
  },
  'chain-broken': {
    tell: async (stage) => {
      await publish(stage, 'two places')
      await publish(stage, 'two places', { version: 2 })
    },
  },
  'policy-gap': {
    tell: async (stage) => {
      const { now } = stage.chapter
      const first = await publish(stage, 'gap', { notAfter: now + 10 })
      await publish(stage, 'gap', { version: 2, notBefore: now + 20 }, first)
    },
  },
  'policy-overlap': {
    tell: async (stage) => {
      const first = await publish(stage, 'overlap', { notAfter: stage.chapter.now + 900 })
      await publish(stage, 'overlap', { version: 2 }, first)
    },
  },
  'policy-superseded': {
    tell: async (stage) => {
      const policy = await publish(stage, 'superseded')
      await publish(stage, 'superseded', { version: 2 }, policy)
      stage.chapter.now += 400
      await issueOn(stage.chapter, stage.roots, instance(stage), [], { policy })
    },
  },
  'criteria-unfit': {
    tell: async (stage) => {
      const { chapter } = stage
      const [verifier] = chapter.cast.verifiers
      const ended = { notAfter: chapter.now + 1 }
      const entry = await chapter.add(document('reference-values', 'ended', chapter, ended), verifier!)
      chapter.now += 10
      const links = (all: Link[]) => replaced(all, 'reference-values', entry)
      await use(stage, await result(stage, { links }))
    },
  },
  'back-dated': {
    tell: ({ chapter, workload }) =>
      chapter.add(bareProvenance('early'), workload.issuer, { at: chapter.now - LONG_AGO }),
  },
  'status-illegal': {
    tell: async (stage) => {
      const issued = await issueOn(stage.chapter, stage.roots, instance(stage), [])
      for (const status of ['suspended', 'reinstated', 'reinstated'] as const) {
        await setStatus(stage.chapter, stage.roots, issued, status)
      }
    },
  },
  'policy-unfit': {
    also: ['outlives-grounds'],
    tell: async (stage) => {
      const policy = await publish(stage, 'ended', { notAfter: stage.chapter.now + 1 })
      stage.chapter.now += 10
      await issueOn(stage.chapter, stage.roots, instance(stage), [], { policy })
    },
  },
  'policy-text-differs': {
    tell: (stage) => publish(stage, 'two texts', { digest: sha256(utf8('another text')) }),
  },
  'seal-broken': {
    tell: async ({ chapter, workload }) => {
      const sections = { workload: workload.description }
      const made = await chapter.sign({ ...bareProvenance('sealed otherwise'), sections }, workload.issuer)
      const { payload } = parseSignedStatement(made.statement)
      const id = (decodeCbor(payload) as CborMap).get('id') as Uint8Array
      const keys = new Map([['workload', chapter.random(32)]])
      const wrap = await wrapKeys(id, keys, publicJwkOf(chapter.cast.auditorEncryption))
      chapter.entries.push({ ...made, wraps: [wrap] })
    },
  },
  'tag-differs': {
    tell: (stage) => issueOn(stage.chapter, stage.roots, instance(stage), [], { unique: [stage.chapter.random(16)] }),
  },
  'credential-differs': {
    also: ['decision-differs'],
    tell: async (stage) =>
      issueOn(stage.chapter, stage.roots, instance(stage), [], {
        credential: { subject: 'spiffe://elsewhere.example/payments' },
      }),
  },
  'generalization-differs': {
    tell: async (stage) =>
      generalize(stage.chapter, stage.roots, await issued(stage), { digest: sha256(utf8('another credential')) }),
  },
  'result-differs': {
    also: ['decision-differs'],
    tell: async (stage) => use(stage, await result(stage, { fields: { tier: 'warning' } })),
  },
  'result-unfit': {
    also: ['decision-differs'],
    tell: async (stage) => {
      const old = await result(stage)
      stage.chapter.now += RESULT_LIFETIME + 10
      await use(stage, old)
    },
  },
  'result-overused': {
    tell: async (stage) => {
      const { chapter } = stage
      const wrapEvery = chapter.wrapEvery
      chapter.wrapEvery = 0
      const made = await result(stage)
      const { now } = chapter
      // All in one moment: the credentials are honest, and too many.
      for (let i = 0; i <= 512; i++) {
        chapter.now = now
        await use(stage, made)
      }
      chapter.wrapEvery = wrapEvery
    },
  },
  'components-differ': {
    tell: async (stage) => use(stage, await result(stage), { fields: { components: 2 } }),
  },
  'nonce-reused': {
    tell: async (stage) => {
      const nonce = utf8('one challenge for two')
      for (let i = 0; i < 2; i++) await use(stage, await result(stage, { nonce }))
    },
  },
  'key-shared': {
    tell: async (stage) => {
      const { chapter, roots, workload } = stage
      const one = instance(stage)
      const other = roots.workloads.find((each) => each.issuer === workload.issuer && each !== workload)!
      await issueOn(chapter, roots, one, [])
      await issueOn(chapter, roots, { ...one, workload: other }, [])
    },
  },
  'sbom-differs': {
    tell: async ({ chapter, workload }) => {
      // A bill of materials of one release, for the measurement of another.
      const sections = { workload: workload.description }
      await chapter.add({ ...bareProvenance('other release'), sections }, workload.issuer)
    },
  },
  'decision-differs': {
    tell: async (stage) => {
      const { chapter, roots } = stage
      const refused = await attest(chapter, roots, instance(stage), chapter.cast.verifiers[0]!, { tier: 'warning' })
      await deny(chapter, roots, instance(stage), [refused], { reasons: ['attested'] })
    },
  },
  'result-orphaned': { tell: (stage) => result(stage) },
  'intent-orphaned': { tell: (stage) => announce(stage.chapter, stage.roots, instance(stage), []) },
  'audit-report-differs': {
    tell: ({ chapter, roots }) => {
      const { auditor } = chapter.cast
      const links: Link[] = [{ rel: 'key-authorization', entry: roots.authorizations.get(auditor)! }]
      return chapter.add({ type: 'audit-report', fields: ofAnotherTree(chapter.now), links }, auditor)
    },
  },
  'wrap-missing': {
    tell: async (stage) => {
      const { chapter, workload, logPolicy } = stage
      const requireWrapFor = [kidOf(publicJwkOf(chapter.cast.auditorEncryption))]
      const links: Link[] = [{ rel: 'previous', entry: logPolicy.entry }]
      const fields = { ...logPolicy.fields, requireWrapFor }
      await chapter.add({ type: 'log-policy', fields, links }, chapter.cast.admin)
      const sections = { workload: { sbom: [], build: [], compliance: [] } }
      await chapter.add({ ...bareProvenance('unread'), sections, recipients: [] }, workload.issuer)
      // From here on as before, for those that come later.
      const back: Link[] = [{ rel: 'previous', entry: chapter.entries.at(-2)!.entry }]
      await chapter.add({ type: 'log-policy', fields: logPolicy.fields, links: back }, chapter.cast.admin)
    },
  },
  // The last: whatever came after it would be dated before it.
  'date-in-future': {
    tell: ({ chapter, workload }) => chapter.add(bareProvenance('from the future'), workload.issuer, { at: YEAR_2100 }),
  },
}

function instance({ workload, chapter }: Stage): Instance {
  return instanceOf(workload, chapter)
}

function result(stage: Stage, change?: ResultChange): Promise<Result> {
  return attest(stage.chapter, stage.roots, instance(stage), stage.chapter.cast.verifiers[0]!, change)
}

/** A result that nobody used would be a finding too. */
function use(stage: Stage, made: Result, change?: CredentialChange): Promise<Issued> {
  return issueOn(stage.chapter, stage.roots, made.instance, [made], { lifetime: 300, ...change })
}

async function issued(stage: Stage): Promise<Issued> {
  const made = await result(stage)
  return announceAndIssue(stage.chapter, stage.roots, made.instance, [made])
}

function bareProvenance(name: string): NewRecord<'workload-provenance'> {
  return { type: 'workload-provenance', fields: { subject: sha256(utf8(name)), subjectKind: 'measurement' } }
}

function erasureOf(entry: Uint8Array): NewRecord<'erasure'> {
  return { type: 'erasure', fields: { scope: 'statement', reasonCode: 'retention' }, links: [{ rel: 'erases', entry }] }
}

/** Makes the log lose a statement with the next entry that is put on it, which is no erasure and says nothing of it. */
async function hole(chapter: Chapter, entry: Uint8Array, { issuer }: Workload): Promise<void> {
  const made = await chapter.sign(bareProvenance(`beside ${toHex(entry)}`), issuer)
  chapter.entries.push({ ...made, erases: { entry, scope: 'statement' } })
}

function replaced(links: readonly Link[], rel: Link['rel'], entry: Uint8Array): Link[] {
  return links.map((link) => (link.rel === rel ? { rel, entry } : link))
}

function ofAnotherTree(auditedAt: number): FieldsOf<'audit-report'> {
  const [root, nothing, catalogue] = ['another tree', '', 'another catalogue'].map((text) => sha256(utf8(text)))
  return {
    from: 0,
    size: 1,
    root: root!,
    verdict: 'passed',
    counts: { error: 0, warning: 0, info: 0 },
    findings: nothing!,
    settled: nothing!,
    catalogue: catalogue!,
    auditedAt,
  }
}

/** What the log indexes nothing of. */
function rawEntry(statement: Uint8Array, issuedAt: number): MadeEntry {
  const entry = sha256(statement)
  return { statement, entry, identity: entry, wraps: [], issuedAt, signer: '', type: 'raw', uniqueKeys: [] }
}

function without<K extends keyof MadeEntry>(entry: MadeEntry, key: K): MadeEntry {
  const { [key]: _left, ...rest } = entry
  return rest as MadeEntry
}

/** The last entry takes no name: a log that kept them would refuse it. */
function unindexed({ entries }: Chapter): void {
  entries.push({ ...entries.pop()!, uniqueKeys: [] })
}

function document<T extends 'issuance-policy' | 'reference-values'>(
  type: T,
  policyId: string,
  { now }: Chapter,
  change: Partial<FieldsOf<'issuance-policy'>> = {},
  text = '{}',
): NewRecord<T> {
  const content = utf8(text)
  const mediaType = type === 'issuance-policy' ? 'text/vnd.cedar' : 'application/json'
  const fields = { policyId, version: 1, mediaType, digest: sha256(content), content, notBefore: now, ...change }
  return { type, fields } as unknown as NewRecord<T>
}

/** Another series of the rules for those that nobody attests. */
async function publish(
  { chapter, roots, workload }: Stage,
  policyId: string,
  change: Partial<FieldsOf<'issuance-policy'>> = {},
  previous?: Version,
): Promise<Version> {
  const { text } = roots.legacyPolicies.get(workload.issuer)!
  const record = document('issuance-policy', policyId, chapter, change, text)
  const links: Link[] = previous ? [{ rel: 'previous', entry: previous.entry }] : []
  return { entry: await chapter.add({ ...record, links }, workload.issuer), text, version: change.version ?? 1 }
}

/** The statement with another payload, which its reader would not have signed. */
async function resign(
  chapter: Chapter,
  statement: Uint8Array,
  { issuer }: Workload,
  edit: (payload: Map<unknown, unknown>) => unknown,
): Promise<void> {
  const { header, payload } = parseSignedStatement(statement)
  const record = new Map(decodeCbor(payload) as CborMap)
  edit(record as Map<unknown, unknown>)
  const signed: SignedStatement = await signStatement(
    {
      issuer: header.issuer,
      subject: header.subject,
      issuedAt: chapter.now,
      contentType: String(header.contentType),
      typ: String(header.typ),
      payload: encodeCbor(record),
    },
    issuer.key,
  )
  chapter.entries.push(rawEntry(signed.bytes, chapter.now))
}
