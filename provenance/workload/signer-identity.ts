/**
 * Whom a certificate of Sigstore's CA (Fulcio) names: an alternative name, and the OpenID provider by whose word the CA put it there.
 *
 *     subject   https://github.com/acme/payments/.github/workflows/release.yml@refs/tags/v1     or    ana@acme.example
 *     issuer    https://token.actions.githubusercontent.com
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/bytes.ts'
import type { Certificate } from '../certificates/certificate.ts'
import { type DerElement, DerReader, derOid, readDer, TAG } from '../certificates/der.ts'

export interface SignerIdentity {
  /** Its only alternative name: a URI or an e-mail address. */
  readonly subject: string
  /** URL of the OpenID provider. */
  readonly issuer: string
}

/** Fulcio's own extensions (sigstore/fulcio, docs/oid-info.md): the later form is a UTF8String, the first was the bare text. */
const ISSUER = '1.3.6.1.4.1.57264.1.8'
const ISSUER_V1 = '1.3.6.1.4.1.57264.1.1'

const UTF8_STRING = 0x0c
const EXTENSIONS = 0xa3

/**
 * Undefined when it has several names, or one of another kind: whoever asks for one of several would not see the others.
 *
 * @throws EvidenceError `malformed_der`, `malformed_utf8`
 */
export function signerIdentity({ names, der }: Certificate): SignerIdentity | undefined {
  const [name, ...more] = names
  if (!name || more.length > 0 || (name.kind !== 'uri' && name.kind !== 'email')) return undefined
  const extensions = extensionsOf(der)
  const [later, first] = [extensions.get(ISSUER), extensions.get(ISSUER_V1)]
  const issuer = later ? readDer(later, UTF8_STRING).content : first
  return issuer && { subject: name.text, issuer: fromUtf8(issuer) }
}

/** Values by OID, of a certificate that was read: none is there twice. */
function extensionsOf(der: Uint8Array): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>()
  const wrapper = childrenOf(childrenOf(readDer(der, TAG.sequence))[0]!).find(({ tag }) => tag === EXTENSIONS)
  for (const extension of wrapper ? childrenOf(readDer(wrapper.content)) : []) {
    const [oid, ...rest] = childrenOf(extension)
    found.set(derOid(oid!), rest.at(-1)!.content)
  }
  return found
}

function childrenOf({ content }: DerElement): DerElement[] {
  const reader = new DerReader(content)
  const children: DerElement[] = []
  while (!reader.done) children.push(reader.next())
  return children
}
