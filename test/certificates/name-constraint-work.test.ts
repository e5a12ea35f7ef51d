// Name constraints are compared name by name, so whoever chooses both lists chooses how much work that is. Certificates that came with a credential or a
// statement are anybody's: what they constrain is nothing to look at before an anchor vouches for them.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { concatBytes, fromHex, utf8 } from '../../merkle/bytes.ts'
import { type Certificate, parseCertificate } from '../../provenance/certificates/certificate.ts'
import { findCertificatePath } from '../../provenance/certificates/certificate-path.ts'
import { ProvenanceError } from '../../provenance/index.ts'
import { AT, authority, certify, der, extension, type Holder, SUBJECT, workload } from './authority.ts'

/** A directory name of many parts that no two spellings of are the same bytes. */
function directory(last: string, upper: boolean): Uint8Array {
  const part = (value: string) => der(0x31, der(0x30, fromHex('0603550403'), der(0x0c, utf8(value))))
  const parts = Array.from({ length: 6 }, () => part(upper ? 'A' : 'a'))
  return der(0xa4, der(0x30, ...parts, part(last)))
}

function certificates(holders: readonly Holder[]) {
  return holders.map(({ der: bytes }) => parseCertificate(bytes))
}

async function chosenByOne() {
  const subtrees = Array.from({ length: 250 }, (_, i) => der(0x30, directory(`x${i}`, true)))
  const constrained = extension('2.5.29.30', der(0x30, der(0xa1, ...subtrees)))
  const own = await certify('Own', { extensions: authority(undefined, constrained) })
  const between = await certify('Own 2', { issuer: own, extensions: authority(undefined, constrained) })
  const names = [der(0x86, utf8(SUBJECT)), ...Array.from({ length: 250 }, (_, i) => directory(`y${i}`, false))]
  const leaf = await certify('leaf', {
    issuer: between,
    extensions: workload(extension('2.5.29.17', der(0x30, concatBytes(...names)), false)),
  })
  return certificates([leaf, between, own, await certify('Anchor')]) as [
    Certificate,
    Certificate,
    Certificate,
    Certificate,
  ]
}
const demands = { at: [AT], requireKeyUsage: true, checkPurposes: () => {} }

it('an attacker’s own authority cannot have its name constraints compared, without an anchor above it', async () => {
  const [leaf, between, own, anchor] = await chosenByOne()
  const start = performance.now()
  await assert.rejects(
    findCertificatePath(leaf, [between, own], { ...demands, anchors: [anchor] }),
    (error) => error instanceof ProvenanceError && error.code === 'unknown_anchor',
  )
  const elapsed = performance.now() - start
  assert.ok(elapsed < 100, `${elapsed.toFixed(0)} ms`)
})

it('an authority that is believed cannot have names read again for each of its constraints', async () => {
  const [leaf, between, own] = await chosenByOne()
  const start = performance.now()
  assert.equal((await findCertificatePath(leaf, [between], { ...demands, anchors: [own] })).length, 2)
  // It was 5 s, of two authorities.
  const elapsed = performance.now() - start
  assert.ok(elapsed < 1000, `${elapsed.toFixed(0)} ms`)
})
