// Every reader on every input that was ever kept, and on some thousands more that are nearly right: ARCHITECTURE, invariant 5.
// `npm run fuzz` does the same for as long as one likes.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { toHex } from '../../merkle/index.ts'
import { readCorpus } from './corpus.ts'
import { fuzz, mainThreadTime, outcomeOf, type Target } from './engine.ts'
import { Random } from './random.ts'
import { openTargets } from './targets/index.ts'

/** Counted, and not timed: the same inputs on every machine. About 20 seconds in all on one of those that the promise is for. */
const RUNS = 1200
/** Of targets whose every run is a request, or a policy that another engine compiles. */
const SLOW_RUNS: Readonly<Record<string, number>> = {
  http: 400,
  'http-socket': 60,
  'cedar-policy': 40,
  'cedar-context': 150,
}
const SEED = 20_261_123
/** A shared machine computes slower while the neighbours do. What this is to catch is a shape, not a factor. */
const SLACK = 4

const targets = await openTargets()
after(async () => {
  for (const target of targets) await target.close?.()
})

describe('hostile bytes', () => {
  for (const target of targets) {
    it(`${target.name}: no crash, no difference, no time`, async () => {
      const corpus = readCorpus(target.name)
      const { failures, accepted, runs } = await fuzz(target, {
        random: new Random(SEED, target.name),
        corpus,
        done: (count) => count >= target.seeds.length + corpus.length + (SLOW_RUNS[target.name] ?? RUNS),
        slack: SLACK,
      })
      const said = failures.map(({ shape, message, input }) => `${shape}: ${message}\n${toHex(input.subarray(0, 512))}`)
      assert.deepEqual(said, [])
      assert.ok(accepted > 0, `not one of ${runs} was accepted: the seeds are no longer valid`)
    })
  }
})

describe('the fuzzer itself', () => {
  const base: Target<number> = {
    name: 'made up',
    seeds: [Uint8Array.of(1, 2, 3)],
    mutators: [(input) => input],
    maxBytes: 100,
    codes: [],
    read: ({ length }) => length,
    check: () => '',
  }
  const faults: readonly (readonly [what: string, shape: string, read: (input: Uint8Array) => number])[] = [
    ['an exception of another kind', 'threw TypeError', () => (undefined as unknown as Uint8Array).length],
    [
      'a reader that writes into what it reads',
      'input changed',
      (input) => {
        input[0] = 9
        return 0
      },
    ],
    [
      'a reader that takes too long',
      'slow',
      () => {
        for (const start = mainThreadTime(); mainThreadTime() - start < 10; );
        return 0
      },
    ],
  ]
  for (const [what, shape, read] of faults) {
    it(`finds ${what}`, async () => {
      assert.equal((await outcomeOf({ ...base, read } as Target, Uint8Array.of(1, 2, 3))).shape, shape)
    })
  }

  it('gives the same inputs for the same seed, and the smallest that fails', async () => {
    const seen: string[][] = []
    for (let round = 0; round < 2; round++) {
      const inputs: string[] = []
      seen.push(inputs)
      const { failures } = await fuzz(
        {
          ...base,
          // A slow call would be repeated.
          timeLimit: Number.POSITIVE_INFINITY,
          mutators: [(input, random) => Uint8Array.of(...input, random.below(8))],
          read(input) {
            inputs.push(toHex(input))
            if (input.includes(7)) throw new Error('a seven')
            return 0
          },
        } as Target,
        { random: new Random(5), corpus: [], done: (runs) => runs >= 50 },
      )
      assert.deepEqual(
        failures.map(({ input }) => [...input]),
        [[7]],
      )
    }
    assert.deepEqual(seen[0], seen[1])
  })
})
