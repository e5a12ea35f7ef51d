/**
 * Whether a record may be on this log: the one list of checks that the log server runs at admission and an auditor repeats
 * for every index. It decides from the log alone (earlier records and their keys), never from configuration.
 *
 * What it cannot see: sealed sections, and whether what a record says is true.
 *
 * @module
 */
import { fromHex, toHex } from '../../merkle/bytes.ts'
import { issuedAtOf, type RecordStatement } from '../record.ts'
import type { Authorization } from './authorities.ts'
import { checkAuthority, claimOf, isRetracted } from './check-authority.ts'
import { checkContent } from './check-content.ts'
import { linkRelationsOf, linkRule, linkTargetType } from './link-rules.ts'
import { countLinks, type RecordContext, refuse } from './record-context.ts'

/**
 * Runs every check, and returns under which authority the record was signed.
 *
 * @throws {@link ProvenanceError} the codes below "Whether a record may be on this log", and `malformed_record`
 */
export function checkRecord(r: RecordStatement, context: RecordContext): Authorization | 'admin' {
  checkDate(r, context)
  checkLinkCounts(r)
  const authority = checkAuthority(claimOf(r), context, r.record)
  checkLinkTargets(r, context)
  checkNotRetracted(r, context)
  if (authority !== 'admin') checkOwnLinks(r, authority, context)
  checkContent(r, authority, context)
  checkWraps(r, context)
  checkNoneErased(r, context)
  return authority
}

function checkDate(r: RecordStatement, { now, maxClockSkew }: RecordContext): void {
  if (issuedAtOf(r) > now + maxClockSkew) throw refuse('issued_in_future', `dated ${issuedAtOf(r) - now} s from now`)
}

/** The row of {@link LINK_RULES}: neither too few nor too many, and no relation that it does not have. */
function checkLinkCounts({ record: { type, links } }: RecordStatement): void {
  for (const rel of linkRelationsOf(type)) {
    const { min } = linkRule(type, rel)!
    if (countLinks(links, rel) < min) throw refuse('link_missing', `a ${type} must link to its ${rel}`)
  }
  for (const { rel } of links) {
    const max = linkRule(type, rel)?.max ?? 0
    if (countLinks(links, rel) > max) throw refuse('link_too_many', `a ${type} has at most ${max} links to ${rel}`)
  }
}

/** Every link leads to a record of the right type that was there before. */
function checkLinkTargets(
  r: RecordStatement,
  { targets, index = Number.POSITIVE_INFINITY, maxClockSkew }: RecordContext,
): void {
  const { type, links } = r.record
  for (const { rel, entry } of links) {
    const target = targets.get(toHex(entry))
    if (!target) throw refuse('link_dangling', `${rel} ${toHex(entry)} is not on this log`)
    const wanted = linkTargetType(type, rel)
    if (wanted && target.type !== wanted && target.type !== 'erased')
      throw refuse('link_wrong_type', `${rel} leads to a ${target.type}, not to a ${wanted}`)
    if (target.index >= index || target.issuedAt > issuedAtOf(r) + maxClockSkew) {
      throw refuse('link_later_than_record', `${rel} leads to a record that came later`)
    }
  }
}

/**
 * Nothing new rests on what was withdrawn: a policy, the criteria of a result, the key of the Verifier who signed it. A denial may: that
 * is what it is for. So may what comes after it: the next version, or an erasure.
 */
function checkNotRetracted(r: RecordStatement, context: RecordContext): void {
  const { authorities, targets } = context
  const { type, links } = r.record
  if (type === 'issuance-denied' || authorities.nothingRetracted) return
  for (const { rel, entry } of links) {
    if (rel === 'previous' || rel === 'erases' || rel === 'retracts') continue
    const target = targets.get(toHex(entry))!
    // Only where criteria were ever withdrawn: in most logs none were, and this is asked for each link.
    const criteria = authorities.criteriaRetracted ? (target.criteria ?? []).map(fromHex) : []
    const relied = [entry, ...criteria]
    if (target.type === 'attestation-result') {
      const verifier = authorities.inForce(target.signer, target.index).findLast(({ role }) => role === 'verifier')
      if (verifier) relied.push(verifier.entry)
    }
    const withdrawn = relied.find((each) => isRetracted(each, issuedAtOf(r), context))
    if (withdrawn) throw refuse('link_retracted', `${rel} rests on ${toHex(withdrawn)}, which was withdrawn`)
  }
}

/** Last: a record that an erasure excuses from one check has passed all others. */
function checkNoneErased({ record: { type, links } }: RecordStatement, { targets }: RecordContext): void {
  const gone = links.find(({ rel, entry }) => linkTargetType(type, rel) && targets.get(toHex(entry))?.type === 'erased')
  if (gone) throw refuse('link_erased', `${gone.rel} leads to a statement that was erased`)
}

/** Whoever changes something, changes something of their own. Keys come and go: the party is the authorized identifier. */
function checkOwnLinks(r: RecordStatement, { subject }: Authorization, { authorities, targets }: RecordContext): void {
  for (const { rel, entry } of r.record.links) {
    if (!linkRule(r.record.type, rel)?.own) continue
    const { signer, type } = targets.get(toHex(entry))!
    // Whose it was, nobody can tell any more.
    if (type === 'erased') continue
    if (!authorities.authorizations(signer).some((each) => each.subject === subject)) {
      throw refuse('link_not_own', `${rel} leads to a record of another party`)
    }
  }
}

/** Wraps are not in the log, so only admission can ask for them. */
function checkWraps({ record }: RecordStatement, { authorities, index, wrapRecipients = [] }: RecordContext): void {
  if (index !== undefined || !record.sealed) return
  const missing = authorities.policy().fields.requireWrapFor?.find((kid) => !wrapRecipients.includes(kid))
  if (missing !== undefined) throw refuse('wrap_required', `this log requires a wrap for ${missing}`)
}
