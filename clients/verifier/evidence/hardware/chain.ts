/**
 * From the certificate that signed a piece of evidence to the vendor's root, which is pinned (RFC 5280 §6.1).
 *
 *     leaf ◄─issues─ intermediate … ◄─issues─ root, whose SHA-256 we know
 *
 * A chain that does not hold is refused: it proves nothing. What time and vendors do to a chain that holds, that it expired or that
 * a certificate in it was revoked, is a finding, and the appraisal policy has the word on it.
 *
 * @module
 */
import { equalBytes } from '../../../../merkle/index.ts'
import { VerifierError } from '../../error.ts'
import type { AppraisalCase } from '../format.ts'
import type { RevocationList } from './revocation.ts'
import { KEY_CERT_SIGN, type VendorCertificate } from './vendor-certificate.ts'

/** Certificates in a chain, with the leaf and the root. Nitro's has five. */
const MAX_CHAIN = 6

/** Something that a policy has to have an opinion about, and what exactly. */
export interface Finding {
  readonly case: AppraisalCase
  readonly why: string
}

export interface ChainContext {
  /** SHA-256 fingerprints, lower-case hex. */
  readonly roots: readonly string[]
  /** POSIX seconds. */
  readonly at: number
  readonly revocationLists: readonly RevocationList[]
  /** Whether the vendor publishes a list for the certificate at this place in the chain. All but the root's, when absent. */
  readonly isListed?: (place: number) => boolean
}

/**
 * Checks that each certificate was issued by the next one and that the last is a pinned root.
 *
 * @param chain - the leaf first, the root last
 * @returns what is the matter with a chain that holds: `expiredCollateral`, `revoked`, `uncheckedRevocation`
 * @throws {@link VerifierError} `untrusted_root`, `bad_certificate_chain`
 */
export function checkChain(chain: readonly VendorCertificate[], context: ChainContext): Finding[] {
  const root = chain.at(-1)
  if (!root || chain.length < 2 || chain.length > MAX_CHAIN) {
    throw new VerifierError('bad_certificate_chain', `${chain.length} certificates, and not 2 to ${MAX_CHAIN}`)
  }
  if (!context.roots.includes(root.fingerprint)) {
    throw new VerifierError('untrusted_root', `${root.name}, SHA-256 ${root.fingerprint}, is not a pinned root`)
  }
  // A CA that signs evidence itself speaks for machines that it only vouches for.
  if (chain[0]!.authority) throw refuse(`${chain[0]!.name} is a CA, and signed the evidence`)
  const findings: Finding[] = []
  chain.forEach((certificate, i) => {
    if (certificate.unprocessed.length > 0) {
      throw refuse(`${certificate.name} restricts by ${certificate.unprocessed[0]}, which is not processed`)
    }
    const issuer = chain[i + 1]
    if (issuer) checkIssued(issuer, certificate, i)
    if (context.at < certificate.notBefore || context.at > certificate.notAfter) {
      findings.push(outside(certificate.name, certificate.notBefore, certificate.notAfter))
    }
    if (issuer && (context.isListed?.(i) ?? true)) findings.push(...revocationOf(certificate, issuer, context))
  })
  return findings
}

/**
 * The chain from `leaf` to a certificate that issued itself, of certificates in any order.
 *
 * @throws {@link VerifierError} `missing_collateral` where no certificate given is the next issuer
 */
export function chainFrom(leaf: VendorCertificate, given: readonly VendorCertificate[]): VendorCertificate[] {
  const chain = [leaf]
  for (let last = leaf; !equalBytes(last.issuer, last.subject); last = chain.at(-1)!) {
    // By name first: a signature is only tried where it can be expected to hold.
    const named = given.filter((candidate) => equalBytes(candidate.subject, last.issuer))
    const issuer = named.find((candidate) => last.isSignedBy(candidate)) ?? named[0]
    if (!issuer) throw new VerifierError('missing_collateral', `nothing given issued ${last.name}`)
    if (chain.length === MAX_CHAIN) throw refuse(`more than ${MAX_CHAIN} certificates`)
    chain.push(issuer)
  }
  return chain
}

/** `expiredCollateral`, in words. */
export function outside(what: string, from: number, to: number): Finding {
  const [first, last] = [from, to].map((seconds) => new Date(seconds * 1000).toISOString())
  return { case: 'expiredCollateral', why: `${what} is valid from ${first} to ${last}` }
}

/** @param below - intermediates between `issuer` and the leaf: what pathLen counts (§4.2.1.9) */
function checkIssued(issuer: VendorCertificate, child: VendorCertificate, below: number): void {
  if (!equalBytes(issuer.subject, child.issuer)) throw refuse(`${child.name} names another issuer than ${issuer.name}`)
  if (!issuer.authority) throw refuse(`${issuer.name} lacks CA:TRUE`)
  if (!(issuer.keyUsage?.has(KEY_CERT_SIGN) ?? true)) throw refuse(`${issuer.name} lacks keyCertSign`)
  if ((issuer.pathLength ?? MAX_CHAIN) < below) throw refuse(`too many certificates below ${issuer.name}`)
  if (!child.isSignedBy(issuer)) throw refuse(`${child.name} is not signed by ${issuer.name}`)
}

/** What the lists given say of `certificate`. Each of those that hold is asked: a newer one beside an older is no excuse. */
function revocationOf(
  certificate: VendorCertificate,
  issuer: VendorCertificate,
  { at, revocationLists }: ChainContext,
): Finding[] {
  const lists = revocationLists.filter((list) => list.isSignedBy(issuer))
  // A list that was true once stays true about what it lists.
  if (lists.some(({ revoked }) => revoked.has(certificate.serial))) {
    return [{ case: 'revoked', why: `${certificate.name}, serial ${certificate.serial}` }]
  }
  if (lists.some(({ thisUpdate, nextUpdate }) => at >= thisUpdate && at <= nextUpdate)) return []
  const [list] = lists
  if (list) return [outside(`the CRL of ${issuer.name}`, list.thisUpdate, list.nextUpdate)]
  return [{ case: 'uncheckedRevocation', why: `no CRL of ${issuer.name}` }]
}

function refuse(why: string): VerifierError {
  return new VerifierError('bad_certificate_chain', why)
}
