/**
 * Oak (https://github.com/project-oak/oak): virtual machines on AMD SEV-SNP and Intel TDX whose software is measured layer by layer, each layer by the
 * one below it, up to the application.
 *
 *     SEV-SNP    report: MEASUREMENT = stage 0; report data = SHA-256 of the root's key ── certificates ──► events (`dice.ts`)
 *     TDX        quote: MRTD = stage 0; RTMR2 = all events, extended one after another
 *     events     kernel, its command line, initial RAM disk · system image · container and its configuration (`events.ts`)
 *
 * Evidence is the message `Evidence`. Its companion `Endorsements` is collateral, as are the keys of endorsers and logs: it brings the processor's certificate,
 * and who vouches for which layer (`endorsements.ts`).
 *
 * The application has a key for signatures, which evidence names twice: in a certificate of the last layer, and in its event.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { concatBytes, equalBytes, sha256, toBase64url, toHex } from '../../../../../merkle/index.ts'
import { malformedCollateral, malformedEvidence, readingEvidence, VerifierError } from '../../../error.ts'
import { type Collateral, joinCollateral, readCollateral } from '../collateral.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware-format.ts'
import { readTdx, TDX_VALUES, tdx } from '../intel/intel.ts'
import { AMD_ROOTS, INTEL_ROOTS } from '../roots.ts'
import { readSnpReport, SNP_VALUES } from '../sev-snp.ts'
import { verifyLayers } from './dice.ts'
import { decodeEndorsements, ENDORSEMENT_VALUES, endorsedValues, type OakEndorsements } from './endorsements.ts'
import { EVENT_VALUES, readEvents } from './events.ts'
import { decodeOakEvidence, type OakEvidence } from './evidence.ts'

const MAX_FILES = 4
/** In all files together: each costs a signature check with each of the keys given. */
const MAX_ENDORSEMENTS = 64

function readOak(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  const evidence = readingEvidence(() => decodeOakEvidence(bytes))
  if (context.collateral.messages.length > MAX_FILES) throw tooMany(`more than ${MAX_FILES} files of endorsements`)
  const endorsements = context.collateral.messages.map(decodeEndorsements)
  const root = rootLayer(evidence, { ...context, collateral: withPlatforms(context.collateral, endorsements) })
  const events = readingEvidence(() => readEvents(evidence.events))
  const measured = { ...events.measurements, FIRMWARE: root.measurements['MEASUREMENT'] ?? root.measurements['MRTD']! }
  const signed = endorsements.flatMap((each) => each.signed)
  if (signed.length > MAX_ENDORSEMENTS) throw tooMany(`more than ${MAX_ENDORSEMENTS} endorsements`)
  const { keys } = context.collateral
  const endorsed = endorsedValues({ platformCertificates: [], signed }, measured, keys, context.at)

  const inEvent = events.keys.signing && readingEvidence(() => keyAtPoint(events.keys.signing!))
  const signing = root.signingKey ?? inEvent
  if (root.signingKey && inEvent && !root.signingKey.equals(inEvent)) {
    throw malformedEvidence('two keys for signatures: one in a certificate, another in its event')
  }
  const binding = events.keys.sessionBinding && readingEvidence(() => keyAtPoint(events.keys.sessionBinding!))
  return {
    ...root.facts,
    measurements: { ...root.measurements, ...events.measurements, ...endorsed.values },
    mustBeNamed: events.mustBeNamed,
    chosen: {
      signing_key: signing && spkiOf(signing),
      session_binding_key: binding && spkiOf(binding),
      user_data: root.userData,
    },
    findings: [...root.facts.findings, ...endorsed.findings],
  }
}

interface Root {
  readonly facts: HardwareFacts
  readonly measurements: Readonly<Record<string, string>>
  readonly signingKey?: KeyObject
  readonly userData?: Uint8Array
}

/** What the processor says, and that it says so of these events. */
function rootLayer(evidence: OakEvidence, context: ReaderContext): Root {
  switch (evidence.platform) {
    case 'snp':
      return snpRoot(evidence, context)
    case 'tdx':
      return tdxRoot(evidence, context)
    case 'none':
      throw new VerifierError('untrusted_root', 'made without a processor that vouches for it')
  }
}

function snpRoot(evidence: OakEvidence, context: ReaderContext): Root {
  const { report, rootKey } = evidence
  if (!rootKey) throw malformedEvidence('no key of the root layer')
  const facts = readSnpReport(report, context)
  // Stage 0 gives up the key of this level alone: what runs above it can have reports made of its own, about any key.
  if (facts.measurements['VMPL'] !== '00000000') throw malformedEvidence('a report that stage 0 did not ask for')
  const named = facts.chosen['report_data']!
  if (!equalBytes(named, concatBytes(sha256(rootKey), new Uint8Array(32)))) {
    throw mismatch('the processor’s report is about another key of the root layer')
  }
  return { facts, measurements: facts.measurements, ...verifyLayers(evidence, rootKey) }
}

function tdxRoot({ report, events }: OakEvidence, context: ReaderContext): Root {
  const facts = readTdx(tdx.ofFile(report), context)
  // Intel TDX Module ABI specification, TDG.MR.RTMR.EXTEND.
  const register = events.reduce(
    (value, event) => sha384(concatBytes(value, sha384(event))),
    new Uint8Array(48) as Uint8Array,
  )
  if (toHex(register) !== facts.measurements['RTMR2']) throw mismatch('the event log does not lead to RTMR2')
  return { facts: { ...facts, isTcbJudged: true }, measurements: facts.measurements }
}

function withPlatforms(given: Collateral, endorsements: readonly OakEndorsements[]): Collateral {
  const certificates = endorsements.flatMap(({ platformCertificates }) => platformCertificates)
  const distinct = new Map(certificates.map((certificate) => [toHex(sha256(certificate)), certificate]))
  return joinCollateral(given, readCollateral([...distinct.values()]))
}

/** SEC 1 §2.3.3, uncompressed. */
function keyAtPoint(point: Uint8Array): KeyObject {
  if (point.length !== 65 || point[0] !== 4) throw new Error('a key that is no uncompressed point of P-256')
  const [x, y] = [toBase64url(point.subarray(1, 33)), toBase64url(point.subarray(33))]
  return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
}

function spkiOf(key: KeyObject): Uint8Array {
  return key.export({ format: 'der', type: 'spki' })
}

function sha384(bytes: Uint8Array): Uint8Array {
  return createHash('sha384').update(bytes).digest()
}

function tooMany(why: string): VerifierError {
  return malformedCollateral(why)
}

function mismatch(why: string): VerifierError {
  return new VerifierError('measurement_mismatch', why)
}

export const oak = hardwareFormat({
  name: 'oak',
  roots: [...AMD_ROOTS.keys(), ...INTEL_ROOTS],
  references: {
    values: new Map([
      ...SNP_VALUES,
      ...TDX_VALUES,
      ...[...EVENT_VALUES, ...ENDORSEMENT_VALUES].map((name): [string, number] => [name, 32]),
    ]),
    // All else is the word of stage 0: without saying which one it is, whoever starts a guest could say it.
    identifying: ['MEASUREMENT', 'MRTD', 'endorser:FIRMWARE'],
    software: ['guestSvn'],
    platform: ['fmc', 'bootloader', 'tee', 'snp', 'microcode'],
  },
  keyBindings: [
    'signing_key=spki',
    'session_binding_key=spki',
    'user_data=sha256(nonce|spki)',
    'user_data=sha256(spki)',
    'user_data=nonce',
  ],
  padded: false,
  cases: ['debug', 'revoked', 'outdatedTcb', 'unhardened', 'unknownTcb', 'uncheckedRevocation', 'expiredCollateral'],
  hasMessages: true,
  read: readOak,
})
