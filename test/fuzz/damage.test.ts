// One valid example of each format, cut off at every byte, and with each of its bits turned: it is refused for what the reader says it
// refuses, or it says something else. For a format that has one text for one thing the target's check says so: it writes what it read.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { toHex } from '../../merkle/index.ts'
import { outcomeOf, type Target } from './engine.ts'
import { openTargets } from './targets/index.ts'

const targets = await openTargets()
after(async () => {
  for (const target of targets) await target.close?.()
})

/** A shared machine computes slower while the neighbours do. */
const SLACK = 4
/** Damages of each kind: all of them in an example that is short, and otherwise evenly spread. */
const MOST = 400

/** Each is a request, or a policy that another engine compiles: fuzz.test.ts has enough of them. */
const SLOW = ['http', 'http-socket', 'cedar-policy', 'cedar-context']

function* upTo(count: number): Generator<number> {
  for (let i = 0; i < count; i += Math.max(1, count / MOST)) yield Math.floor(i)
}

async function shortestOf(target: Target): Promise<Uint8Array> {
  const valid: Uint8Array[] = []
  for (const seed of target.seeds) if ((await outcomeOf(target, seed, SLACK)).kind === 'accepted') valid.push(seed)
  const [shortest] = valid.filter(({ length }) => length > 8).sort((a, b) => a.length - b.length)
  assert.ok(shortest, 'no valid example')
  return shortest
}

async function holds(target: Target, damaged: Uint8Array): Promise<void> {
  const outcome = await outcomeOf(target, damaged, SLACK)
  assert.ok(outcome.kind !== 'failed', `${outcome.shape}: ${toHex(damaged)}`)
}

describe('a damaged example', () => {
  for (const target of targets.filter(({ name }) => !SLOW.includes(name))) {
    it(`of ${target.name}, cut off anywhere`, async () => {
      const example = await shortestOf(target)
      for (const length of upTo(example.length)) await holds(target, example.slice(0, length))
    })

    it(`of ${target.name}, with any bit turned`, async () => {
      const example = await shortestOf(target)
      for (const bit of upTo(8 * example.length)) {
        const damaged = example.slice()
        damaged[bit >> 3]! ^= 1 << (bit & 7)
        await holds(target, damaged)
      }
    })

    it(`of ${target.name}, with any byte dropped, doubled or followed by another`, async () => {
      const example = await shortestOf(target)
      for (const at of upTo(example.length)) {
        await holds(target, Uint8Array.from([...example.subarray(0, at), ...example.subarray(at + 1)]))
        await holds(target, Uint8Array.from([...example.subarray(0, at + 1), ...example.subarray(at)]))
      }
      for (const byte of [0, 10, 32, 0x80, 0xff]) await holds(target, Uint8Array.from([...example, byte]))
    })
  }
})
