import assert from 'node:assert/strict'
import { createHash, type KeyObject, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, fromHex, toHex, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { ES256_JWK } from '../../statement/fixtures.ts'
import {
  authorityExtensions,
  basicConstraints,
  type CertificateContent,
  certificate,
  type Extension,
  ecKeys,
  integer,
  keyUsage,
  octets,
  oid,
  pem,
  type RevocationListContent,
  revocationList,
  seq,
  sha256Hex,
} from './forge.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const DAY = 86_400
const YEAR = 365 * DAY
const challenge = 'challenge'
const workloadKey = publicJwkOf(ES256_JWK)
const spki = spkiOfJwk(workloadKey)
const tdx = evidenceFormat('tdx')
const sgx = evidenceFormat('sgx')

const keys = {
  root: ecKeys('P-256'),
  ca: ecKeys('P-256'),
  pck: ecKeys('P-256'),
  tcb: ecKeys('P-256'),
  ak: ecKeys('P-256'),
}
type Party = keyof typeof keys

const SGX = '1.2.840.113741.1.13.1'
const pair = (id: string, value: Uint8Array) => seq(oid(id), value)
const FMSPC = '00806f050000'
const PPID = '11'.repeat(16)
const COMPONENTS = [5, 5, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]

/** "PCK Certificate Profile" §1.3.5 */
const platformExtension = (components: readonly number[] = COMPONENTS, pceSvn = 11): Extension => ({
  id: SGX,
  value: seq(
    pair(`${SGX}.1`, octets(fromHex(PPID))),
    pair(
      `${SGX}.2`,
      seq(
        ...components.map((svn, i) => pair(`${SGX}.2.${i + 1}`, integer(svn))),
        pair(`${SGX}.2.17`, integer(pceSvn)),
        pair(`${SGX}.2.18`, octets(Uint8Array.from(components))),
      ),
    ),
    pair(`${SGX}.3`, octets(Uint8Array.of(0, 0))),
    pair(`${SGX}.4`, octets(fromHex(FMSPC))),
  ),
})

const NAMES: Readonly<Record<Party, string>> = {
  root: 'Intel SGX Root CA',
  ca: 'Intel SGX PCK Platform CA',
  pck: 'Intel SGX PCK Certificate',
  tcb: 'Intel SGX TCB Signing',
  ak: '',
}

function issued(subject: Party, issuer: Party, change: Partial<CertificateContent> = {}): Uint8Array {
  const leaf = [basicConstraints(false), keyUsage(0x80)]
  return certificate({
    subject: NAMES[subject],
    issuer: NAMES[issuer],
    serial: { root: 1, ca: 2, pck: 3, tcb: 4, ak: 5 }[subject],
    notBefore: NOW - YEAR,
    notAfter: NOW + YEAR,
    publicKey: keys[subject].publicKey,
    extensions: subject === 'pck' ? [...leaf, platformExtension()] : subject === 'tcb' ? leaf : authorityExtensions,
    signer: { key: keys[issuer].privateKey, algorithm: 'ES256' },
    ...change,
  })
}

const chain = {
  root: issued('root', 'root'),
  ca: issued('ca', 'root'),
  pck: issued('pck', 'ca'),
  tcb: issued('tcb', 'root'),
}
const roots = [sha256Hex(chain.root)]
const crlOf = (issuer: 'root' | 'ca', change: Partial<RevocationListContent> = {}) =>
  revocationList({
    issuer: NAMES[issuer],
    thisUpdate: NOW - DAY,
    nextUpdate: NOW + DAY,
    serials: [],
    signer: { key: keys[issuer].privateKey, algorithm: 'ES256' },
    ...change,
  })

const raw = (content: Uint8Array, key: KeyObject) =>
  new Uint8Array(sign('sha256', content, { key, dsaEncoding: 'ieee-p1363' }))
const instant = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000', '')
const svns = (values: readonly number[]) => values.map((svn) => ({ svn }))

// Intel's documents

const QE_SIGNER = '8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff'
const TD_QE_SIGNER = 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5'
const dates = { issueDate: instant(NOW - DAY), nextUpdate: instant(NOW + DAY), tcbEvaluationDataNumber: 17 }
const level = (tcbStatus: string, tcb: object, advisoryIDs?: string[]) => ({
  tcb,
  tcbDate: '2024-03-13T00:00:00Z',
  tcbStatus,
  ...(advisoryIDs ? { advisoryIDs } : {}),
})
const MODULE = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) }
const TDX_COMPONENTS = [5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
const platformTcb = { sgxtcbcomponents: svns(COMPONENTS), pcesvn: 11, tdxtcbcomponents: svns(TDX_COMPONENTS) }
const lower = { ...platformTcb, sgxtcbcomponents: svns(COMPONENTS.map((svn) => Math.max(0, svn - 1))) }

const tcbInfo = (change: object = {}) => ({
  id: 'TDX',
  version: 3,
  ...dates,
  fmspc: FMSPC.toUpperCase(),
  pceId: '0000',
  tcbType: 0,
  tdxModule: MODULE,
  tdxModuleIdentities: [
    {
      id: 'TDX_01',
      ...MODULE,
      tcbLevels: [level('UpToDate', { isvsvn: 4 }), level('OutOfDate', { isvsvn: 2 }, ['INTEL-SA-2'])],
    },
  ],
  tcbLevels: [level('UpToDate', platformTcb), level('OutOfDate', lower, ['INTEL-SA-1'])],
  ...change,
})
const identity = (change: object = {}) => ({
  id: 'TD_QE',
  version: 2,
  ...dates,
  miscselect: '00000000',
  miscselectMask: 'FFFFFFFF',
  attributes: `11${'00'.repeat(15)}`,
  attributesMask: `FB${'FF'.repeat(7)}${'00'.repeat(8)}`,
  mrsigner: TD_QE_SIGNER.toUpperCase(),
  isvprodid: 2,
  tcbLevels: [level('UpToDate', { isvsvn: 4 }), level('OutOfDate', { isvsvn: 3 })],
  ...change,
})
const answer = (name: 'tcbInfo' | 'enclaveIdentity', document: object, signer: Party = 'tcb') => {
  const text = JSON.stringify(document)
  return utf8(`{"${name}":${text},"signature":"${toHex(raw(utf8(text), keys[signer].privateKey))}"}`)
}

// Quotes

type Bytes = Readonly<Record<number, ArrayLike<number>>>
function laidOut(length: number, fields: Bytes): Uint8Array {
  const bytes = new Uint8Array(length)
  for (const [at, value] of Object.entries(fields)) bytes.set(value, Number(at))
  return bytes
}
const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8)
const u32 = (value: number) => concatBytes(u16(value & 0xffff), u16(value >> 16))
const sha = (algorithm: string, ...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash(algorithm)
      .update(concatBytes(...parts))
      .digest(),
  )
const fill = (length: number, value: number) => new Uint8Array(length).fill(value)

const bound = (nonce = challenge) => sha('sha512', utf8(nonce), spki)
const tdBody = (length: 584 | 648, change: Bytes = {}) =>
  laidOut(length, {
    0: [5, 0, 2],
    64: fill(48, 0),
    123: [0x10],
    136: fill(48, 0xaa),
    328: fill(48, 0xbb),
    520: bound(),
    ...change,
  })
const sgxBody = (change: Bytes = {}) =>
  laidOut(384, {
    48: [0x05],
    64: fill(32, 0xaa),
    128: fill(32, 0xbb),
    256: u16(7),
    258: u16(3),
    320: bound(),
    ...change,
  })

interface Change {
  readonly version?: 3 | 4 | 5
  readonly body?: Uint8Array
  /** Of the header. */
  readonly header?: Bytes
  /** Of the QE report. */
  readonly qe?: Bytes
  readonly chain?: readonly Uint8Array[]
  readonly signers?: { readonly quote?: Party; readonly qe?: Party }
  readonly afterChain?: string
  readonly bodyType?: number
  /** Of the certification data: below 5 it names the platform, and has no certificates. */
  readonly dataType?: number
}

function quote(change: Change = {}): Uint8Array {
  const { version = 4, body = tdBody(584), header = {}, qe = {}, signers = {}, afterChain = '\0' } = change
  const isSgx = body.length === 384
  const head = laidOut(48, {
    0: u16(version),
    2: u16(2),
    4: u32(isSgx ? 0 : 0x81),
    12: fromHex('939a7233f79c4ca9940a0db3957f0607'),
    ...header,
  })
  const type = change.bodyType ?? { 384: 1, 584: 2, 648: 3 }[body.length]!
  const descriptor = version === 5 ? concatBytes(u16(type), u32(body.length)) : new Uint8Array()
  const signed = concatBytes(head, descriptor, body)

  const { x, y } = keys.ak.publicKey.export({ format: 'jwk' })
  const ak = new Uint8Array(Buffer.concat([Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]))
  const data = fill(32, 9)
  const qeReport = laidOut(384, {
    48: [0x11],
    128: fromHex(isSgx ? QE_SIGNER : TD_QE_SIGNER),
    256: u16(isSgx ? 1 : 2),
    258: u16(4),
    320: sha('sha256', ak, data),
    ...qe,
  })
  const certificates = (change.chain ?? [chain.pck, chain.ca, chain.root])
    .map((der) => pem('CERTIFICATE', der))
    .join('')
  const { dataType = 5 } = change
  const text = dataType < 5 ? fill(404, 8) : utf8(certificates + afterChain)
  const endorsed = concatBytes(
    qeReport,
    raw(qeReport, keys[signers.qe ?? 'pck'].privateKey),
    u16(data.length),
    data,
    u16(dataType),
    u32(text.length),
    text,
  )
  const signature = concatBytes(
    raw(signed, keys[signers.quote ?? 'ak'].privateKey),
    ak,
    version === 3 ? endorsed : concatBytes(u16(6), u32(endorsed.length), endorsed),
  )
  return concatBytes(signed, u32(signature.length), signature)
}

const honest = quote()
const documents = [answer('tcbInfo', tcbInfo()), answer('enclaveIdentity', identity())]
const certificates = [chain.tcb, chain.root, crlOf('root'), crlOf('ca')]
const collateral = [...documents, ...certificates]
const examination: Examination = { references: [], now: NOW, collateral, roots, nonce: challenge, workloadKey }
const examined = (evidence: Uint8Array, change: Partial<Examination> = {}) =>
  tdx.examine(evidence, { ...examination, ...change })
const withDocuments = (info: object, qe: object = identity()) => ({
  collateral: [answer('tcbInfo', info), answer('enclaveIdentity', qe), ...certificates],
})
const refused = (code: string) => ({ name: 'EvidenceError', code })

const policyOf = (format: string, change: object = {}) =>
  parseAppraisalPolicy(
    utf8(
      JSON.stringify({
        format,
        maxEvidenceAgeSeconds: 300,
        resultLifetimeSeconds: 3600,
        roots,
        claims: {
          match: { 'instance-identity': 2, configuration: 2, executables: 3, hardware: 2, 'runtime-opaque': 2 },
          mismatch: { executables: 33 },
        },
        ...change,
      }),
    ),
  )
const hex = (value: number, length: number) => toHex(fill(length, value))
const appraised = (evidence = honest, change: Partial<Parameters<typeof appraise>[0]> = {}) =>
  appraise({
    evidence,
    policyId: 'tdx',
    policy: policyOf('tdx'),
    referenceValues: [
      parseReferenceValues(
        utf8(
          JSON.stringify({
            format: 'tdx',
            measurements: [{ name: 'payments', values: { MRTD: hex(0xaa, 48), RTMR0: hex(0xbb, 48) } }],
            platforms: [{ model: FMSPC, ids: [PPID] }],
          }),
        ),
      ),
    ],
    now: NOW,
    nonce: challenge,
    workloadKey,
    collateral,
    ...change,
  })

describe('tdx evidence', () => {
  it('affirms the reference TD on a platform that Intel calls up to date', async () => {
    const { tier, claims } = await appraised()
    const { annotatedEvidence, attestedKey } = claims.appraisals.get('tdx')!
    assert.equal(tier, 'affirming')
    assert.deepEqual(attestedKey, spki)
    assert.deepEqual(annotatedEvidence?.['tcb'], { status: 'UpToDate', date: '2024-03-13T00:00:00Z' })
    assert.deepEqual(annotatedEvidence?.['platform'], { model: FMSPC, id: PPID })
    assert.deepEqual(annotatedEvidence?.['findings'], [])
  })

  it('takes collateral as one JSON object, too', async () => {
    const [info, qe] = [JSON.stringify(tcbInfo()), JSON.stringify(identity())]
    const signature = (text: string) => toHex(raw(utf8(text), keys.tcb.privateKey))
    const issuers = pem('CERTIFICATE', chain.tcb) + pem('CERTIFICATE', chain.root)
    const combined = JSON.stringify({
      tcb_info: info,
      tcb_info_signature: signature(info),
      tcb_info_issuer_chain: issuers,
      qe_identity: qe,
      qe_identity_signature: signature(qe),
      qe_identity_issuer_chain: issuers,
      root_ca_crl: toHex(crlOf('root')),
      pck_crl: pem('X509 CRL', crlOf('ca')),
      pck_crl_issuer_chain: pem('CERTIFICATE', chain.ca) + pem('CERTIFICATE', chain.root),
    })
    assert.deepEqual((await examined(honest, { collateral: [utf8(combined)] })).cases, ['mismatch'])
  })

  it('reads version 5, with bodies of TDX 1.0 and 1.5', async () => {
    for (const body of [tdBody(584), tdBody(648, { 600: fill(48, 0xcc) })]) {
      const { cases, detail } = await examined(quote({ version: 5, body }))
      assert.deepEqual(cases, ['mismatch'])
      const measurements = detail['measurements'] as Record<string, string>
      assert.equal(measurements['MRTD'], hex(0xaa, 48))
      assert.equal(measurements['MRSERVICETD'], body.length === 648 ? hex(0xcc, 48) : undefined)
    }
  })

  it('is cut out of the buffer that it was returned in, whatever is left there', async () => {
    assert.deepEqual(tdx.ofFile(concatBytes(honest, new Uint8Array(3000))), honest)
    const filled = concatBytes(honest, utf8('extra bytes'))
    assert.deepEqual(tdx.ofFile(filled), honest)
    assert.deepEqual(tdx.ofFile(utf8('nothing')), utf8('nothing'))
    await assert.rejects(examined(filled), refused('malformed_evidence'))
  })

  it('may have its certificates in another order, behind the platform’s', async () => {
    const { cases } = await examined(quote({ chain: [chain.pck, chain.root, chain.ca] }))
    assert.deepEqual(cases, ['mismatch'])
  })

  it('may have no certificates, and those of its platform are collateral', async () => {
    const other = issued('pck', 'ca', { publicKey: keys.ak.publicKey, serial: 9 })
    for (const dataType of [1, 2, 3]) {
      const bare = quote({ dataType })
      const { cases } = await examined(bare, { collateral: [...collateral, other, chain.pck, chain.ca] })
      assert.deepEqual(cases, ['mismatch'])
      await assert.rejects(examined(bare), refused('missing_collateral'))
      await assert.rejects(examined(bare, { collateral: [...collateral, chain.pck] }), refused('missing_collateral'))
      const another = { collateral: [...collateral, other, chain.ca] }
      await assert.rejects(examined(bare, another), refused('bad_evidence_signature'))
    }
  })

  it('takes a chain as it stands in a header field', async () => {
    const encoded = encodeURIComponent([chain.tcb, chain.root].map((der) => pem('CERTIFICATE', der)).join(''))
    const { cases } = await examined(honest, { collateral: [...documents, utf8(encoded), crlOf('root'), crlOf('ca')] })
    assert.deepEqual(cases, ['mismatch'])
    const broken = [...documents, utf8(encoded.replace('%20', '%20%E0%A4%A'))]
    await assert.rejects(examined(honest, { collateral: broken }), refused('malformed_collateral'))
  })

  const module1 = { body: tdBody(584, { 0: [4, 1, 2] }) }
  const findings: [what: string, expected: string[], evidence: () => Uint8Array, change: Partial<Examination>][] = [
    ['a TD that may be debugged', ['debug'], () => quote({ body: tdBody(584, { 120: [1] }) }), {}],
    ['a module with levels of its own', [], () => quote(module1), {}],
    ['an old module', ['outdatedTcb'], () => quote({ body: tdBody(584, { 0: [3, 1, 2] }) }), {}],
    ['a module below all levels', ['outdatedTcb'], () => quote({ body: tdBody(584, { 0: [1, 1, 2] }) }), {}],
    ['a module that Intel does not list', ['unknownTcb'], () => quote({ body: tdBody(584, { 0: [4, 2, 2] }) }), {}],
    ['an old TDX component', ['outdatedTcb'], () => quote({ body: tdBody(584, { 0: [4, 0, 2] }) }), {}],
    [
      'an old platform',
      ['outdatedTcb'],
      () =>
        quote({
          chain: [
            issued('pck', 'ca', { extensions: [basicConstraints(false), platformExtension(COMPONENTS.with(0, 4))] }),
            chain.ca,
            chain.root,
          ],
        }),
      {},
    ],
    [
      'an old PCE',
      ['outdatedTcb'],
      () =>
        quote({
          chain: [
            issued('pck', 'ca', { extensions: [basicConstraints(false), platformExtension(COMPONENTS, 10)] }),
            chain.ca,
            chain.root,
          ],
        }),
      {},
    ],
    ['an old quoting enclave', ['outdatedTcb'], () => quote({ qe: { 258: u16(3) } }), {}],
    ['a quoting enclave below all levels', ['outdatedTcb'], () => quote({ qe: { 258: u16(2) } }), {}],
    ['nothing known of the platform', ['unknownTcb'], () => honest, { collateral: [documents[1]!, ...certificates] }],
    [
      'nothing known of the quoting enclave',
      ['unknownTcb'],
      () => honest,
      { collateral: [documents[0]!, ...certificates] },
    ],
    ['documents about others alone', ['unknownTcb'], () => honest, withDocuments(tcbInfo({ fmspc: '00'.repeat(6) }))],
    ['documents about SGX alone', ['unknownTcb'], () => honest, withDocuments(tcbInfo({ id: 'SGX' }))],
    ['an old TCB info', ['expiredCollateral'], () => honest, withDocuments(tcbInfo({ nextUpdate: instant(NOW - 1) }))],
    [
      'a TCB info of the future',
      ['expiredCollateral'],
      () => honest,
      withDocuments(tcbInfo({ issueDate: instant(NOW + 1) })),
    ],
    [
      'an old identity',
      ['expiredCollateral'],
      () => honest,
      withDocuments(tcbInfo(), identity({ nextUpdate: instant(NOW - 1) })),
    ],
    [
      'no revocation lists',
      ['uncheckedRevocation'],
      () => honest,
      { collateral: [...documents, chain.tcb, chain.root] },
    ],
    [
      'no list of the platforms',
      ['uncheckedRevocation'],
      () => honest,
      { collateral: [...documents, chain.tcb, chain.root, crlOf('root')] },
    ],
    [
      'a revoked platform',
      ['revoked'],
      () => honest,
      { collateral: [...documents, chain.tcb, chain.root, crlOf('root'), crlOf('ca', { serials: [3] })] },
    ],
    [
      'a revoked PCK CA',
      ['revoked'],
      () => honest,
      { collateral: [...documents, chain.tcb, chain.root, crlOf('ca'), crlOf('root', { serials: [2] })] },
    ],
    [
      'a revoked signer of documents',
      ['revoked'],
      () => honest,
      { collateral: [...documents, chain.tcb, chain.root, crlOf('ca'), crlOf('root', { serials: [4] })] },
    ],
    ...(
      [
        ['SWHardeningNeeded', ['unhardened']],
        ['ConfigurationNeeded', ['unhardened']],
        ['ConfigurationAndSWHardeningNeeded', ['unhardened']],
        ['OutOfDate', ['outdatedTcb']],
        ['OutOfDateConfigurationNeeded', ['outdatedTcb', 'unhardened']],
        ['Revoked', ['revoked']],
      ] as [string, string[]][]
    ).map(([status, expected]): [string, string[], () => Uint8Array, Partial<Examination>] => [
      `a level that is ${status}`,
      expected,
      () => honest,
      withDocuments(tcbInfo({ tcbLevels: [level(status, platformTcb)] })),
    ]),
  ]
  for (const [what, expected, evidence, change] of findings) {
    it(`finds ${what} (${expected.join(', ') || 'nothing'})`, async () => {
      const { cases } = await examined(evidence(), change)
      assert.deepEqual(cases, ['mismatch', ...expected])
    })
  }

  it('believes the newest of several documents', async () => {
    const old = tcbInfo({ issueDate: instant(NOW - 2 * DAY), tcbLevels: [level('Revoked', platformTcb)] })
    const both = [answer('tcbInfo', old), ...collateral]
    assert.deepEqual((await examined(honest, { collateral: both })).cases, ['mismatch'])
  })

  it('tells the worst status, since when, and Intel’s advisories', async () => {
    const { detail } = await examined(quote({ body: tdBody(584, { 0: [3, 1, 2] }) }))
    assert.deepEqual(detail['tcb'], { status: 'OutOfDate', date: '2024-03-13T00:00:00Z', advisories: ['INTEL-SA-2'] })
  })

  it('makes by default a warning of what is old, and contraindicates what is open or revoked', async () => {
    const tierWith = async (info: object) => (await appraised(honest, withDocuments(info))).tier
    assert.equal(await tierWith(tcbInfo({ tcbLevels: [level('OutOfDate', platformTcb)] })), 'warning')
    assert.equal(await tierWith(tcbInfo({ tcbLevels: [level('SWHardeningNeeded', platformTcb)] })), 'warning')
    assert.equal(await tierWith(tcbInfo({ tcbLevels: [level('Revoked', platformTcb)] })), 'contraindicated')
    assert.equal((await appraised(quote({ body: tdBody(584, { 120: [1] }) }))).tier, 'contraindicated')
    assert.equal((await appraised(honest, { collateral: [] })).tier, 'warning')
    const accept = ['unknownTcb', 'uncheckedRevocation']
    assert.equal((await appraised(honest, { collateral: [], policy: policyOf('tdx', { accept }) })).tier, 'affirming')
  })

  const wrong: [what: string, code: string, evidence: () => Uint8Array, change?: Partial<Examination>][] = [
    ['a quote by another attestation key', 'bad_evidence_signature', () => quote({ signers: { quote: 'pck' } })],
    [
      'a QE report by another key than the platform’s',
      'bad_evidence_signature',
      () => quote({ signers: { qe: 'ak' } }),
    ],
    ['a QE report about another attestation key', 'bad_evidence_signature', () => quote({ qe: { 320: fill(32, 1) } })],
    ['a QE report with more in it than the key', 'bad_evidence_signature', () => quote({ qe: { 352: [1] } })],
    ['a quoting enclave of the host’s own', 'bad_evidence_signature', () => quote({ qe: { 128: fill(32, 1) } })],
    ['another enclave of Intel’s', 'bad_evidence_signature', () => quote({ qe: { 256: u16(3) } })],
    [
      'the quoting enclave of SGX',
      'bad_evidence_signature',
      () => quote({ qe: { 128: fromHex(QE_SIGNER), 256: u16(1) } }),
    ],
    ['a quoting enclave that may be debugged', 'bad_evidence_signature', () => quote({ qe: { 48: [0x13] } })],
    ['a quoting enclave with other attributes', 'bad_evidence_signature', () => quote({ qe: { 48: [0x31] } })],
    ['a quoting enclave with another MISCSELECT', 'bad_evidence_signature', () => quote({ qe: { 16: [1] } })],
    [
      'a TDX module that Intel did not sign',
      'bad_evidence_signature',
      () => quote({ body: tdBody(584, { 64: fill(48, 1) }) }),
    ],
    ['a TDX module with attributes', 'bad_evidence_signature', () => quote({ body: tdBody(584, { 112: [1] }) })],
    [
      'a chain that begins with a CA',
      'bad_certificate_chain',
      () => quote({ chain: [chain.ca, chain.pck, chain.root] }),
      {},
    ],
    [
      'a chain to another root',
      'untrusted_root',
      () => quote({ chain: [chain.pck, chain.ca, issued('root', 'root', { serial: 9 })] }),
    ],
    [
      'the certificate of no platform',
      'bad_certificate_chain',
      () => quote({ chain: [issued('pck', 'ca', { extensions: [] }), chain.ca, chain.root] }),
    ],
    [
      'a platform without components',
      'malformed_evidence',
      () => quote({ chain: [issued('pck', 'ca', { extensions: [platformExtension([])] }), chain.ca, chain.root] }),
    ],
    ['documents without their signer', 'missing_collateral', () => honest, { collateral: documents }],
    [
      'documents without the signer’s issuer',
      'missing_collateral',
      () => honest,
      { collateral: [...documents, chain.tcb] },
    ],
    [
      'a document signed by a platform',
      'wrong_collateral',
      () => honest,
      { collateral: [answer('tcbInfo', tcbInfo(), 'pck'), ...certificates, chain.pck] },
    ],
    [
      'a document by a signer below the PCK CA',
      'untrusted_root',
      () => honest,
      { collateral: [documents[0]!, issued('tcb', 'ca'), chain.ca, chain.root] },
    ],
    [
      'a document that was changed',
      'wrong_collateral',
      () => honest,
      { collateral: [utf8(Buffer.from(documents[0]!).toString().replace('OutOfDate', 'UpToDate')), ...certificates] },
    ],
    ['a TCB info of another version', 'malformed_collateral', () => honest, withDocuments(tcbInfo({ version: 2 }))],
    [
      'a status that Intel does not have',
      'malformed_collateral',
      () => honest,
      withDocuments(tcbInfo({ tcbLevels: [level('Fine', platformTcb)] })),
    ],
    ['JSON of another kind', 'malformed_collateral', () => honest, { collateral: [utf8('{"tcb":1}')] }],
    ['a quote of version 6', 'malformed_evidence', () => quote({ header: { 0: u16(6) } })],
    ['another kind of attestation key', 'malformed_evidence', () => quote({ header: { 2: u16(3) } })],
    ['a quoting enclave of another vendor', 'malformed_evidence', () => quote({ header: { 12: [0] } })],
    ['reserved bytes in use', 'malformed_evidence', () => quote({ header: { 8: [1] } })],
    ['a TEE of another kind', 'malformed_evidence', () => quote({ header: { 4: u32(0x82) } })],
    ['a quote of an enclave', 'malformed_evidence', () => quote({ body: sgxBody() })],
    ['a body of another type than its length', 'malformed_evidence', () => quote({ version: 5, bodyType: 3 })],
    ['a body of an unknown type', 'malformed_evidence', () => quote({ version: 5, bodyType: 9 })],
    ['text around the certificates', 'malformed_evidence', () => quote({ afterChain: 'more' })],
    ['no certificates', 'malformed_evidence', () => quote({ chain: [] })],
  ]
  for (const [what, code, evidence, change] of wrong) {
    it(`refuses ${what} (${code})`, () => assert.rejects(examined(evidence(), change), refused(code)))
  }

  refusesWhatIsHostile(() => ({ format: tdx, evidence: honest, examination }))
})

describe('sgx evidence', () => {
  const info = tcbInfo({
    id: 'SGX',
    tcbLevels: [level('UpToDate', { sgxtcbcomponents: svns(COMPONENTS), pcesvn: 11 })],
  })
  const qe = identity({ id: 'QE', mrsigner: QE_SIGNER, isvprodid: 1 })
  const change = withDocuments(info, qe)
  const enclave = quote({ version: 3, body: sgxBody() })
  const inspected = (evidence: Uint8Array, more: Partial<Examination> = {}) =>
    sgx.examine(evidence, { ...examination, ...change, ...more })

  it('is read in versions 3, 4 and 5', async () => {
    for (const version of [3, 4, 5] as const) {
      const { cases, detail } = await inspected(quote({ version, body: sgxBody() }))
      assert.deepEqual(cases, ['mismatch'])
      assert.equal((detail['measurements'] as Record<string, string>)['MRENCLAVE'], hex(0xaa, 32))
      assert.deepEqual(detail['versions'], { isvSvn: 3, configSvn: 0 })
    }
  })

  it('can be referred to by its signer, product and least version', async () => {
    const references = (isvSvn: number) =>
      parseReferenceValues(
        utf8(
          JSON.stringify({
            format: 'sgx',
            measurements: [
              { name: 'payments', values: { MRSIGNER: hex(0xbb, 32), ISVPRODID: '0700' }, minimum: { isvSvn } },
            ],
          }),
        ),
      )
    assert.deepEqual((await inspected(enclave, { references: [references(3)] })).cases, ['match'])
    assert.deepEqual((await inspected(enclave, { references: [references(4)] })).cases, ['mismatch'])
  })

  it('may be of an enclave that can be debugged', async () => {
    const { cases } = await inspected(quote({ version: 3, body: sgxBody({ 48: [0x07] }) }))
    assert.deepEqual(cases, ['mismatch', 'debug'])
  })

  it('is not of a TD, nor with reserved bytes in use', async () => {
    await assert.rejects(inspected(honest), refused('malformed_evidence'))
    await assert.rejects(inspected(quote({ version: 3, body: sgxBody({ 96: [1] }) })), refused('malformed_evidence'))
    await assert.rejects(inspected(quote({ version: 3, body: tdBody(584) })), refused('malformed_evidence'))
  })

  refusesWhatIsHostile(() => ({ format: sgx, evidence: enclave, examination: { ...examination, ...change } }))
})
