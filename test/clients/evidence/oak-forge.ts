/**
 * A machine of Oak's for tests, layer by layer, with whoever endorses its software and a log that has the endorsements. Each part can be made wrong.
 *
 * @module
 */
import { type KeyObject, sign } from 'node:crypto'
import {
  concatBytes,
  formatCheckpoint,
  hashLeaf,
  hashNode,
  sha256,
  toBase64,
  toHex,
  utf8,
} from '../../../merkle/index.ts'
import { canonicalJson } from '../../../provenance/index.ts'
import { type CborKey, type CborValue, encodeCbor } from '../../../statement/index.ts'
import { bytesField as bytes, numberField as number } from '../../fuzz/mutate-protobuf.ts'
import { newKeyPair } from '../../key-pairs.ts'
import { createProcessor } from '../../scenario/forged-devices.ts'
import type { Keys } from './forge.ts'

export const NOW = 1_760_000_000

export { bytes, number }

// Events.

export const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const raw = (field: number, value: Uint8Array) => bytes(field, bytes(18, value))
export const event = (type: string, ...data: readonly Uint8Array[]): Uint8Array =>
  concatBytes(
    bytes(1, utf8('tag')),
    bytes(2, bytes(1, utf8(`type.googleapis.com/oak.attestation.v1.${type}`)), bytes(2, ...data)),
  )
export const kernelEvent = event(
  'Stage0Measurements',
  ...[1, 2, 3, 4, 5].map((field) => bytes(field, digest(field))),
  bytes(6, utf8('quiet')),
)
export const systemEvent = event('SystemLayerData', raw(1, digest(0x11)))

export const ecKey = (): Keys => newKeyPair('ec', { namedCurve: 'P-256' })
export const spkiOf = ({ publicKey }: Keys): Uint8Array =>
  new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
export const pointOf = (keys: Keys): Uint8Array => spkiOf(keys).slice(-65)
export const pemOf = ({ publicKey }: Keys): Uint8Array =>
  utf8(publicKey.export({ format: 'pem', type: 'spki' }) as string)

export const signing = ecKey()
export const sessionBinding = ecKey()
export const containerEvent = event(
  'ContainerLayerData',
  raw(1, digest(0x21)),
  raw(2, digest(0x22)),
  bytes(4, pointOf(signing)),
  bytes(5, pointOf(sessionBinding)),
)
export const EVENTS = [kernelEvent, systemEvent, containerEvent]

// Layers.

const LAYER = utf8('oak-dice-layer-v1')
const APPLICATION = utf8('oak-application-keys-v1')
export const USER_DATA = utf8('oak-user-data-v1')
export const NOTHING = new Uint8Array()

export function coseKey(keys: Keys): Uint8Array {
  const point = pointOf(keys)
  return encodeCbor(
    new Map<CborKey, CborValue>([
      [1, 2],
      [3, -7],
      [4, [2]],
      [-1, 1],
      [-2, point.slice(1, 33)],
      [-3, point.slice(33)],
    ]),
  )
}

export function coseSign1(payload: Uint8Array, key: KeyObject, external: Uint8Array): Uint8Array {
  const protectedHeader = encodeCbor(new Map([[1, -7]]))
  const signature = sign('sha256', encodeCbor(['Signature1', protectedHeader, external, payload]), {
    key,
    dsaEncoding: 'ieee-p1363',
  })
  return encodeCbor([protectedHeader, new Map([[4, utf8('AsymmetricECDSA256')]]), payload, new Uint8Array(signature)])
}

export interface Change {
  readonly events?: readonly Uint8Array[]
  /** What certificates say of each layer; of `events`, when absent. */
  readonly certified?: readonly Uint8Array[]
  /** What the application's keys are certified for. */
  readonly lastEvent?: Uint8Array
  readonly reorder?: (layers: Uint8Array[]) => Uint8Array[]
  readonly external?: { readonly layer?: Uint8Array; readonly application?: Uint8Array; readonly userData?: Uint8Array }
  readonly userData?: Uint8Array
  readonly withoutApplicationKeys?: true
  readonly isTransparent?: true
  readonly platform?: number
  readonly vmpl?: number
  readonly reportData?: (rootKey: Uint8Array) => Uint8Array
  /** Further fields of the message. */
  readonly more?: Uint8Array
}

const processor = createProcessor(NOW)
export const roots = [processor.root]

/** Evidence, and what the processor's vendor has for it. */
export function makeOak(change: Change = {}) {
  const { events = EVENTS, certified = events, external = {}, reorder = (layers) => layers } = change
  const rootKeys = ecKey()
  const rootKey = coseKey(rootKeys)
  const eventClaim = change.isTransparent ? -4670575 : -4670573
  const claims = (keys: Keys, what?: Uint8Array) =>
    encodeCbor(
      new Map<CborKey, CborValue>([
        [-4670552, coseKey(keys)],
        [-4670553, Uint8Array.of(0x20, 0)],
        ...(what ? [[eventClaim, new Map([[-4670572, sha256(what)]])] as [CborKey, CborValue]] : []),
      ]),
    )
  let issuer = rootKeys
  const layers = certified.map((what) => {
    const keys = ecKey()
    const certificate = coseSign1(claims(keys, what), issuer.privateKey, external.layer ?? LAYER)
    issuer = keys
    return certificate
  })
  const application = coseSign1(
    claims(signing, change.lastEvent ?? events.at(-1)),
    issuer.privateKey,
    external.application ?? APPLICATION,
  )
  const group = coseSign1(claims(ecKey()), issuer.privateKey, external.application ?? APPLICATION)
  const said = change.reportData?.(rootKey) ?? concatBytes(sha256(rootKey), new Uint8Array(32))
  const { evidence: report, collateral } = processor.report(said, { snp: 8, launch: 0xaa, vmpl: change.vmpl ?? 0 })
  const evidence = concatBytes(
    bytes(1, number(1, change.platform ?? 1), bytes(2, report), bytes(3, rootKey)),
    ...reorder(layers).map((layer) => bytes(2, bytes(1, layer))),
    ...(change.withoutApplicationKeys ? [] : [bytes(3, bytes(2, application), bytes(4, group))]),
    bytes(change.isTransparent ? 5 : 4, ...events.map((each) => bytes(2, each))),
    ...(change.userData
      ? [bytes(7, coseSign1(change.userData, issuer.privateKey, external.userData ?? USER_DATA))]
      : []),
    change.more ?? NOTHING,
  )
  return { evidence, collateral, report, rootKey }
}

// Endorsements.

export const endorser = ecKey()
export const rekor = ecKey()
export const keyHash = (keys: Keys): string => toHex(sha256(spkiOf(keys)))
const der = (content: Uint8Array, { privateKey }: Keys) => new Uint8Array(sign('sha256', content, privateKey))

/** Of the endorser. */
export const signatureOf = (statement: Uint8Array): Uint8Array => der(statement, endorser)

export interface StatementChange {
  readonly digest?: string
  readonly notAfter?: string
  readonly claims?: readonly string[]
  readonly member?: object
}

export const statementOf = ({
  digest: hex,
  notAfter = '2025-12-01T00:00:00.5Z',
  claims = ['b', 'a'],
  member = {},
}: StatementChange): Uint8Array =>
  utf8(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://project-oak.github.io/oak/tr/endorsement/v1',
      subject: [{ name: 'something', digest: { sha256: hex } }],
      predicate: {
        issuedOn: '2025-09-01T00:00:00Z',
        validity: { notBefore: '2025-09-01T00:00:00Z', notAfter },
        claims: claims.map((type) => ({ type })),
      },
      ...member,
    }),
  )

export interface EntryChange {
  /** The log as it should be. */
  readonly log?: Keys
  /** Who signs for it. */
  readonly signer?: Keys
  readonly checkpointSigner?: Keys
  readonly artifact?: Uint8Array
  readonly endorser?: Keys
  readonly hashes?: (hashes: string[]) => string[]
  readonly uuid?: string
  readonly withoutProof?: true
}

/** An answer of Rekor about a signature over `statement`: the second of three leaves. */
export function entryOf(statement: Uint8Array, change: EntryChange = {}): Uint8Array {
  const { log = rekor, signer = log, checkpointSigner = log, endorser: by = endorser, artifact = statement } = change
  const content = utf8(
    JSON.stringify({
      apiVersion: '0.0.1',
      kind: 'hashedrekord',
      spec: {
        data: { hash: { algorithm: 'sha256', value: toHex(sha256(artifact)) } },
        signature: { content: toBase64(der(artifact, by)), publicKey: { content: toBase64(pemOf(by)) } },
      },
    }),
  )
  const [first, leaf, last] = [hashLeaf(utf8('first')), hashLeaf(content), hashLeaf(utf8('last'))]
  const root = hashNode(hashNode(first, leaf), last)
  const text = formatCheckpoint({ origin: 'log.example', size: 3, root, extensions: [] })
  const line = concatBytes(sha256(spkiOf(checkpointSigner)).subarray(0, 4), der(utf8(text), checkpointSigner))
  const payload = { body: toBase64(content), integratedTime: NOW - 60, logID: keyHash(log), logIndex: 7 }
  const proof = {
    hashes: (change.hashes ?? ((hashes) => hashes))([first, last].map(toHex)),
    ...{ logIndex: 1, treeSize: 3, rootHash: toHex(root) },
    checkpoint: `${text}\n— log.example ${toBase64(line)}\n`,
  }
  const verification = {
    signedEntryTimestamp: toBase64(der(utf8(canonicalJson(payload)), signer)),
    ...(change.withoutProof ? {} : { inclusionProof: proof }),
  }
  return utf8(JSON.stringify({ [change.uuid ?? toHex(leaf)]: { ...payload, verification } }))
}

export interface SignedChange {
  readonly signature?: Uint8Array
  readonly subject?: Uint8Array
  readonly logEntry?: Uint8Array | undefined
  readonly format?: number
}

export const signedEndorsement = (statement: Uint8Array, change: SignedChange = {}): Uint8Array =>
  concatBytes(
    bytes(1, number(1, change.format ?? 1), bytes(2, statement), change.subject ? bytes(3, change.subject) : NOTHING),
    bytes(2, number(1, 1), bytes(2, change.signature ?? signatureOf(statement))),
    'logEntry' in change ? (change.logEntry ? bytes(3, change.logEntry) : NOTHING) : bytes(3, entryOf(statement)),
  )

const UUIDS = {
  platform: '5a12d00f48a04224bff4975c7657438f',
  firmware: 'de4a0d5560ea4dc6abd109ed744f80ea',
  kernel: '89511d655d354601900b1e6dbaf842b6',
  system: '4722655d963d4fc98443f14571dd32a2',
}

export const variant = (field: number, name: keyof typeof UUIDS, ...value: readonly Uint8Array[]): Uint8Array =>
  bytes(field, bytes(1, new Uint8Array(Buffer.from(UUIDS[name], 'hex'))), bytes(2, ...value))
