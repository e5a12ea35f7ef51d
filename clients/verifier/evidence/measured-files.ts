/**
 * Evidence of the format `measured-files`: an attester's signature over the files that a workload consists of and the
 * workload's key. An EAT (RFC 9711) as a compact JWS:
 *
 *     header  { "alg": "ES256" | "EdDSA", "typ": "eat+jwt", "kid": the attester's key }
 *     claims  { "eat_profile": "tag:provlog.example,2026:measured-files",
 *               "iat": 1760000000,
 *               "eat_nonce": "…",                        only when challenged, 8 to 88 bytes
 *               "measurements": [[50, "<measurements>"]], §4.2.16; 50 is the CoAP content format of application/json
 *               "cnf": { "jwk": the workload's key } }    RFC 7800
 *
 *     <measurements> = {"files":[{"path":"bin/payments","sha256":"<hex>","size":9},…],"root":"<hex>"}
 *
 * The inner text is canonical JSON (RFC 8785). `files` are in the order of their paths' UTF-8 bytes, and
 *
 *     root = MTH(e[0], e[1], …)                RFC 9162 §2.1.1, SHA-256
 *     e[i] = CBOR([path, size, sha256])        RFC 8949 §4.2.1; text, unsigned integer, 32 bytes
 *
 * so that one file can be shown to be part of a measurement without showing the others.
 *
 * Software measured software: nothing here is rooted in hardware, and no result claims so. Whoever controls the attester's key
 * or the machine it runs on can sign what they like. See README.md.
 *
 * @module
 */
import { type Static, Type } from 'typebox'
import {
  appendLeaf,
  compareBytes,
  EMPTY_RANGE,
  fromHex,
  fromUtf8,
  type Hash,
  hashLeaf,
  rangeRoot,
  toHex,
  utf8,
} from '../../../merkle/index.ts'
import {
  canonicalJson,
  decodeCompactJws,
  type Json,
  type JsonObject,
  MAX_JWS_LENGTH,
  signCompactJws,
  verifyCompactJws,
} from '../../../provenance/index.ts'
import {
  encodeCbor,
  kidOf,
  type PrivateJwk,
  type PublicJwk,
  parsePublicJwk,
  signingAlgorithmOf,
} from '../../../statement/index.ts'
import { checkNonce } from '../challenge.ts'
import { readDocument } from '../document.ts'
import { malformedEvidence, readingEvidence, VerifierError } from '../error.ts'
import { compareFiles } from './compare-files.ts'
import type { EvidenceFormat, Examination, Examined } from './format.ts'

export const MEASURED_FILES_FORMAT = 'measured-files'
export const MEASURED_FILES_PROFILE = 'tag:provlog.example,2026:measured-files'

const TYP = 'eat+jwt'
/** `application/json` in the IANA registry of CoAP content formats. */
const JSON_CONTENT_FORMAT = 50

export const MeasuredFileSchema = Type.Object(
  {
    path: Type.String({ minLength: 1, maxLength: 4096 }),
    size: Type.Integer({ minimum: 0 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
)

/** `path` is relative, with `/` between its segments; `size` in bytes; `sha256` in lower-case hex. */
export type MeasuredFile = Readonly<Static<typeof MeasuredFileSchema>>

export interface Measurements {
  /** Lower-case hex: the one digest that identifies these files. */
  readonly root: string
  /** In the order of their paths' UTF-8 bytes. Never empty. */
  readonly files: readonly MeasuredFile[]
}

/** What an attester signed, or claims to have. */
export interface MeasuredFilesEvidence {
  /** kid of the attester's key. */
  readonly attester: string
  /** Seconds. */
  readonly issuedAt: number
  readonly nonce?: string
  readonly measurements: Measurements
  readonly workloadKey: PublicJwk
}

/** `files` in order and with their root. @throws {@link VerifierError} `malformed_evidence` for a bad path or the same path twice */
export function measurementsOf(files: readonly MeasuredFile[]): Measurements {
  const sorted = files
    .map((file) => ({ file, key: utf8(file.path) }))
    .sort((a, b) => compareBytes(a.key, b.key))
    .map(({ file: { path, size, sha256 } }) => ({ path, size, sha256 }))
  return { root: toHex(measurementRoot(sorted)), files: sorted }
}

/** The root over `files`, which are in order already. @throws {@link VerifierError} `malformed_evidence` */
export function measurementRoot(files: readonly MeasuredFile[]): Hash {
  if (files.length === 0) throw malformedEvidence('no files')
  let range = EMPTY_RANGE
  let previous: Uint8Array | undefined
  for (const { path, size, sha256 } of files) {
    // A path that two file systems resolve differently would let one measurement describe two directories.
    const segments = path.split('/')
    if (/\p{Cc}|\ufffd/u.test(path) || segments.some((name) => name === '' || name === '.' || name === '..')) {
      throw malformedEvidence(`${JSON.stringify(path)} is not a relative path`)
    }
    const key = utf8(path)
    if (previous && compareBytes(previous, key) >= 0) {
      throw malformedEvidence(`${JSON.stringify(path)} is out of order, or there twice`)
    }
    previous = key
    range = appendLeaf(range, hashLeaf(encodeCbor([path, size, fromHex(sha256)])))
  }
  return rangeRoot(range)
}

/**
 * Signs evidence. What an attester does; it is here because nobody else knows the format.
 *
 * @throws {@link VerifierError} `wrong_nonce` for one that no EAT may carry, `too_many_files` for more than one token can list
 */
export async function signEvidence(
  content: { measurements: Measurements; workloadKey: PublicJwk; nonce?: string; now: number },
  attesterKey: PrivateJwk,
): Promise<string> {
  const { measurements, workloadKey, nonce, now } = content
  const claims = canonicalJson({
    eat_profile: MEASURED_FILES_PROFILE,
    iat: now,
    ...(nonce === undefined ? {} : { eat_nonce: checkNonce(nonce) }),
    measurements: [[JSON_CONTENT_FORMAT, measurementsText(measurements)]],
    cnf: { jwk: workloadKey as unknown as JsonObject },
  })
  const evidence = await signCompactJws({ typ: TYP, kid: kidOf(attesterKey) }, claims, attesterKey)
  if (evidence.length > MAX_JWS_LENGTH)
    throw new VerifierError('too_many_files', `${measurements.files.length} files do not fit one token`)
  return evidence
}

function measurementsText(measurements: Measurements): string {
  return canonicalJson(measurements as unknown as Json)
}

const Claims = Type.Object(
  {
    eat_profile: Type.Literal(MEASURED_FILES_PROFILE),
    iat: Type.Integer({ minimum: 0 }),
    eat_nonce: Type.Optional(Type.String({ minLength: 8, maxLength: 88 })),
    measurements: Type.Tuple([Type.Tuple([Type.Literal(JSON_CONTENT_FORMAT), Type.String()])]),
    cnf: Type.Object({ jwk: Type.Unknown() }, { additionalProperties: false }),
  },
  { additionalProperties: false },
)

const MeasurementsText = Type.Object(
  {
    files: Type.Array(MeasuredFileSchema, { minItems: 1, maxItems: 10_000 }),
    root: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
)

/** Reads evidence without believing it. @throws {@link VerifierError} `malformed_evidence`, `measurement_mismatch` */
export function decodeEvidence(evidence: Uint8Array): MeasuredFilesEvidence {
  const { header, payload } = readingEvidence(() => decodeCompactJws(fromUtf8(evidence)))
  if (header['typ'] !== TYP || typeof header['kid'] !== 'string') {
    throw malformedEvidence(`the header needs typ ${TYP} and a kid`)
  }
  const claims = readDocument(Claims, payload, 'malformed_evidence')
  const [[, text]] = claims.measurements
  const { root, files } = readDocument(MeasurementsText, text, 'malformed_evidence')

  if (toHex(measurementRoot(files)) !== root) {
    throw new VerifierError('measurement_mismatch', 'the root is not the root of the files listed')
  }
  if (text !== measurementsText({ root, files })) {
    throw malformedEvidence('the measurements are not written canonically')
  }
  return {
    attester: header['kid'],
    issuedAt: claims.iat,
    ...(claims.eat_nonce === undefined ? {} : { nonce: claims.eat_nonce }),
    measurements: { root, files },
    workloadKey: readingEvidence(() => {
      const key = parsePublicJwk(claims.cnf.jwk)
      signingAlgorithmOf(key)
      return key
    }),
  }
}

export const measuredFiles: EvidenceFormat = {
  name: MEASURED_FILES_FORMAT,
  submodule: MEASURED_FILES_FORMAT,
  // Not `hardware` or `runtime-opaque`, nor where data rest: files say nothing about those.
  claims: ['instance-identity', 'configuration', 'executables', 'file-system'],
  cases: ['match', 'mismatch', 'unknownFile', 'unknownAttester', 'stale', 'wrongNonce'],
  // What software says of software has no meaning that is the same everywhere: the policy has to say it.
  defaults: {},
  // It names the workload's key itself.
  keyBindings: [],

  ofFile: (file) => (file.at(-1) === 0x0a ? file.subarray(0, -1) : file),

  async examine(bytes: Uint8Array, { references, workloadKey: expected }: Examination): Promise<Examined> {
    const evidence = decodeEvidence(bytes)
    const { issuedAt, nonce, measurements, workloadKey } = evidence
    if (expected && kidOf(expected) !== kidOf(workloadKey)) {
      throw new VerifierError('key_not_bound', `it vouches for ${kidOf(workloadKey)}`)
    }
    const facts = {
      issuedAt,
      measurement: fromHex(measurements.root),
      ...(nonce === undefined ? {} : { nonce }),
    }

    const attester = references.flatMap(({ attesters }) => attesters).find((key) => kidOf(key) === evidence.attester)
    if (!attester) {
      // Nothing to verify with. The key in it is not passed on: nobody we know vouches for it.
      return { ...facts, cases: ['unknownAttester'], detail: { attester: evidence.attester } }
    }
    try {
      await verifyCompactJws(fromUtf8(bytes), attester, { typ: [TYP] })
    } catch (cause) {
      throw new VerifierError('bad_evidence_signature', `not signed by attester ${evidence.attester}`, { cause })
    }

    // An attester is believed about the software that its own reference values are about, and no other.
    const believed = references.filter(({ attesters }) => attesters.some((key) => kidOf(key) === evidence.attester))
    const { cases, detail } = compareFiles(
      measurements,
      believed.flatMap(({ measurements }) => measurements),
    )
    return {
      ...facts,
      cases,
      workloadKey,
      detail: { attester: evidence.attester, ...detail },
    }
  },
}
