/**
 * From a certificate to an anchor (RFC 5280 §6): the one path builder. What a path is for is its caller's: `workload-certificate.ts`
 * for credentials, `foreign.ts` for whoever signs statements.
 *
 *   anchor ──issues──▶ intermediate (at most 3) ──issues──▶ leaf
 *
 * The search tries every supplied certificate as an issuer, so their order does not matter, and each link is checked where it is
 * made. What is not processed is refused: critical extensions, algorithms that are not listed. Anchors are held to the same rules as
 * those below them, which RFC 5280 leaves open: to their dates, their purposes, their constraints.
 *
 * @module
 */
import { importVerifier, type Verify } from '#signature'
import { equalBytes } from '../../merkle/bytes.ts'
import type { SignatureScheme } from '../../statement/algorithm.ts'
import type { VerificationJwk } from '../../statement/cose-key.ts'
import { fitsScheme } from '../../statement/verification-jwk.ts'
import { ProvenanceError } from '../error.ts'
import type { Certificate } from './certificate.ts'
import { rawSignature } from './certificate-key.ts'
import { type GeneralName, mailboxesOf } from './general-name.ts'
import { checkNames } from './name-constraints.ts'

/** Certificates between the anchor and the leaf. */
export const MAX_INTERMEDIATES = 3

/**
 * Signatures of certificates verified for one path. An honest one needs 4; whoever sends certificates that all name one another
 * as issuers would have us try every order of them against every anchor.
 */
const MAX_LINKS_TRIED = 32

/** What an authority signs. */
export type SignedDer = Pick<Certificate, 'tbs' | 'scheme' | 'signature'>

/** What a path is for, and what it must hold to besides the rules of RFC 5280. */
export interface PathDemands {
  readonly anchors: readonly Certificate[]
  /** POSIX seconds: every certificate must be valid at each of these moments. */
  readonly at: readonly number[]
  /** Whether a leaf without keyUsage, or with one that is not critical, is refused. One that has it must allow digitalSignature. */
  readonly requireKeyUsage: boolean
  /** Throws when extKeyUsage, on any level, is for something else. */
  readonly checkPurposes: (certificate: Certificate) => void
  /** Throws when this one must not issue the leaf. */
  readonly checkIssuer?: (issuer: Certificate) => void
}

/**
 * Checks that `leaf` signs for itself and not for others, and that one of the anchors vouches for it.
 *
 * @returns the certificates from the leaf's issuer up to the anchor
 * @throws {@link ProvenanceError} `credential_expired`, `credential_not_yet_valid`, `certificate_is_ca`, `certificate_not_ca`,
 *   `certificate_wrong_usage`, `certificate_path_too_long`, `unknown_critical_extension`, `name_not_permitted`, `unsupported_algorithm`,
 *   `unsupported_key`, `bad_signature`, `unknown_anchor`, and what the demands throw
 */
export async function findCertificatePath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  demands: PathDemands,
): Promise<readonly Certificate[]> {
  checkLength(intermediates)
  checkLeaf(leaf, demands)
  checkValidity(leaf, demands)
  return findPath(leaf, intermediates, { ...demands, below: [leaf], tried: { links: 0 } })
}

/** @throws {@link ProvenanceError} `certificate_path_too_long` */
export function checkLength(intermediates: readonly unknown[]): void {
  if (intermediates.length > MAX_INTERMEDIATES) {
    throw new ProvenanceError('certificate_path_too_long', `more than ${MAX_INTERMEDIATES} intermediate certificates`)
  }
}

/** Whether every certificate of a path is valid at each of these moments: what may have changed since it was found. */
export function isValidPath(path: readonly Certificate[], at: readonly number[]): boolean {
  return path.every(({ notBefore, notAfter }) => at.every((moment) => moment >= notBefore && moment <= notAfter))
}

function checkLeaf(leaf: Certificate, { requireKeyUsage, checkPurposes }: PathDemands): void {
  checkProcessed(leaf)
  if (leaf.basicConstraints?.ca) throw new ProvenanceError('certificate_is_ca', 'the leaf certificate has CA:TRUE')
  if (!(leaf.keyUsage?.has('digitalSignature') ?? !requireKeyUsage)) {
    throw new ProvenanceError('certificate_wrong_usage', 'keyUsage lacks digitalSignature')
  }
  if (leaf.keyUsage?.has('keyCertSign') || leaf.keyUsage?.has('cRLSign')) {
    throw new ProvenanceError('certificate_is_ca', 'the leaf certificate may sign certificates or CRLs')
  }
  if (requireKeyUsage && !leaf.criticalKeyUsage) {
    throw new ProvenanceError('certificate_wrong_usage', 'keyUsage is not critical')
  }
  checkPurposes(leaf)
  // RFC 5280 §4.2.1.9 and §4.2.1.10: only a CA has anything below it to constrain.
  if (leaf.nameConstraints || leaf.basicConstraints?.pathLength !== undefined) {
    throw new ProvenanceError('malformed_credential', 'certificate: constraints on what a leaf would issue')
  }
  // RFC 5280 §4.1.2.6: with an empty subject the alternative name is the only name, and must be critical.
  if (leaf.subject.length === 2 && !leaf.criticalAltName) {
    throw new ProvenanceError('malformed_credential', 'certificate: an empty subject, and no critical alternative name')
  }
}

interface Search extends PathDemands {
  /** From the leaf up to the certificate whose issuer is looked for. */
  readonly below: readonly Certificate[]
  /** Shared by all branches of one search. */
  readonly tried: { links: number }
}

/**
 * Depth first, at most 3 levels. Of several reasons why nothing led to an anchor the first is given, unless that was a signature: then
 * it was another certificate of that name.
 */
async function findPath(
  child: Certificate,
  intermediates: readonly Certificate[],
  search: Search,
): Promise<readonly Certificate[]> {
  let reason: ProvenanceError | undefined
  for (const anchor of search.anchors.filter((candidate) => namesIssuerOf(candidate, child))) {
    try {
      await checkIssued(anchor, child, search)
      checkConstraints([...search.below, anchor])
      return [anchor]
    } catch (error) {
      if (!(error instanceof ProvenanceError)) throw error
      if (!reason || reason.code === 'bad_signature') reason = error
    }
  }
  for (const issuer of intermediates.filter((candidate) => namesIssuerOf(candidate, child))) {
    try {
      await checkIssued(issuer, child, search)
      const rest = intermediates.filter((other) => other !== issuer)
      return [issuer, ...(await findPath(issuer, rest, { ...search, below: [...search.below, issuer] }))]
    } catch (error) {
      if (!(error instanceof ProvenanceError)) throw error
      if (!reason || reason.code === 'bad_signature') reason = error
    }
  }
  throw reason ?? new ProvenanceError('unknown_anchor', 'no anchor issued the certificate')
}

/** Whether `issuer` is by name the certificate that `child` says it was issued under. */
function namesIssuerOf(issuer: Certificate, child: Certificate): boolean {
  if (!equalBytes(issuer.subject, child.issuer)) return false
  const { keyId, issuer: names, serial } = child.authorityKeyId ?? {}
  if (keyId !== undefined && issuer.subjectKeyId !== undefined && keyId !== issuer.subjectKeyId) return false
  if (serial === undefined) return true
  const named = names?.some((name) => name.kind === 'directory' && equalBytes(name.bytes, issuer.issuer))
  return serial === issuer.serial && named === true
}

async function checkIssued(issuer: Certificate, child: Certificate, search: Search): Promise<void> {
  const { below, tried } = search
  if (++tried.links > MAX_LINKS_TRIED) {
    throw new ProvenanceError('certificate_path_too_long', `more than ${MAX_LINKS_TRIED} ways to an anchor`)
  }
  checkProcessed(issuer)
  checkValidity(issuer, search)
  // X509-SVID §4.3 and RFC 5280 §6.1.4 (k), (n): both, and also on the anchor, where RFC 5280 would not look.
  if (!issuer.basicConstraints?.ca) throw new ProvenanceError('certificate_not_ca', 'the issuer lacks CA:TRUE')
  if (!issuer.keyUsage?.has('keyCertSign'))
    throw new ProvenanceError('certificate_not_ca', 'the issuer lacks keyCertSign')
  // RFC 5280 §4.1.2.6. Without a name every nameless authority would be the issuer of its leaves.
  if (issuer.subject.length === 2)
    throw new ProvenanceError('malformed_credential', 'certificate: an issuer without a name')
  search.checkPurposes(issuer)
  // §4.2.1.9 does not count the leaf. Certificates that issued themselves, which it does not count either, are counted here.
  const intermediates = below.length - 1
  if ((issuer.basicConstraints.pathLength ?? MAX_INTERMEDIATES) < intermediates) {
    throw new ProvenanceError(
      'certificate_path_too_long',
      `${intermediates} intermediates below a certificate that allows fewer`,
    )
  }
  search.checkIssuer?.(issuer)

  if (!child.scheme) throw new ProvenanceError('unsupported_algorithm', 'a certificate signature of another kind')
  if (!issuer.publicJwk) throw new ProvenanceError('unsupported_key', 'an issuing key of another kind')
  if (!(await isSignedBy(child, issuer.publicJwk))) {
    throw new ProvenanceError('bad_signature', 'the certificate is not signed by the issuer that it names')
  }
}

/**
 * Last: it costs the most, and only who has an anchor above has a say. Below an authority of his own anybody may put names and constraints to
 * compare for seconds.
 */
function checkConstraints(path: readonly Certificate[]): void {
  for (const [i, { nameConstraints }] of path.entries()) {
    if (nameConstraints) for (const each of path.slice(0, i)) checkNames(namesOf(each), nameConstraints)
  }
}

/** What name constraints are about (§4.2.1.10): alternative names, the subject unless it is empty, and mailboxes in it. */
function namesOf({ names, subject }: Certificate): readonly GeneralName[] {
  return subject.length === 2 ? names : [...names, { kind: 'directory', bytes: subject }, ...mailboxesOf(subject)]
}

/**
 * Whether this, a certificate or a revocation list, is signed by `jwk`. Of objects that are kept it is found out once: of lists, which
 * have megabytes, and of intermediates, which come with every connection. It can never become false.
 */
export async function isSignedBy(signed: SignedDer, jwk: VerificationJwk): Promise<boolean> {
  if (signers.get(signed)?.has(jwk)) return true
  const { tbs, scheme, signature } = signed
  if (!scheme || !fitsScheme(jwk, scheme)) return false
  const raw = rawSignature(signature, scheme, jwk)
  if (raw === undefined || !(await (await verifierOf(jwk, scheme))(tbs, raw))) return false
  signers.set(signed, (signers.get(signed) ?? new WeakSet()).add(jwk))
  return true
}

const signers = new WeakMap<SignedDer, WeakSet<VerificationJwk>>()
/** Importing a key costs as much as verifying with it, and anchors are used again and again. */
const verifiers = new WeakMap<VerificationJwk, Map<string, Promise<Verify>>>()

function verifierOf(jwk: VerificationJwk, scheme: SignatureScheme): Promise<Verify> {
  const known = verifiers.get(jwk) ?? new Map<string, Promise<Verify>>()
  verifiers.set(jwk, known)
  const name = JSON.stringify(scheme)
  const verifier = known.get(name) ?? importVerifier(jwk, scheme)
  known.set(name, verifier)
  return verifier
}

/**
 * Checks that each self-issued anchor carries its own signature. It proves nothing about whose anchor it is, which only the
 * trust file knows; it shows a trust file that was damaged since it was written.
 *
 * @throws {@link ProvenanceError} `malformed_trust`
 */
export async function checkAnchorsWhole(anchors: readonly Certificate[]): Promise<void> {
  for (const anchor of anchors) {
    const { subject, issuer, publicJwk, scheme } = anchor
    if (!equalBytes(subject, issuer) || !publicJwk || !scheme) continue
    if (await isSignedBy(anchor, publicJwk)) continue
    throw new ProvenanceError(
      'malformed_trust',
      'a self-issued anchor in the trust file does not carry its own signature',
    )
  }
}

function checkValidity({ notBefore, notAfter }: Certificate, { at }: PathDemands): void {
  // Not `at < notBefore`: of a moment that is NaN both comparisons would be false.
  if (!at.every((moment) => moment >= notBefore))
    throw new ProvenanceError('credential_not_yet_valid', 'a certificate that is not valid yet')
  if (!at.every((moment) => moment <= notAfter))
    throw new ProvenanceError('credential_expired', 'a certificate that is not valid any more')
}

function checkProcessed({ unprocessed }: Certificate): void {
  if (unprocessed.length > 0) throw new ProvenanceError('unknown_critical_extension', unprocessed.join(', '))
}
