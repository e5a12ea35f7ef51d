/**
 * A whole world in memory: a log with its keys and its tree, a Verifier, a Credential Issuer, one workload, and what a relying
 * party pins. Everything in it is true; {@link buildWorld} takes edits, so that a test can tell one lie at one place.
 *
 *     index  0 log-policy            3 appraisal-policy     6 workload-provenance    8 credential-provenance
 *            1 issuer's key          4 reference-values     7 attestation-result     9… as a test adds
 *            2 verifier's key        5 issuance-policy
 *
 * @module
 */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as x509 from '@peculiar/x509'
import { concatBytes, toBase64, toHex, utf8 } from '../../merkle/bytes.ts'
import { signCheckpoint } from '../../merkle/checkpoint.ts'
import { buildConsistencyProof } from '../../merkle/consistency.ts'
import { type Hash, hashLeaf, hashNode, sha256 } from '../../merkle/hash.ts'
import { buildInclusionProof } from '../../merkle/inclusion.ts'
import { createNoteSigner } from '../../merkle/note.ts'
import { signEar } from '../../provenance/attestation/attestation-result.ts'
import type { EarClaims } from '../../provenance/attestation/ear-claims.ts'
import { spkiOfJwk } from '../../provenance/certificates/certificate-key.ts'
import { parseCredential, WIT_TYP } from '../../provenance/credential.ts'
import { parseWorkloadIdentifier } from '../../provenance/identifier.ts'
import { attestationFacts, componentsOf } from '../../provenance/issuance/issuance-facts.ts'
import { CEDAR_MEDIA_TYPE, decideIssuance } from '../../provenance/issuance/issuance-policy.ts'
import { workloadFacts } from '../../provenance/issuance/workload-facts.ts'
import { signCompactJws } from '../../provenance/jws.ts'
import { intentCommitments, LOG_REFERENCE_CLAIM } from '../../provenance/log-reference.ts'
import type { Link } from '../../provenance/record.ts'
import { type Author, buildRecordStatement, type NewRecord } from '../../provenance/record-statement.ts'
import { encodePublicKey } from '../../provenance/records/field-types.ts'
import type { FieldsOf } from '../../provenance/records/index.ts'
import type { LinkRelation, RecordType } from '../../provenance/rules/link-rules.ts'
import { credentialTag, deriveTagKey } from '../../provenance/tags.ts'
import type { Bundle } from '../../provenance/verification/bundle.ts'
import { encodeBundle } from '../../provenance/verification/bundle.ts'
import { parseTrust, type Trust, type TrustDocument } from '../../provenance/verification/trust.ts'
import {
  jwkThumbprint,
  kidOf,
  type PrivateJwk,
  type PublicJwk,
  parsePrivateJwk,
  publicJwkOf,
} from '../../statement/cose-key.ts'
import { buildReceipt, signTreeHead } from '../../statement/receipt.ts'
import { importSigningKey } from '../../statement/signature.node.ts'
import type { SignedStatement } from '../../statement/signed-statement.ts'
import { attachReceipts } from '../../statement/transparent-statement.ts'
import { newKeyPair } from '../key-pairs.ts'

export const ORIGIN = 'log.example/prov'
export const ISSUER = 'spiffe://bank.example/issuer'
export const VERIFIER = 'spiffe://bank.example/verifier'
export const SUBJECT = 'spiffe://bank.example/payments'

/** When the credential is issued, and a moment at which it is good. */
export const ISSUED_AT = 1_800_000_000
export const AT = ISSUED_AT + 600
export const LIFETIME = 3600

/** Names of the entries that every world has, in the order of the log. */
export const ENTRIES = [
  'log-policy',
  'issuer-key',
  'verifier-key',
  'appraisal-policy',
  'reference-values',
  'issuance-policy',
  'workload-provenance',
  'attestation-result',
  'credential-provenance',
] as const
export type EntryName = (typeof ENTRIES)[number]

type AnyNewRecord = { [T in RecordType]: NewRecord<T> }[RecordType]

/** One lie each. Everything after it is made as if it were the truth. */
export interface WorldEdits {
  /** `wit` unless said otherwise. */
  readonly kind?: 'wit' | 'wic'
  /** Changes a record before it is signed. `entryOf` gives entries that are there already. */
  readonly record?: (name: string, record: AnyNewRecord, entryOf: (name: string) => Hash) => AnyNewRecord
  /** Changes who signs a record, and when. */
  readonly author?: (name: string, author: Author) => Author | Promise<Author>
  readonly ear?: (claims: EarClaims) => EarClaims
  /** Signs the EAR. The Verifier's key unless said otherwise. */
  readonly earKey?: PrivateJwk
  readonly claims?: (claims: Record<string, unknown>) => Record<string, unknown>
  readonly policyText?: string
  /** Logs a second attestation result, as that of the workload but for this, which the record links as the issuer's own. */
  readonly aboutIssuer?: Partial<FieldsOf<'attestation-result'>>
  /** Logs an intent before, as `issuance-intent`, and has the token name it. */
  readonly announce?: boolean
  readonly trust?: (document: TrustDocument) => TrustDocument
}

export interface World {
  readonly keys: WorldKeys
  readonly log: TinyLog
  readonly trust: Trust
  readonly trustDocument: TrustDocument
  /** The file: compact JWS, or PEM. */
  readonly credential: Uint8Array
  readonly digest: Hash
  readonly ear: string
  entryOf(name: string): Hash
  indexOf(name: string): number
  /** Adds a record to the log. */
  add(name: string, record: AnyNewRecord, author: Author): Promise<void>
  /** What the log gives for the credential now: everything in it, the provenance record first. */
  bundle(): Promise<Bundle>
  encoded(): Promise<Uint8Array>
}

export interface WorldKeys {
  readonly admin: PrivateJwk
  readonly receipt: PrivateJwk
  readonly issuer: PrivateJwk
  readonly verifier: PrivateJwk
  readonly workload: PrivateJwk
  /** Opens everything sealed. */
  readonly auditor: PrivateJwk
  /** Authorized for nothing. */
  readonly stranger: PrivateJwk
  /** X.509 anchor of the trust domain, with its certificate. */
  readonly anchor: PrivateJwk
  readonly checkpointSeed: Uint8Array
}

export function newKey(type: 'P-256' | 'Ed25519' | 'X25519' = 'P-256'): PrivateJwk {
  const pair = type === 'P-256' ? newKeyPair('ec', { namedCurve: 'P-256' }) : newKeyPair(type.toLowerCase())
  return parsePrivateJwk(pair.privateKey.export({ format: 'jwk' }))
}

/** Keys are made once: no test depends on which they are. */
export const KEYS: WorldKeys = {
  admin: newKey(),
  receipt: newKey(),
  issuer: newKey(),
  verifier: newKey('Ed25519'),
  workload: newKey(),
  auditor: newKey('X25519'),
  stranger: newKey(),
  anchor: newKey(),
  checkpointSeed: sha256(utf8('the checkpoint key of the world')),
}

/** Bytes that look random and are the same in every run. */
export function notRandom(label: string): (length: number) => Uint8Array {
  let count = 0
  return (length) => {
    const blocks: Uint8Array[] = []
    for (let have = 0; have < length; have += 32) blocks.push(sha256(utf8(`${label} ${count++}`)))
    return concatBytes(...blocks).slice(0, length)
  }
}

export async function authorOf(key: PrivateJwk, issuer: string, now: number): Promise<Author> {
  return { key: await importSigningKey(key), issuer, now, random: notRandom(`${issuer} ${now} ${count++}`) }
}
let count = 0

/** A log with its whole tree in an array. */
export class TinyLog {
  readonly statements: SignedStatement[] = []
  readonly origin: string
  readonly #seed: Uint8Array
  readonly #receiptKey: PrivateJwk

  constructor(origin: string, seed: Uint8Array, receiptKey: PrivateJwk) {
    this.origin = origin
    this.#seed = seed
    this.#receiptKey = receiptKey
  }

  append(statement: SignedStatement): number {
    return this.statements.push(statement) - 1
  }

  get signer() {
    return createNoteSigner(this.origin, this.#seed)
  }

  /** RFC 9162 §2.1.1, as it stands there. */
  root(from = 0, to = this.statements.length): Hash {
    if (to - from === 1) return hashLeaf(this.statements[from]!.entry)
    const split = from + 2 ** Math.ceil(Math.log2(to - from) - 1)
    return hashNode(this.root(from, split), this.root(split, to))
  }

  node = (level: number, index: number): Hash => this.root(index * 2 ** level, (index + 1) * 2 ** level)

  checkpoint(size = this.statements.length): string {
    return signCheckpoint({ origin: this.origin, size, root: this.root(0, size) }, [this.signer])
  }

  consistencyProof(size1: number, size2 = this.statements.length): Hash[] {
    return buildConsistencyProof(size1, size2, this.node)
  }

  /** Transparent statements of these entries, with receipts at `size`, signed when the last of them was. */
  async transparent(indexes: readonly number[], size = this.statements.length): Promise<Uint8Array[]> {
    const issuedAt = Math.max(...this.statements.slice(0, size).map(({ header }) => header.issuedAt!))
    const head = { origin: this.origin, size, root: this.root(0, size), issuedAt }
    const signed = await signTreeHead(head, await importSigningKey(this.#receiptKey))
    return indexes.map((index) => {
      const receipt = buildReceipt(signed, { index, proof: buildInclusionProof(index, size, this.node) })
      return attachReceipts(this.statements[index]!.bytes, [receipt])
    })
  }
}

export const EXAMPLE_POLICY = readFileSync(
  new URL('../../docs/examples/issuance-policy.cedar', import.meta.url),
  'utf8',
)
export const COMPONENTS = ['pkg:npm/express@5.0.0', 'pkg:npm/pg@8.13.0']
export const MEASUREMENT = sha256(utf8('the image of the payments service'))

export async function buildWorld(edits: WorldEdits = {}): Promise<World> {
  const { kind = 'wit' } = edits
  const log = new TinyLog(ORIGIN, KEYS.checkpointSeed, KEYS.receipt)
  const indexes = new Map<string, number>()
  const wraps = new Map<string, Uint8Array[]>()
  const indexOf = (name: string): number => {
    const index = indexes.get(name)
    if (index === undefined) throw new Error(`no entry ${name} yet`)
    return index
  }
  const entryOf = (name: string): Hash => log.statements[indexOf(name)]!.entry
  const link = (rel: LinkRelation, name: string): Link => ({ rel, entry: entryOf(name) })

  async function add(name: string, record: AnyNewRecord, author: Author): Promise<void> {
    const edited = edits.record?.(name, record, entryOf) ?? record
    const by = (await edits.author?.(name, author)) ?? author
    const built = await buildRecordStatement(edited as NewRecord<RecordType>, by)
    indexes.set(name, log.append(built.statement))
    if (built.wraps.length > 0) wraps.set(toHex(built.statement.entry), built.wraps)
  }

  const now = ISSUED_AT
  const admin = await authorOf(KEYS.admin, ORIGIN, now - 1000)
  const verifier = await authorOf(KEYS.verifier, VERIFIER, now - 60)
  const issuer = await authorOf(KEYS.issuer, ISSUER, now)
  const recipients = [publicJwkOf(KEYS.auditor)]

  await add(
    'log-policy',
    {
      type: 'log-policy',
      fields: {
        origin: ORIGIN,
        vkeys: [log.signer.vkey],
        receiptKeys: [encodePublicKey(publicJwkOf(KEYS.receipt))],
        adminKeys: [encodePublicKey(publicJwkOf(KEYS.admin))],
        maxStatementBytes: 1 << 20,
      },
    },
    admin,
  )
  await add('issuer-key', authorization('issuer', ISSUER, KEYS.issuer), admin)
  await add('verifier-key', authorization('verifier', VERIFIER, KEYS.verifier), admin)

  const criteria = utf8('{"appraisal":"criteria"}')
  await add('appraisal-policy', { type: 'appraisal-policy', fields: document('baseline', criteria) }, verifier)
  await add('reference-values', { type: 'reference-values', fields: document('golden', criteria) }, verifier)
  const policyText = edits.policyText ?? EXAMPLE_POLICY
  const policy = { ...document('payments', utf8(policyText)), mediaType: CEDAR_MEDIA_TYPE }
  await add('issuance-policy', { type: 'issuance-policy', fields: policy }, issuer)

  const description = {
    sbom: [{ format: 'CycloneDX', specVersion: '1.6', digest: sha256(utf8('bom')), components: COMPONENTS }],
    build: [],
    compliance: [{ test: 'cis-docker', result: 'pass', verified: false }],
  }
  const workload = {
    type: 'workload-provenance',
    fields: { subject: MEASUREMENT },
    sections: { workload: description },
  } as const
  await add('workload-provenance', { ...workload, recipients }, issuer)

  const workloadKey = publicJwkOf(KEYS.workload)
  const honestEar: EarClaims = {
    issuedAt: now - 60,
    expiresAt: now + 300,
    verifier: { developer: 'https://verifier.example', build: '1.0' },
    status: 'affirming',
    appraisals: new Map([
      [
        'payments',
        {
          status: 'affirming',
          vector: { executables: 2, hardware: 2 },
          policyIds: ['baseline'],
          attestedKey: spkiOfJwk(workloadKey),
        },
      ],
    ]),
  }
  const ear = edits.ear?.(honestEar) ?? honestEar
  const compact = await signEar(ear, edits.earKey ?? KEYS.verifier)
  const tier = ear.status ?? 'none'
  const attested: NewRecord<'attestation-result'> = {
    type: 'attestation-result',
    fields: {
      resultDigest: sha256(utf8(compact)),
      evidenceDigest: sha256(utf8('evidence')),
      format: 'measured-files',
      tier,
      issuedAt: ear.issuedAt,
      expiresAt: ear.expiresAt ?? now + 300,
    },
    sections: {
      attestation: { result: compact, measurement: MEASUREMENT, keyThumbprint: jwkThumbprint(workloadKey) },
    },
    recipients,
    links: [
      link('appraisal-policy', 'appraisal-policy'),
      link('reference-values', 'reference-values'),
      link('key-authorization', 'verifier-key'),
    ],
  }
  await add('attestation-result', attested, verifier)

  if (edits.aboutIssuer) {
    const fields = { ...attested.fields, ...edits.aboutIssuer }
    await add('issuer-attestation', { ...attested, fields }, verifier)
  }

  const grounds = [
    link('workload-provenance', 'workload-provenance'),
    link('attestation-result', 'attestation-result'),
    link('issuance-policy', 'issuance-policy'),
    link('key-authorization', 'issuer-key'),
  ]
  if (edits.announce) {
    const announced = { kind, identifier: 'jti-0001', subject: SUBJECT, keyThumbprint: jwkThumbprint(workloadKey) }
    const fields = { kind, notBefore: now, notAfter: now + LIFETIME, attestation: 'attested' as const }
    const commitments = intentCommitments(announced)
    await add(
      'issuance-intent',
      { type: 'issuance-intent', fields: { ...fields, ...commitments }, links: grounds },
      issuer,
    )
  }
  const reference = edits.announce && {
    [LOG_REFERENCE_CLAIM]: { log: ORIGIN, entry: toHex(entryOf('issuance-intent')), index: indexOf('issuance-intent') },
  }
  const wic = async () => utf8(await issueWic(publicJwkOf(KEYS.workload)))
  const credential = kind === 'wit' ? await issueWit(edits, reference || {}) : await wic()
  const parsed = parseCredential(credential)
  const result = { claims: ear, verifier: VERIFIER, measurement: toHex(MEASUREMENT) }
  const facts = attestationFacts([result], jwkThumbprint(workloadKey), now)
  const decision = decideIssuance(policyText, {
    subject: parseWorkloadIdentifier(SUBJECT),
    attestation: facts,
    workload: workloadFacts(description, { subject: toHex(MEASUREMENT), publisher: ISSUER }, facts.measurements),
    credential: { kind, lifetimeSeconds: LIFETIME },
  })
  const tagKey = deriveTagKey(KEYS.issuer)
  const identifier = parsed.identifier!
  const { engine, engineVersion, policyDigest, contextDigest, context, reasons } = decision
  await add(
    'credential-provenance',
    {
      type: 'credential-provenance',
      fields: {
        kind,
        credentialDigest: parsed.digest,
        notBefore: now,
        notAfter: now + LIFETIME,
        delivery: 'file',
        attestation: 'attested',
        components: ear.appraisals.size,
      },
      links: [
        ...grounds,
        ...(edits.announce ? [link('issuance-intent', 'issuance-intent')] : []),
        ...(edits.aboutIssuer ? [link('issuer-attestation', 'issuer-attestation')] : []),
      ],
      unique: [credentialTag(tagKey, { kind, trustDomain: 'bank.example', identifier })],
      sections: {
        credential: {
          subject: SUBJECT,
          trustDomain: 'bank.example',
          identifier,
          keyThumbprint: jwkThumbprint(workloadKey),
        },
        decision: { engine, engineVersion, policyDigest, contextDigest, context, decision: decision.decision, reasons },
        attestation: {
          components: componentsOf([{ ...result, entry: entryOf('attestation-result') }], jwkThumbprint(workloadKey)),
        },
        tags: { key: tagKey },
      },
      recipients,
    },
    issuer,
  )

  const honestTrust = await trustOf(log)
  const trustDocument = edits.trust?.(honestTrust) ?? honestTrust
  const bundle = async (): Promise<Bundle> => {
    const first = indexOf('credential-provenance')
    const rest = log.statements.map((_, index) => index).filter((index) => index !== first)
    return {
      origin: ORIGIN,
      checkpoint: log.checkpoint(),
      statements: await log.transparent([first, ...rest]),
      wraps: new Map(wraps),
      credentialDigest: parsed.digest,
    }
  }
  return {
    keys: KEYS,
    log,
    trust: parseTrust(JSON.stringify(trustDocument)),
    trustDocument,
    credential,
    digest: parsed.digest,
    ear: compact,
    entryOf,
    indexOf,
    add,
    bundle,
    encoded: async () => encodeBundle(await bundle()),
  }
}

/** A change of status by the issuer. */
export async function addStatus(
  world: World,
  fields: Omit<FieldsOf<'credential-status'>, 'credentialDigest'>,
  now = AT - 1,
): Promise<void> {
  const links: Link[] = [
    { rel: 'credential-provenance', entry: world.entryOf('credential-provenance') },
    { rel: 'key-authorization', entry: world.entryOf('issuer-key') },
  ]
  if (fields.status === 'migrated')
    links.push({ rel: 'attestation-result', entry: world.entryOf('attestation-result') })
  const record: NewRecord<'credential-status'> = {
    type: 'credential-status',
    fields: { credentialDigest: world.digest, ...fields },
    links,
  }
  await world.add(`status ${world.log.statements.length}`, record, await authorOf(KEYS.issuer, ISSUER, now))
}

export function authorization(
  role: 'issuer' | 'verifier',
  subject: string,
  key: PrivateJwk,
): NewRecord<'key-authorization'> {
  const { trustDomain } = parseWorkloadIdentifier(subject)
  return {
    type: 'key-authorization',
    fields: {
      role,
      trustDomain,
      subject,
      key: encodePublicKey(publicJwkOf(key)),
      notBefore: ISSUED_AT - 86_400,
      notAfter: ISSUED_AT + 86_400,
    },
  }
}

function document(policyId: string, content: Uint8Array): FieldsOf<'appraisal-policy'> {
  return {
    policyId,
    version: 1,
    mediaType: 'application/json',
    digest: sha256(content),
    content,
    notBefore: ISSUED_AT - 1000,
    notAfter: ISSUED_AT + 86_400,
  }
}

async function trustOf(log: TinyLog): Promise<TrustDocument> {
  const { d: _secret, ...issuer } = KEYS.issuer
  const { d: _hidden, ...anchor } = KEYS.anchor
  return {
    logs: [{ origin: ORIGIN, vkey: log.signer.vkey }],
    trustDomains: {
      'bank.example': {
        keys: [
          { ...issuer, use: 'wit-svid', kid: kidOf(publicJwkOf(KEYS.issuer)) },
          { ...anchor, use: 'x509-svid', x5c: [toBase64(await anchorCertificate())] },
        ],
        spiffe_sequence: 1,
      },
    },
    issuers: [ISSUER],
    verifiers: [VERIFIER],
    minimumTier: 'affirming',
  }
}

async function issueWit(edits: WorldEdits, more: object): Promise<Uint8Array> {
  const workload = { ...publicJwkOf(KEYS.workload), alg: 'ES256' }
  const claims = {
    sub: SUBJECT,
    jti: 'jti-0001',
    nbf: ISSUED_AT,
    exp: ISSUED_AT + LIFETIME,
    cnf: { jwk: workload },
    ...more,
  }
  const header = { typ: WIT_TYP, kid: kidOf(publicJwkOf(KEYS.issuer)) }
  return utf8(await signCompactJws(header, JSON.stringify(edits.claims?.(claims) ?? claims), KEYS.issuer))
}

// Certificates. Made with a library that creates and does not validate: checking is ours.

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
x509.cryptoProvider.set(webcrypto as unknown as Crypto)

export async function webCryptoKeys(jwk: PrivateJwk): Promise<{ publicKey: CryptoKey; privateKey: CryptoKey }> {
  const { alg: _alg, ...members } = jwk
  const { d: _d, ...rest } = members
  return {
    publicKey: await crypto.subtle.importKey('jwk', rest, ES256, true, ['verify']),
    privateKey: await crypto.subtle.importKey('jwk', members, ES256, true, ['sign']),
  }
}

let anchor: Promise<Uint8Array> | undefined

/** The certificate of the trust domain's anchor, DER. */
export function anchorCertificate(): Promise<Uint8Array> {
  anchor ??= (async () => {
    const keys = await webCryptoKeys(KEYS.anchor)
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: 'CN=bank.example',
      notBefore: new Date((ISSUED_AT - 86_400) * 1000),
      notAfter: new Date((ISSUED_AT + 86_400) * 1000),
      signingAlgorithm: ES256,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://bank.example' }]),
      ],
    })
    return new Uint8Array(certificate.rawData)
  })()
  return anchor
}

export interface CertificateEdits {
  readonly subject?: string
  readonly issuer?: string
  readonly issuerKey?: PrivateJwk
  readonly serialNumber?: string
  readonly notBefore?: number
  readonly notAfter?: number
  readonly extensions?: x509.Extension[]
}

/** The extensions of an honest workload certificate. */
export function leafExtensions(uri = SUBJECT): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
    new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }], true),
  ]
}

/** A certificate for `key`, PEM, under the anchor unless said otherwise. */
export async function issueWic(key: PublicJwk, edits: CertificateEdits = {}): Promise<string> {
  const { alg: _alg, ...jwk } = key
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: edits.serialNumber ?? '0badc0de',
    subject: edits.subject ?? '',
    issuer: edits.issuer ?? 'CN=bank.example',
    notBefore: new Date((edits.notBefore ?? ISSUED_AT) * 1000),
    notAfter: new Date((edits.notAfter ?? ISSUED_AT + LIFETIME) * 1000),
    publicKey: await crypto.subtle.importKey('jwk', jwk, ES256, true, ['verify']),
    signingKey: (await webCryptoKeys(edits.issuerKey ?? KEYS.anchor)).privateKey,
    signingAlgorithm: ES256,
    extensions: edits.extensions ?? leafExtensions(),
  })
  return `${certificate.toString('pem')}\n`
}
