/**
 * Statements that are no records of ours: whether the log's own registration policy lets them in (RFC 9943 §5.1). Like
 * `checkRecord`, one check for the log server at admission and for every auditor after it, and it decides from the log alone.
 *
 *     terms       the policy registers such content, by such an issuer, of such a size
 *     signer      kid       → a key of the policy
 *                 x5chain   → a path to one of its anchors      (protected; or unprotected, when a protected x5t names its leaf)
 *     signature   by that key
 *
 * With a certificate in the protected header the certificate counts, and a kid beside it is not looked at.
 *
 * **What the log vouches for** is that a key or a chain which its policy names signed these bytes. It does not vouch that `iss`
 * belongs to that key: RFC 9943 demands a URI there, and no check here resolves one, a `did:x509` included. Whoever relies on `iss`
 * must bind it to the signer, or to a policy with one issuer. `exp` and `nbf` are for whoever relies on the statement, too.
 *
 * **Time.** Certificates must be valid when the statement is registered and, if it has an `iat`, then too. The moment of
 * registration is not in the entry, so an auditor can repeat only the second: of a statement without `iat`, the path is checked
 * and its dates are not.
 *
 * Keys that a `key-authorization` names sign records, and nothing else unless the policy lists them as well: whoever may say why a
 * credential was issued was not thereby allowed to say anything.
 *
 * @module
 */
import { importVerificationKey, type VerificationKey } from '#signature'
import { concatBytes, equalBytes, toHex } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import type { VerificationAlgorithm } from '../../statement/algorithm.ts'
import { kidOf, type PublicJwk, type VerificationJwk } from '../../statement/cose-key.ts'
import { algorithmOf, LABEL } from '../../statement/cose-sign1.ts'
import { StatementError } from '../../statement/error.ts'
import {
  type SignedStatement,
  type StatementHeader,
  type VerifiedStatement,
  verifySignedStatement,
} from '../../statement/signed-statement.ts'
import { type Certificate, parseCertificate } from '../certificates/certificate.ts'
import { checkLength, findCertificatePath, isValidPath } from '../certificates/certificate-path.ts'
import { ProvenanceError } from '../error.ts'
import { isRecordStatement } from '../record.ts'
import type { PolicyInForce } from './authorities.ts'
import type { ForeignPolicy } from './foreign-policy.ts'

export interface ForeignContext {
  /** That a statement at this place is under: `Authorities.policyAt`. */
  readonly policy: PolicyInForce | undefined
  /** POSIX seconds. */
  readonly now: number
  /** How far clocks may be apart, in seconds. */
  readonly maxClockSkew: number
  /** True of an entry. Otherwise the statement is asking for admission, at `now`. */
  readonly onLog?: boolean
  /** The chain kept beside a statement that has no protected one, leaf first; by default the one it came with. */
  readonly certificates?: readonly Uint8Array[]
  /** Of a cache, perhaps: importing costs about a verification. */
  readonly importKey?: (jwk: VerificationJwk, algorithm: VerificationAlgorithm) => Promise<VerificationKey>
  /** Of statements before this one. */
  readonly paths?: PathCache
}

/**
 * Paths that were found, by policy and chain: a signer sends the same chain with each statement, and to read and follow it costs five
 * times what the rest of the check does (measured). Whether it is still valid is asked each time.
 */
export class PathCache {
  readonly #paths = new Map<string, readonly Certificate[]>()

  async find(
    policy: PolicyInForce,
    chain: readonly Uint8Array[],
    at: readonly number[],
    search: () => Promise<readonly Certificate[]>,
  ): Promise<readonly Certificate[]> {
    // DER says where it ends, so no two chains are one sequence of bytes.
    const name = toHex(policy.entry) + toHex(sha256(concatBytes(...chain)))
    const known = this.#paths.get(name)
    if (known && isValidPath(known, at)) return known
    const path = await search()
    for (const oldest of this.#paths.size >= MAX_CACHED_PATHS ? this.#paths.keys() : []) {
      this.#paths.delete(oldest)
      break
    }
    this.#paths.set(name, path)
    return path
  }
}

const MAX_CACHED_PATHS = 1024

/** A statement that the policy lets in, under a valid signature. */
export interface ForeignStatement {
  readonly statement: VerifiedStatement
  /** As {@link foreignSigner} names it. */
  readonly signer: string
  /** From the leaf to the anchor, both included; empty when a key of the policy signed. */
  readonly path: readonly Certificate[]
  /** What auditors need besides the statement to come to the same answer, leaf first: a path that is not in the protected header. */
  readonly beside: readonly Uint8Array[]
}

/**
 * Runs every check.
 *
 * @throws {@link ProvenanceError} `unsupported_content_type`, `issuer_mismatch`, `issued_in_future`, `unknown_key`,
 *   `certificate_missing`, and those of {@link findCertificatePath} and `parseCertificate`
 * @throws {@link StatementError} `too_large`, and those of {@link verifySignedStatement}
 */
export async function checkForeign(statement: SignedStatement, context: ForeignContext): Promise<ForeignStatement> {
  const { policy, now, maxClockSkew, importKey = importVerificationKey } = context
  const foreign = checkTerms(statement, policy)
  const { issuedAt } = statement.header
  if (issuedAt !== undefined && issuedAt > now + maxClockSkew) {
    throw new ProvenanceError('issued_in_future', `dated ${issuedAt - now} s from now`)
  }
  // Before any certificate is looked at: their kinds are the same as those of statements.
  const algorithm = algorithmOf(statement.sign1.protectedHeader)

  if (!isCertified(statement.header)) {
    const jwk = keyOf(statement.header, foreign)
    const verified = await verifySignedStatement(statement, await importKey(jwk, algorithm))
    return { statement: verified, signer: statement.header.kid!, path: [], beside: [] }
  }
  const path = await signerPath(statement, foreign, context)
  const [leaf, ...issuers] = path
  const verified = await verifySignedStatement(statement, await importKey(signingKeyOf(leaf!), algorithm), {
    processed: [LABEL.x5chain, LABEL.x5t],
  })
  const isProtected = statement.sign1.protectedHeader.has(LABEL.x5chain)
  const beside = isProtected ? [] : [leaf!, ...issuers.slice(0, -1)].map(({ der }) => der)
  return { statement: verified, signer: verified.signer.kid, path, beside }
}

/**
 * Asks again, of a policy that came into force while the statement waited for its index: whether it still registers such content,
 * and still names the key or the anchor.
 *
 * @throws as {@link checkForeign}
 */
export function recheckForeign({ statement, path, beside }: ForeignStatement, policy: PolicyInForce): void {
  const foreign = checkTerms(statement, policy)
  const anchor = path.at(-1)
  if (!anchor) {
    if (kidOf(keyOf(statement.header, foreign)) === statement.signer.kid) return
    throw unknownKey(statement.header)
  }
  for (const certificate of path) checkPurposes(certificate, foreign)
  // What was an anchor may be one intermediate too many now.
  if (beside.length === 0) checkLength(intermediatesIn(statement.header.x5chain ?? [], foreign))
  // Another anchor may lead there too. Then the same request, repeated, is admitted by that one.
  if (!foreign.anchors.some(({ der }) => equalBytes(der, anchor.der))) {
    throw new ProvenanceError('unknown_anchor', 'the anchor that vouched for the signer was withdrawn')
  }
}

/**
 * By what name the signer is found: the thumbprint of the key in the certificate, or the kid.
 *
 * @param certificates - the chain kept beside the statement
 * @throws {@link ProvenanceError} `certificate_missing`, and those of `parseCertificate`
 */
export function foreignSigner({ header }: SignedStatement, certificates: readonly Uint8Array[] = []): string {
  if (!isCertified(header)) return header.kid!
  return kidOf(signingKeyOf(parseCertificate(chainOf(header, certificates)[0])))
}

/** Sync, so that nothing can change between it and an append. */
function checkTerms(statement: SignedStatement, policy: PolicyInForce | undefined): ForeignPolicy {
  const { header, bytes } = statement
  const foreign = policy?.foreign
  if (!policy || !foreign) throw unsupported('this log registers provenance records, and no other content')
  const { maxStatementBytes } = policy.fields
  if (bytes.length > maxStatementBytes) {
    throw new StatementError('too_large', `${bytes.length} bytes, and the log takes ${maxStatementBytes}`)
  }
  // Media types compare without case, and whoever goes by the type must not find a record that was never checked as one.
  const named = [header.contentType, header.typ].map((type) => String(type ?? '').toLowerCase())
  if (isRecordStatement(statement) || named.some((type) => type.startsWith('application/vnd.provlog.'))) {
    throw unsupported('the media types of records are for records')
  }
  const { contentType, issuer } = header
  if (foreign.contentTypes && !(typeof contentType === 'string' && foreign.contentTypes.includes(contentType))) {
    throw unsupported(`this log does not register ${JSON.stringify(contentType ?? 'content without a type')}`)
  }
  if (foreign.issuers && !foreign.issuers.includes(issuer)) {
    throw new ProvenanceError('issuer_mismatch', 'an issuer that the log’s policy does not name')
  }
  return foreign
}

function keyOf(header: StatementHeader, foreign: ForeignPolicy): PublicJwk {
  const jwk = foreign.keys.get(header.kid ?? '')
  if (!jwk) throw unknownKey(header)
  return jwk
}

/** From the leaf to the anchor. */
async function signerPath(
  { header }: SignedStatement,
  foreign: ForeignPolicy,
  { policy, now, onLog, certificates, paths }: ForeignContext,
): Promise<readonly Certificate[]> {
  const chain = chainOf(header, certificates)
  const at = [...(onLog ? [] : [now]), ...(header.issuedAt === undefined ? [] : [header.issuedAt])]
  const search = () => findSignerPath(chain, foreign, at)
  return paths && policy ? paths.find(policy, chain, at, search) : search()
}

/** Many a chain ends with the anchor itself, which is not what makes it one. */
function intermediatesIn([, ...others]: readonly Uint8Array[], { anchors }: ForeignPolicy): readonly Uint8Array[] {
  return others.filter((der) => !anchors.some((each) => equalBytes(each.der, der)))
}

async function findSignerPath(
  chain: readonly [Uint8Array, ...Uint8Array[]],
  foreign: ForeignPolicy,
  at: readonly number[],
): Promise<readonly Certificate[]> {
  const { anchors } = foreign
  const intermediates = intermediatesIn(chain, foreign)
  // Before any is read: a header has room for a thousand.
  checkLength(intermediates)
  const certificate = parseCertificate(chain[0])
  const issuers = await findCertificatePath(certificate, intermediates.map(parseCertificate), {
    anchors,
    at,
    requireKeyUsage: false,
    checkPurposes: (each) => checkPurposes(each, foreign),
  })
  return [certificate, ...issuers]
}

/** Leaf first. An unprotected chain is anybody's: what ties it to the statement is x5t. */
function chainOf(
  { x5chain, x5t }: StatementHeader,
  beside: readonly Uint8Array[] = [],
): readonly [Uint8Array, ...Uint8Array[]] {
  const [leaf, ...others] = x5chain ?? beside
  if (!leaf || (x5t && !equalBytes(sha256(leaf), x5t))) {
    throw new ProvenanceError('certificate_missing', 'the certificate that x5t names must come along, as x5chain')
  }
  return [leaf, ...others]
}

function signingKeyOf({ publicJwk }: Certificate): VerificationJwk {
  if (!publicJwk) throw new ProvenanceError('unsupported_key', 'a signing key of another kind')
  return publicJwk
}

/**
 * No purpose is registered for statements. So where the policy names purposes, the leaf must have one of them; where it names none,
 * any will do but those that are only for TLS, time stamping or OCSP (RFC 5280 §4.2.1.12): a CA that is an anchor here and issues
 * for servers as well does not make each server a signer. What an issuing certificate has must not be narrower.
 */
function checkPurposes({ purposes, basicConstraints }: Certificate, foreign: ForeignPolicy): void {
  const isIssuer = basicConstraints?.ca === true
  const wanted = foreign.purposes
  const holds = wanted
    ? (isIssuer && purposes === undefined) ||
      purposes?.some((oid) => wanted.includes(oid) || (isIssuer && oid === ANY_PURPOSE))
    : !purposes || purposes.some((oid) => !OTHER_PURPOSES.includes(oid))
  if (!holds) {
    throw new ProvenanceError(
      'certificate_wrong_usage',
      'extKeyUsage is for something else than the log’s policy wants',
    )
  }
}

const ANY_PURPOSE = '2.5.29.37.0'
/** serverAuth, clientAuth, timeStamping, OCSPSigning. */
const OTHER_PURPOSES = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.8', '1.3.6.1.5.5.7.3.9']

function isCertified({ x5chain, x5t }: StatementHeader): boolean {
  return x5chain !== undefined || x5t !== undefined
}

function unknownKey({ kid }: StatementHeader): ProvenanceError {
  return new ProvenanceError('unknown_key', `${JSON.stringify(kid)} is no key of the log’s policy`)
}

function unsupported(message: string): ProvenanceError {
  return new ProvenanceError('unsupported_content_type', message)
}
