/**
 * The Ed25519 edge cases of C2SP/CCTV, in both builds.
 *
 * Each vector is flagged with what is peculiar about it. All of them satisfy the verification equation times the cofactor, and
 * implementations differ on which they take. We take a signature if and only if nothing is peculiar but this:
 *
 * - `low_order_component_A`, `low_order_component_R`: a point with a part of small order besides. Not made by honest keys,
 *   and not refused: telling costs a multiplication, and the equation still binds the signer.
 *
 * So we refuse, whichever else is flagged:
 *
 * - `low_order_A`: anybody can sign; `low_order_R`: no honest signer makes one.
 * - `non_canonical_A`, `non_canonical_R` (and `reencoded_k`, which only they have): a second form of the same bytes.
 * - `low_order_residue`: holds with the cofactor only. Both builds compare without it, as RFC 8032 §5.1.7 allows.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ed25519 as noble } from '@noble/curves/ed25519.js'
import { fromHex, utf8 } from '../../merkle/bytes.ts'
import * as native from '../../merkle/ed25519.node.ts'
import * as portable from '../../merkle/ed25519.ts'
import { readTextVector, vectorsMissing } from './shared-vectors.ts'

interface Vector {
  number: number
  key: string
  sig: string
  msg: string
  flags: string[] | null
}

const harmless = new Set(['low_order_component_A', 'low_order_component_R'])

describe('cctv/ed25519vectors.json', { skip: vectorsMissing }, () => {
  const vectors: Vector[] = vectorsMissing ? [] : JSON.parse(readTextVector('tlog/cctv/ed25519vectors.json'))

  for (const [name, { ed25519Verify, isStrongEd25519Key }] of [
    ['native', native],
    ['portable', portable],
  ] as const) {
    it(`gets the verdict of the flags on all 914 from the ${name} build`, () => {
      assert.equal(vectors.length, 914)
      let accepted = 0
      for (const { number, key, sig, msg, flags } of vectors) {
        const expected = (flags ?? []).every((flag) => harmless.has(flag))
        assert.equal(
          ed25519Verify(fromHex(key), utf8(msg), fromHex(sig)),
          expected,
          `vector ${number}: ${flags?.join()}`,
        )
        if (expected) accepted++
      }
      assert.equal(accepted, 43)
    })

    it(`tells strong keys from the others in the ${name} build`, () => {
      for (const { number, key, flags } of vectors) {
        const weak = flags?.some((flag) => flag === 'low_order_A' || flag === 'non_canonical_A') ?? false
        assert.equal(isStrongEd25519Key(fromHex(key)), !weak, `vector ${number}`)
      }
    })
  }

  it('differs from @noble/curves (zip215: false) only where that takes more: the cofactor, and R of small order', () => {
    for (const { number, key, sig, msg, flags } of vectors) {
      const oracle = noble.verify(fromHex(sig), utf8(msg), fromHex(key), { zip215: false })
      const ours = native.ed25519Verify(fromHex(key), utf8(msg), fromHex(sig))
      if (ours === oracle) continue
      assert.equal(oracle, true, `vector ${number}`)
      assert.ok(
        flags?.includes('low_order_residue') || flags?.includes('low_order_R'),
        `vector ${number}: ${flags?.join()}`,
      )
    }
  })

  // cctv/*ML-DSA-44* are not applicable: signature type 0x06 is not implemented, and its keys are refused (`unsupported_key`).
})
