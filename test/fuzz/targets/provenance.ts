/**
 * Records, bundles, credentials, certificates, results, bills of materials, policies, trust: what the roles read from each other.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseAppraisalPolicy } from '../../../clients/verifier/appraisal-policy.ts'
import { readCollateral } from '../../../clients/verifier/evidence/hardware/collateral.ts'
import { decodeEvidence } from '../../../clients/verifier/evidence/measured-files.ts'
import { formatReferenceValues, parseReferenceValues } from '../../../clients/verifier/reference-values.ts'
import { concatBytes, fromUtf8, sha256, toBase64, utf8 } from '../../../merkle/index.ts'
import { buildEarClaims, parseEarClaims } from '../../../provenance/attestation/attestation-result.ts'
import {
  type Certificate,
  type ComplianceReport,
  type Credential,
  canonicalJson,
  canonicalPurl,
  checkPolicyText,
  decodeCompactJws,
  decodePem,
  decodeTrust,
  encodeRecord,
  formatPurl,
  type IssuanceDecision,
  isJsonObject,
  type Json,
  JsonNumber,
  type JsonObject,
  loadCedar,
  type ProvenanceRecord,
  type Purl,
  parseCertificate,
  parseCredential,
  parseJson,
  parsePurl,
  parseTrustDomain,
  parseWorkloadIdentifier,
  type RecordType,
  readBuild,
  readCertified,
  readComplianceList,
  readSbom,
  readTestResult,
  reevaluate,
  type Sbom,
  type Trust,
  type UnverifiedJws,
  type WorkloadIdentifier,
} from '../../../provenance/index.ts'
import {
  decodeLogReference,
  encodeLogReference,
  type LogReference,
  logReferenceClaim,
  parseLogReferenceClaim,
} from '../../../provenance/log-reference.ts'
import { decodeRecord, recordOfStatement } from '../../../provenance/record.ts'
import { LINK_RULES } from '../../../provenance/rules/link-rules.ts'
import { type Bundle, decodeBundle, encodeBundle } from '../../../provenance/verification/bundle.ts'
import { unwrap } from '../../../provenance/workload/attestation.ts'
import { TEST_RESULT } from '../../../provenance/workload/compliance.ts'
import { MAX_PURL_LENGTH } from '../../../provenance/workload/purl.ts'
import { type CborValue, decodeCbor, encodeCbor, parseSignedStatement } from '../../../statement/index.ts'
import { authority, authorityKeyId, certify, constraints, keyId, workload } from '../../certificates/authority.ts'
import { author, createSmallLog, newRecord, signerOf, signRecord } from '../../provenance/small-log.ts'
import { demand, demandSame, type Target } from '../engine.ts'
import { bytesMutator, jsonMutator, jwsMutator, type Mutator, textMutator } from '../mutate.ts'
import { cborMutator } from '../mutate-cbor.ts'
import { derMutator, pemMutator } from '../mutate-der.ts'
import { example } from './statement.ts'

const cborMutators: readonly Mutator[] = [cborMutator, cborMutator, bytesMutator]
const jsonMutators: readonly Mutator[] = [jsonMutator, jsonMutator, textMutator()]
const text = (bytes: Uint8Array): string => fromUtf8(bytes)

await loadCedar()
const TYPES = Object.keys(LINK_RULES) as RecordType[]
const log = await createSmallLog()
const records = await Promise.all(
  TYPES.filter((type) => type in LINK_RULES).flatMap((type) =>
    newRecordOf(type).map((record, i) => signRecord(record, author(signerOf(type), 120, `fuzz ${type} ${i}`))),
  ),
)

function newRecordOf(type: RecordType) {
  try {
    return [newRecord(log, type)]
  } catch {
    return []
  }
}

const CBOR = ['malformed_cbor', 'too_large']
const RECORD = [...CBOR, 'malformed_record', 'duplicate_link', 'section_missing', 'token_in_clear', 'malformed_seal']
const pem = text(example('credential.pem'))
const [leafDer] = decodePem(pem)
const trustJson = example('TRUST.json')
const anchorDers = (JSON.parse(text(trustJson)) as { trustDomains: Record<string, { keys: { x5c?: string[] }[] }> })
  .trustDomains
const certificates = [
  leafDer!,
  ...Object.values(anchorDers).flatMap(({ keys }) =>
    keys.flatMap(({ x5c = [] }) => x5c.map((der) => new Uint8Array(Buffer.from(der, 'base64')))),
  ),
  ...(await constrainedChain()),
]

/** An authority of RSA with PSS, constrained in every kind of name, and what P-384 certifies. */
async function constrainedChain(): Promise<Uint8Array[]> {
  const limits = constraints({
    permitted: [
      ['uri', '.example'],
      ['dns', 'bank.example'],
      ['directory', 'leaf'],
    ],
    excluded: [
      ['ip', '0a000000ff000000'],
      ['email', 'bank.example'],
      ['registered', '2a03'],
    ],
  })
  const root = await certify('root', { kind: 'RSA-PSS', extensions: authority(2, limits, keyId('aa')) })
  const middle = await certify('middle', {
    kind: 'P-384',
    issuer: root,
    extensions: authority(0, authorityKeyId('aa')),
  })
  const leaf = await certify('leaf', { kind: 'RSA-2048', issuer: middle, extensions: workload() })
  return [root, middle, leaf].map(({ der }) => der)
}

export function provenanceTargets(): readonly Target[] {
  return [
    record,
    recordStatement,
    bundle,
    trust,
    credential,
    certificate,
    logReferenceTarget,
    json,
    jws,
    sbom,
    purl,
    attestation,
    compliance,
    ear,
    identifier,
    cedarPolicy,
    cedarContext,
    appraisalPolicy,
    referenceValues,
    evidence,
    collateral,
  ].map((target) => target as Target)
}

/** The number of a record type, and then a payload. */
const record: Target<ProvenanceRecord> = {
  name: 'record',
  seeds: records.map(({ record, statement }) =>
    concatBytes(Uint8Array.of(TYPES.indexOf(record.type)), statement.payload),
  ),
  mutators: [
    (input, random, others) => {
      const [type = 0] = input
      return concatBytes(
        Uint8Array.of(random.chance(0.1) ? random.below(TYPES.length) : type),
        cborMutator(input.subarray(1), random, others),
      )
    },
    bytesMutator,
  ],
  maxBytes: 256 * 1024,
  codes: RECORD,
  read: (input) => decodeRecord(TYPES[(input[0] ?? 0) % TYPES.length]!, input.subarray(1)),
  check(value, input) {
    demandSame(input.subarray(1), encodeRecord(value))
    return value.type
  },
}

const recordStatement: Target<ProvenanceRecord> = {
  name: 'record-statement',
  seeds: records.map(({ statement }) => statement.bytes),
  mutators: cborMutators,
  maxBytes: 256 * 1024,
  codes: [
    ...RECORD,
    'malformed_cose',
    'malformed_statement',
    'missing_payload',
    'unsupported_algorithm',
    'unknown_record_type',
  ],
  read: (input) => recordOfStatement(parseSignedStatement(input)),
  check: ({ type }) => type,
}

/** Half of the time the sum is made to fit again: behind it is the rest of the reader. */
const summed: Mutator = (input, random, others) => {
  const changed = random.pick(cborMutators)(input, random, others)
  if (random.chance(0.3)) return changed
  try {
    const content = decodeCbor(changed, { maxBytes: 2 ** 23, sortedKeys: false })
    if (!(content instanceof Map)) return changed
    const unsummed = new Map([...(content as ReadonlyMap<string, CborValue>)].filter(([key]) => key !== 'sum'))
    return encodeCbor(new Map([...unsummed, ['sum', sha256(encodeCbor(unsummed))]]))
  } catch {
    return changed
  }
}

const bundle: Target<Bundle> = {
  name: 'bundle',
  seeds: [example('bundle.provlog'), smallBundle()],
  mutators: [summed],
  maxBytes: 256 * 1024,
  codes: ['malformed_bundle', 'damaged_bundle'],
  read: decodeBundle,
  check(value, input) {
    demandSame(input, encodeBundle(value))
    return `${value.wraps.size > 0}`
  },
}

function smallBundle(): Uint8Array {
  const statements = [Uint8Array.of(0xd2, 0x84)]
  const wraps = new Map([['ab'.repeat(32), [utf8('{}')]]])
  return encodeBundle({
    origin: 'log.example',
    checkpoint: 'log.example\n',
    statements,
    wraps,
    credentialDigest: new Uint8Array(32),
  })
}

const trust: Target<Trust> = {
  name: 'trust',
  seeds: [
    trustJson,
    utf8(
      '{"logs":[],"trustDomains":{"a.example":{"keys":[]}},"issuers":[],"verifiers":[],"minimumTier":"none","witnessPolicy":"quorum none"}',
    ),
  ],
  mutators: jsonMutators,
  maxBytes: 64 * 1024,
  // Read once, from the reader's own disk. A megabyte of good keys takes as long as a megabyte of keys takes to check.
  timeLimit: 50,
  codes: ['malformed_trust'],
  read: decodeTrust,
  check: ({ logs, trustDomains }) => `${Math.min(2, logs.length)} ${Math.min(2, trustDomains.size)}`,
}

const KEY = ['malformed_key', 'unsupported_key', 'weak_key']

const credential: Target<Credential> = {
  name: 'credential',
  seeds: [example('credential.jwt'), example('credential.pem'), leafDer!],
  mutators: [
    (input, random, others) => {
      const mutator = input[0] === 0x30 ? derMutator : input[0] === 0x2d ? pemMutator : jwsMutator
      return mutator(input, random, others)
    },
    bytesMutator,
  ],
  maxBytes: 64 * 1024,
  codes: [
    ...['malformed_credential', 'malformed_identifier', 'malformed_jws', 'malformed_json', 'malformed_der'],
    ...['unsupported_algorithm', 'unknown_critical_extension', 'identifier_missing', 'identifier_ambiguous', ...KEY],
  ],
  read: parseCredential,
  check({ kind, bytes, digest, subject, certificate }) {
    demandSame(digest, sha256(bytes))
    demand(parseWorkloadIdentifier(subject.uri).uri === subject.uri, 'is for somebody who is nobody')
    if (certificate) {
      checkCertificate(certificate)
      const altName = new X509Certificate(certificate.der).subjectAltName ?? ''
      demand(altName.includes(`URI:${subject.uri}`) || altName.includes('"'), `is for ${altName} to Node`)
    }
    return kind
  },
}

/** What we take for a certificate is one to OpenSSL, and says the same. */
function checkCertificate({ der, serial, publicJwk, notBefore, notAfter }: Certificate): void {
  let theirs: X509Certificate
  try {
    theirs = new X509Certificate(der)
  } catch (error) {
    demand(false, `OpenSSL refuses it: ${(error as Error).message}`)
  }
  demandSame(new Uint8Array(theirs.raw), der)
  demand(BigInt(`0x${theirs.serialNumber || '0'}`) === BigInt(`0x${serial}`), 'has another serial number to Node')
  demand(Date.parse(theirs.validFrom) === notBefore * 1000, `begins ${theirs.validFrom} to Node`)
  demand(Date.parse(theirs.validTo) === notAfter * 1000, `ends ${theirs.validTo} to Node`)
  if (!publicJwk) return
  const { kty, crv, x, n } = theirs.publicKey.export({ format: 'jwk' })
  const same = publicJwk.kty === 'RSA' ? n === publicJwk.n : crv === publicJwk.crv && x === publicJwk.x
  demand(same && kty === publicJwk.kty, 'has another key to Node')
}

const certificate: Target<Certificate> = {
  name: 'certificate',
  seeds: certificates,
  mutators: [derMutator, derMutator, bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_der', 'malformed_credential', 'malformed_encoding', 'malformed_key', 'weak_key'],
  read: parseCertificate,
  check(value) {
    checkCertificate(value)
    return `${value.publicJwk?.kty} ${value.scheme?.kind} ${value.basicConstraints?.ca} ${value.unprocessed.length > 0}`
  },
}

const references: readonly LogReference[] = [
  { log: 'log.example', entry: sha256(utf8('intent')) },
  { log: 'log.example/2026', entry: sha256(utf8('intent')), index: 0 },
  { log: 'ü'.repeat(100), entry: sha256(utf8('intent')), index: Number.MAX_SAFE_INTEGER },
]

/** As a claim, which begins with a brace, and as an extension. What is accepted as one is the same as the other. */
const logReferenceTarget: Target<LogReference> = {
  name: 'log-reference',
  seeds: [
    ...references.map(encodeLogReference),
    ...references.map((each) => utf8(canonicalJson(logReferenceClaim(each)))),
  ],
  mutators: [
    (input, random, others) => random.pick(input[0] === 0x7b ? jsonMutators : [derMutator])(input, random, others),
    bytesMutator,
  ],
  maxBytes: 64 * 1024,
  codes: ['malformed_credential', 'malformed_der', 'malformed_json', 'malformed_encoding'],
  read: (input) => (input[0] === 0x7b ? parseLogReferenceClaim(parseJson(fromUtf8(input))) : decodeLogReference(input)),
  check(value, input) {
    const der = encodeLogReference(value)
    if (input[0] !== 0x7b) demandSame(input, der)
    demandSame(encodeLogReference(decodeLogReference(der)), der)
    const again = parseLogReferenceClaim(parseJson(canonicalJson(logReferenceClaim(value))))
    demandSame(encodeLogReference(again), der)
    return `${input[0] === 0x7b} ${value.index !== undefined}`
  },
}

const json: Target<Json> = {
  name: 'json',
  seeds: [trustJson, utf8('{"a":[1,-2,{"b":null,"c":true}],"é":"\\u00e9\\n","n":1.5e3}'), utf8('[]'), utf8('"x"')],
  mutators: jsonMutators,
  maxBytes: 64 * 1024,
  codes: ['malformed_json', 'malformed_encoding'],
  read: (input) => parseJson(fromUtf8(input)),
  check(value, input) {
    let theirs: unknown
    try {
      theirs = JSON.parse(fromUtf8(input))
    } catch {
      demand(false, 'JSON.parse refuses it')
    }
    demand(plain(value) === plain(theirs), 'JSON.parse reads another value')
    if (!hasLiteral(value)) {
      const canonical = canonicalJson(value)
      demand(canonicalJson(parseJson(canonical)) === canonical, 'has two canonical forms')
    }
    return typeof value
  },
}

function plain(value: unknown): string {
  if (value instanceof JsonNumber) return String(Number(value.literal))
  if (Array.isArray(value)) return `[${value.map(plain).join()}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${plain(inner)}`)
    return `{${members.sort().join()}}`
  }
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}

function hasLiteral(value: Json): boolean {
  if (value instanceof JsonNumber) return true
  if (Array.isArray(value)) return value.some(hasLiteral)
  return isJsonObject(value) && Object.values(value).some(hasLiteral)
}

const jws: Target<UnverifiedJws> = {
  name: 'jws',
  seeds: [example('credential.jwt'), example('evidence.jwt')].map((token) => utf8(text(token).trim())),
  mutators: [jwsMutator, textMutator(['.', 'eyJ', 'e30', '=']), bytesMutator],
  maxBytes: 64 * 1024,
  codes: [
    'malformed_jws',
    'malformed_json',
    'unsupported_algorithm',
    'unknown_critical_extension',
    'malformed_encoding',
  ],
  read: (input) => decodeCompactJws(fromUtf8(input)),
  check({ signingInput, signature, payload, algorithm }, input) {
    demandSame(input, concatBytes(signingInput, utf8(`.${Buffer.from(signature).toString('base64url')}`)))
    const [, middle = ''] = text(input).split('.')
    demand(Buffer.from(payload).toString('base64url') === middle, 'is signed over another payload')
    return algorithm
  },
}

const sbom: Target<Sbom> = {
  name: 'sbom',
  seeds: [
    '{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1,"metadata":{"component":{"type":"application","name":"a","purl":"pkg:npm/a@1","hashes":[{"alg":"SHA-256","content":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}]}},"components":[{"type":"library","bom-ref":"b","name":"b","purl":"pkg:npm/b@2","cpe":"cpe:/a:b:b","components":[{"type":"library","scope":"optional","name":"d","purl":"pkg:npm/%40c/d@3?x=1#y"}]},{"type":"library","group":"g","name":"none","version":"1"}]}',
    '{"spdxVersion":"SPDX-2.3","SPDXID":"d","name":"d","dataLicense":"CC0-1.0","documentNamespace":"https://a.example/1","creationInfo":{"created":"2026-01-31T12:00:00Z","creators":["Tool: a"]},"documentDescribes":["r"],"relationships":[{"spdxElementId":"d","relationshipType":"DESCRIBES","relatedSpdxElement":"r"}],"packages":[{"SPDXID":"r","name":"r","downloadLocation":"NONE","checksums":[{"algorithm":"SHA1","checksumValue":"00112233445566778899aabbccddeeff00112233"}],"versionInfo":"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:pypi/a@1"},{"referenceCategory":"SECURITY","referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a:b:b:*:*:*:*:*:*:*:*"}]},{"SPDXID":"b","name":"b","downloadLocation":"NONE"}]}',
    '{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[{"type":"CreationInfo","@id":"_:c","specVersion":"3.0.1","created":"2026-01-31T12:00:00Z","createdBy":["urn:a"]},{"type":"SpdxDocument","creationInfo":"_:c","spdxId":"urn:d","rootElement":["urn:p"]},{"type":"software_Package","creationInfo":"_:c","spdxId":"urn:p","name":"p","software_packageUrl":"pkg:npm/a@1","verifiedUsing":[{"type":"Hash","algorithm":"sha256","hashValue":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}],"externalIdentifier":["_:i"]},{"type":"ExternalIdentifier","@id":"_:i","externalIdentifierType":"cpe23","identifier":"cpe:2.3:a:b:b:*:*:*:*:*:*:*:*"}]}',
    'SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: a\nDocumentNamespace: a\nCreator: Tool: a\nCreated: 2026-01-31T12:00:00Z\nPackageName: a\nSPDXID: SPDXRef-a\nPackageDownloadLocation: NONE\nPackageVersion: 1\nPackageChecksum: SHA256: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\nPackageComment: <text>x\ny</text>\nExternalRef: PACKAGE-MANAGER purl pkg:npm/a@1\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-a\n',
  ].map(utf8),
  mutators: [...jsonMutators, textMutator(['<text>', '</text>', '\n', 'PackageName: ', '@', '%'])],
  maxBytes: 64 * 1024,
  codes: ['malformed_sbom', 'unsupported_sbom'],
  read: readSbom,
  check({ digest, components, others, cpes, subjects, format, specVersion }, input) {
    demandSame(digest, sha256(input))
    demand(
      components.every((purl, i) => i === 0 || components[i - 1]! < purl),
      'lists components twice, or in no order',
    )
    demand(
      components.every((purl) => canonicalPurl(purl) === purl),
      'lists a component in a spelling of its own',
    )
    return `${format} ${specVersion} ${Math.min(components.length, 3)} ${Math.min(others.length, 2)} ${cpes.length > 0} ${subjects.length > 0}`
  },
}

const purl: Target<Purl> = {
  name: 'purl',
  seeds: [
    'pkg:npm/%40scope/name@1.2.3',
    'pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie',
    'pkg:golang/google.golang.org/genproto@abc#googleapis/api',
    'pkg:oci/app@sha256:244fd47e07d10?repository_url=ghcr.io%2Fapp',
    'pkg:PyPI/Django_x@1',
  ].map(utf8),
  mutators: [textMutator(['@', '%', '%2F', '/', '?', '&', '=', '#', '..', 'pkg:', 'İ']), bytesMutator],
  maxBytes: 4096,
  codes: ['malformed_purl'],
  read: (input) => parsePurl(new TextDecoder().decode(input)),
  check(value) {
    const written = formatPurl(value)
    // Encoding makes some longer than may be read again.
    const again = written.length > MAX_PURL_LENGTH ? written : formatPurl(parsePurl(written))
    demand(again === written, 'has two canonical forms')
    demand(/^pkg:[!-~]+$/.test(written), 'is written in something else than ASCII')
    return `${value.namespace.length} ${value.version === undefined} ${value.qualifiers.length} ${value.subpath.length}`
  },
}

const statementText = (predicateType: string, predicate: string) =>
  `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}}],"predicateType":"${predicateType}","predicate":${predicate}}`
const slsa = statementText(
  'https://slsa.dev/provenance/v1',
  '{"buildDefinition":{"buildType":"t","resolvedDependencies":[{"uri":"u","digest":{"sha1":"aa"}}]},"runDetails":{"builder":{"id":"b"}}}',
)
const dsse = (payload: string) =>
  `{"payloadType":"application/vnd.in-toto+json","payload":"${toBase64(utf8(payload))}","signatures":[{"keyid":"k","sig":"MAYCAQECAQE="}]}`

/** Taken apart, and read as what its predicate says that it is. */
const attestation: Target<string> = {
  name: 'attestation',
  seeds: [
    slsa,
    statementText(
      'https://slsa.dev/provenance/v0.2',
      '{"builder":{"id":"b"},"buildType":"t","materials":[{"uri":"u"}]}',
    ),
    statementText(
      'https://slsa.dev/verification_summary/v1',
      '{"verifier":{"id":"v"},"verificationResult":"PASSED","verifiedLevels":["L3"]}',
    ),
    statementText(
      TEST_RESULT,
      '{"result":"FAILED","configuration":[{"name":"c"}],"passedTests":["a"],"failedTests":["b"]}',
    ),
    dsse(slsa),
    dsse(slsa).replace('"sig"', '"cert":"-----BEGIN CERTIFICATE-----\\nMAAA\\n-----END CERTIFICATE-----","sig"'),
    `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":"MAA="},"tlogEntries":[{"logIndex":"1","logId":{"keyId":"AA=="},"kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"1","canonicalizedBody":"e30=","inclusionPromise":{"signedEntryTimestamp":"AA=="},"inclusionProof":{"logIndex":"0","hashes":["${toBase64(new Uint8Array(32))}"],"checkpoint":{"envelope":"c"}}}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"MAA="}]}},"dsseEnvelope":${dsse(slsa)}}`,
  ].map(utf8),
  mutators: jsonMutators,
  maxBytes: 64 * 1024,
  codes: ['malformed_attestation', 'malformed_compliance', 'malformed_json', 'malformed_encoding'],
  read(input) {
    const document = parseJson(text(input))
    const { statement, envelope } = unwrap(document)
    const certified = envelope && readCertified(document as JsonObject, envelope)
    if (certified) return `certified ${certified.entries.length} ${certified.timestamps.length}`
    const digest = sha256(input)
    if (statement.predicateType === TEST_RESULT) return `test ${readTestResult({ statement, digest }).results.length}`
    const build = readBuild({ statement, digest })
    return `${build.predicateType.slice(0, 40)} ${build.builderId !== undefined} ${build.materials.length}`
  },
  check: (shape) => shape,
}

const compliance: Target<ComplianceReport> = {
  name: 'compliance',
  seeds: [
    utf8(
      '{"subject":{"sha256":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},"tool":"t","results":[{"test":"a","result":"pass"},{"test":"b","result":"fail","tool":"u"}]}',
    ),
  ],
  mutators: jsonMutators,
  maxBytes: 64 * 1024,
  codes: ['malformed_compliance', 'malformed_json', 'malformed_encoding'],
  read: (input) => readComplianceList(parseJson(text(input)), input),
  check: ({ subjects, results }) => `${(subjects ?? []).length} ${Math.min(results.length, 3)}`,
}

const earText = Buffer.from(text(example('result.ear')).split('.')[1]!, 'base64url')

const ear: Target<ReturnType<typeof parseEarClaims>> = {
  name: 'ear',
  seeds: [
    new Uint8Array(earText),
    utf8(
      '{"ear_status":"warning","ear_verifier_id":{"build":"1","developer":"d"},"eat_nonce":["AAAA","BBBB"],"eat_profile":"tag:ietf.org,2026:rats/ear#03","exp":20,"iat":10,"submods":{"a":{"ear_status":"affirming","ear_trustworthiness_vector":{"executables":2}},"b":{"ear_status":"warning","ear_trustworthiness_vector":{"hardware":32,"configuration":-1}}}}',
    ),
    utf8(
      '{"ear.verifier-id":{"build":"1","developer":"d"},"eat_profile":"tag:github.com,2024:confidential-containers/Trustee","exp":20,"iat":10,"nbf":9,"submods":{"cpu0":{"ear.appraisal-policy-id":"default","ear.status":"warning","ear.trustee.identifiers":{"validated":{}},"ear.trustworthiness-vector":{"hardware":0,"configuration":36},"ear.veraison.annotated-evidence":{"tdx":null}}}}',
    ),
  ],
  mutators: jsonMutators,
  maxBytes: 64 * 1024,
  codes: ['malformed_json', 'unsupported_profile', 'malformed_result', 'inconsistent_result', 'malformed_encoding'],
  read: (input) => parseEarClaims(fromUtf8(input)),
  check(claims) {
    // Annotated evidence may hold numbers that canonical JSON has no form for; everything else can be written.
    const writable = [...claims.appraisals.values()].every(
      ({ annotatedEvidence = {} }) => !hasLiteral(annotatedEvidence),
    )
    if (writable) {
      const again = buildEarClaims(claims)
      demand(buildEarClaims(parseEarClaims(again)) === again, 'does not survive being written')
    }
    return `${claims.status} ${claims.appraisals.size > 1}`
  },
}

const identifier: Target<WorkloadIdentifier> = {
  name: 'identifier',
  seeds: [
    'spiffe://bank.example/payments/api',
    'wimse://a_b-c.example/a%20b/~x;y=z',
    `spiffe://${'a'.repeat(255)}/x`,
  ].map(utf8),
  mutators: [
    textMutator(['spiffe://', 'wimse://', '%2F', '%2f', '%41', '%C3%A9', '@', ':80', '?', '/..', '//']),
    bytesMutator,
  ],
  maxBytes: 8 * 1024,
  codes: ['malformed_identifier', 'malformed_encoding'],
  read: (input) => parseWorkloadIdentifier(fromUtf8(input)),
  check({ uri, scheme, trustDomain, path }, input) {
    demandSame(input, utf8(uri))
    demand(`${scheme}://${parseTrustDomain(trustDomain)}${path}` === uri, 'is not its parts')
    // Nothing that a URL parser would change can be one: two texts would be one workload to it.
    demand(new URL(uri).href === uri, `is ${new URL(uri).href} to a URL parser`)
    return scheme
  },
}

const policyText = readFileSync(new URL('../../../docs/examples/issuance-policy.cedar', import.meta.url))
const subject = parseWorkloadIdentifier('spiffe://bank.example/payments')
const honestContext =
  '{"attestation":{"ageSeconds":1,"claims":{"executables":2},"keyAttested":true,"measurements":[],"policies":[],"results":1,"tier":"affirming","verifiers":[]},"credential":{"audience":[],"kind":"wit","lifetimeSeconds":60},"workload":{"buildIdentities":[],"buildSigners":[],"buildTypes":[],"builders":[],"complianceVerified":false,"components":[],"cpes":[],"failed":[],"materials":[],"measured":true,"others":[],"packages":[],"passed":[],"publisher":"spiffe://bank.example/issuer","releases":[],"sbomFormats":["CycloneDX"],"sbomSubjectMatches":true,"sbomVerified":false,"slsaLevels":[],"summaryFailures":[],"summaryVerifiers":[],"tools":[],"unverifiedBuilders":[]}}'

const words = [
  'permit (principal, action, resource);',
  'forbid',
  'when { true };',
  'unless',
  '@id("x")',
  'context.',
  ' has ',
  ' like "*"',
]

/** An engine of others, in WebAssembly, asked by issuers and auditors and never by the log: its time is bounded by the length alone. */
const cedarPolicy: Target<void> = {
  name: 'cedar-policy',
  seeds: [new Uint8Array(policyText), utf8('permit (principal, action, resource);')],
  mutators: [
    textMutator([...words, '(', '((((((((', '!', '&&', '||', '==', '//', '::', '"', '?principal']),
    bytesMutator,
  ],
  maxBytes: 2048,
  timeLimit: 100,
  codes: ['invalid_policy', 'malformed_encoding'],
  read: (input) => checkPolicyText(fromUtf8(input)),
  check: () => '',
}

const cedarContext: Target<IssuanceDecision> = {
  name: 'cedar-context',
  seeds: [utf8(honestContext)],
  mutators: [
    (input, random, others) => {
      const changed = jsonMutator(input, random, others)
      try {
        return random.chance(0.7) ? utf8(canonicalJson(parseJson(text(changed)))) : changed
      } catch {
        return changed
      }
    },
  ],
  maxBytes: 4096,
  timeLimit: 100,
  codes: ['invalid_policy_context', 'malformed_json', 'malformed_encoding'],
  read: (input) => reevaluate(text(new Uint8Array(policyText)), subject, fromUtf8(input)),
  check({ decision, reasons, errors, context }, input) {
    demandSame(input, utf8(context))
    demand(errors.length === 0 || decision === 'deny', 'allows what could not be evaluated')
    return `${decision} ${reasons.length} ${errors.length}`
  },
}

const appraisalPolicy: Target<ReturnType<typeof parseAppraisalPolicy>> = {
  name: 'appraisal-policy',
  seeds: [new Uint8Array(readFileSync(new URL('../../../docs/examples/appraisal-policy.json', import.meta.url)))],
  mutators: jsonMutators,
  maxBytes: 16 * 1024,
  codes: ['malformed_policy', 'unknown_evidence_format', 'unsupported_claim', 'lenient_policy'],
  read: parseAppraisalPolicy,
  check: ({ claims }) => `${Object.keys(claims).length}`,
}

const referenceValues: Target<ReturnType<typeof parseReferenceValues>> = {
  name: 'reference-values',
  seeds: [example('reference-values.json')],
  mutators: jsonMutators,
  maxBytes: 64 * 1024,
  codes: ['malformed_reference_values', 'measurement_mismatch'],
  // A Verifier's own document: JSON takes some 75 ns a byte, and thousands of files that lack members as long again to be found so.
  timeLimit: 10,
  read: parseReferenceValues,
  check(values) {
    const again = formatReferenceValues(values)
    demand(formatReferenceValues(parseReferenceValues(utf8(again))) === again, 'does not survive being written')
    return ''
  },
}

const evidence: Target<ReturnType<typeof decodeEvidence>> = {
  name: 'evidence',
  seeds: [utf8(text(example('evidence.jwt')).trim())],
  mutators: [jwsMutator, jwsMutator, textMutator(['.', 'eyJ', '='])],
  maxBytes: 64 * 1024,
  codes: ['malformed_evidence', 'measurement_mismatch'],
  read: decodeEvidence,
  check: ({ measurements, nonce }) => `${measurements.files.length > 1} ${nonce === undefined}`,
}

/** Certificates and revocation lists of vendors, in one file of any form. */
const collateral: Target<ReturnType<typeof readCollateral>> = {
  name: 'collateral',
  seeds: [...certificates, utf8(pem), utf8('{"a":1}')],
  mutators: [
    (input, random, others) => (input[0] === 0x30 ? derMutator : pemMutator)(input, random, others),
    bytesMutator,
  ],
  maxBytes: 64 * 1024,
  codes: ['malformed_collateral'],
  read: (input) => readCollateral([input]),
  check: ({ certificates, revocationLists, documents }) =>
    `${Math.min(2, certificates.length)} ${revocationLists.length > 0} ${documents.length > 0}`,
}
