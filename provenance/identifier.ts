/**
 * Workload identifiers and trust domain names, by their own grammar.
 *
 *   spiffe://bank.example/payments/api
 *   └scheme┘ └trust domain┘└── path ──┘
 *
 * Two identifiers are the same workload exactly when their texts are equal (draft-ietf-wimse-identifier-03 §4), so each
 * identifier here has one spelling and anything else is refused, never repaired. The WHATWG `URL` parser must stay away:
 * it resolves `..`, lowers case, drops default ports and reads `\` as `/`, each of which would make two texts one workload.
 *
 * A trust domain is the name of an authority for identities. It is not a host name, even when it looks like one.
 *
 * @module
 */
import { utf8 } from '../merkle/bytes.ts'
import { ProvenanceError } from './error.ts'

export interface WorkloadIdentifier {
  /** The whole text: what is compared. At most 2048 bytes. */
  readonly uri: string
  readonly scheme: 'spiffe' | 'wimse'
  /** As {@link parseTrustDomain}. */
  readonly trustDomain: string
  /** Begins with `/` and has at least one segment. Means nothing without the trust domain. */
  readonly path: string
}

/** Longest identifier that we take, in bytes: the least that the drafts ask everybody to support. */
export const MAX_IDENTIFIER_BYTES = 2048

/** SPIFFE-ID §2.1. Without `%`, `:`, `@`, `[` and `/` there is no room for user info, ports and IPv6 literals. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/

/** SPIFFE-ID §2.2: letters, digits, dot, dash, underscore. */
const SPIFFE_SEGMENT = /^[A-Za-z0-9._-]+$/

/** RFC 3986 `pchar`. Percent-encoding has more conditions: {@link hasOneSpelling}. */
const WIMSE_SEGMENT = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+$/

/**
 * Reads a workload identifier: `spiffe://` by SPIFFE-ID's rules, `wimse://` by those of RFC 3986 as far as they leave one
 * spelling. Query, fragment, user info, port, empty and dot segments, and a trailing slash are refused in both.
 *
 * @throws {@link ProvenanceError} `malformed_identifier`
 */
export function parseWorkloadIdentifier(text: string): WorkloadIdentifier {
  if (typeof text !== 'string') throw refuse(String(text), 'is not text')
  if (text.length > MAX_IDENTIFIER_BYTES || utf8(text).length > MAX_IDENTIFIER_BYTES) {
    throw refuse(`${text.slice(0, 64)}…`, `is longer than ${MAX_IDENTIFIER_BYTES} bytes`)
  }
  const parts = /^(spiffe|wimse):\/\/([^/]*)(.*)$/s.exec(text)
  if (!parts) throw refuse(text, 'does not begin with spiffe:// or wimse://')
  const scheme = parts[1] as WorkloadIdentifier['scheme']
  const trustDomain = parseTrustDomain(parts[2]!)
  const path = parts[3]!
  if (path === '') throw refuse(text, 'names a trust domain, not a workload in it')

  for (const segment of path.slice(1).split('/')) {
    if (segment === '') throw refuse(text, 'has an empty path segment')
    if (segment === '.' || segment === '..') throw refuse(text, 'has a dot segment')
    const wellFormed =
      scheme === 'spiffe' ? SPIFFE_SEGMENT.test(segment) : WIMSE_SEGMENT.test(segment) && hasOneSpelling(segment)
    if (!wellFormed) throw refuse(text, `has a path segment outside the ${scheme} grammar`)
  }
  return { uri: text, scheme, trustDomain, path }
}

/**
 * Reads a trust domain name: 1 to 255 of a–z, 0–9, `.`, `-`, `_`, and at least one letter or digit.
 *
 * @throws {@link ProvenanceError} `malformed_identifier`
 */
export function parseTrustDomain(text: string): string {
  if (typeof text !== 'string' || !TRUST_DOMAIN.test(text) || !/[a-z0-9]/.test(text)) {
    throw refuse(String(text).slice(0, 300), 'has no trust domain of a–z, 0–9, ".", "-" and "_"')
  }
  return text
}

/**
 * Whether nothing is percent-encoded that could stand for itself, or that some reader would decode into structure:
 * `%2E%2E` is `..`, `%2F` is `/`, `%5C` is `\`, `%00` ends a C string.
 */
function hasOneSpelling(segment: string): boolean {
  for (const [, hex] of segment.matchAll(/%(..)/g)) {
    const byte = Number.parseInt(hex!, 16)
    if (byte < 0x20 || byte === 0x7f || /[A-Za-z0-9._~/\\%-]/.test(String.fromCharCode(byte))) return false
  }
  return true
}

function refuse(text: string, why: string): ProvenanceError {
  return new ProvenanceError('malformed_identifier', `${JSON.stringify(text)} ${why}`)
}
