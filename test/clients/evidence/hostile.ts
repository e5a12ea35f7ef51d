/**
 * What evidence of any format must withstand: cut short at every byte, with any bit flipped, or made of anything at all, it is refused
 * with a code of the Verifier's, and nothing else is ever thrown.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import type { EvidenceFormat, Examination } from '../../../clients/verifier/evidence/format.ts'
import { VerifierError } from '../../../clients/verifier/index.ts'

interface Victim {
  readonly format: EvidenceFormat
  readonly evidence: Uint8Array
  readonly examination: Examination
  /** Bits that nothing protects, where a format has any: `true` for a bit that may be flipped without being noticed. */
  readonly unprotected?: (byte: number) => boolean
  /** How many zeros may follow, where a format forgives any. */
  readonly padding?: number
}

export function refusesWhatIsHostile(make: () => Victim): void {
  const refused = async ({ format, examination }: Victim, evidence: Uint8Array) => {
    try {
      await format.examine(evidence, examination)
    } catch (error) {
      if (error instanceof VerifierError) return error.code
      throw error
    }
    return undefined
  }

  it('refuses it cut short at every byte', async () => {
    const victim = make()
    for (let length = 0; length < victim.evidence.length; length++) {
      assert.ok(await refused(victim, victim.evidence.subarray(0, length)), `${length} bytes`)
    }
  })

  it('refuses it with bytes after the end', async () => {
    const victim = make()
    for (const more of [1, 16, 600_000]) {
      if (more <= (victim.padding ?? 0)) continue
      const longer = new Uint8Array(victim.evidence.length + more)
      longer.set(victim.evidence)
      assert.ok(await refused(victim, longer), `${more} more`)
    }
  })

  it('refuses it with any one bit flipped', async () => {
    const victim = make()
    const { evidence, unprotected } = victim
    await fc.assert(
      fc.asyncProperty(fc.nat(evidence.length - 1), fc.nat(7), async (at, bit) => {
        const changed = evidence.slice()
        changed[at]! ^= 1 << bit
        const code = await refused(victim, changed)
        assert.ok(code !== undefined || unprotected?.(at), `bit ${bit} of byte ${at} was not noticed`)
      }),
      { numRuns: 300 },
    )
  })

  it('refuses arbitrary bytes, alone and in its place', async () => {
    const victim = make()
    const { evidence, unprotected } = victim
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(evidence.length - 1), async (bytes, at) => {
        assert.ok(await refused(victim, bytes))
        const changed = evidence.slice()
        changed.set(bytes.subarray(0, evidence.length - at), at)
        const noticeable = changed.some((byte, i) => byte !== evidence[i] && !unprotected?.(i))
        if (noticeable) assert.ok(await refused(victim, changed), `${bytes.length} bytes at ${at}`)
      }),
      { numRuns: 100 },
    )
  })

  it('finds no less with any one bit of its collateral flipped', async () => {
    const victim = make()
    const { format, evidence, examination } = victim
    const { cases } = await format.examine(evidence, examination)
    const files = examination.collateral
    const flips = fc
      .nat(Math.max(0, files.length - 1))
      .chain((file) => fc.tuple(fc.constant(file), fc.nat(Math.max(0, (files[file]?.length ?? 1) - 1)), fc.nat(7)))
    await fc.assert(
      fc.asyncProperty(flips, async ([file, at, bit]) => {
        const collateral = files.map((bytes, i) => (i === file ? bytes.with(at, bytes[at]! ^ (1 << bit)) : bytes))
        const found = await examined({ ...victim, examination: { ...examination, collateral } })
        assert.ok(found === undefined || cases.every((name) => found.includes(name)), found?.join(' '))
      }),
      { numRuns: 300 },
    )
  })
  async function examined({ format, evidence, examination }: Victim): Promise<readonly string[] | undefined> {
    try {
      return (await format.examine(evidence, examination)).cases
    } catch (error) {
      if (error instanceof VerifierError) return undefined
      throw error
    }
  }

  it('refuses arbitrary collateral, or does without it', async () => {
    const victim = make()
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 200 }),
            fc.json().map((text) => Buffer.from(text)),
          ),
          { maxLength: 3 },
        ),
        async (collateral) => {
          await refused({ ...victim, examination: { ...victim.examination, collateral } }, victim.evidence)
        },
      ),
      { numRuns: 100 },
    )
  })
}
