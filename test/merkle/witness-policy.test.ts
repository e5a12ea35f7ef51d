import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { concatBytes, utf8 } from '../../merkle/bytes.ts'
import { openCheckpoint, signCheckpoint } from '../../merkle/checkpoint.ts'
import { createCosigner } from '../../merkle/cosignature.ts'
import { MerkleError } from '../../merkle/error.ts'
import { sha256 } from '../../merkle/hash.ts'
import { createNoteSigner, formatSignatureLine, type NoteSigner } from '../../merkle/note.ts'
import { checkQuorum, parseWitnessPolicy, policyLog } from '../../merkle/witness-policy.ts'
import { mutations } from './mutations.ts'

const origin = 'log.example'
const root = sha256(utf8('root'))
const seedOf = (text: string) => sha256(utf8(text))
const log = createNoteSigner(origin, seedOf('log'))
const witness = (name: string, time = 1000) => createCosigner(`${name}.example`, seedOf(name), () => time)
const vkeyOf = (name: string) => witness(name).vkey
const checkpoint = (...signers: NoteSigner[]) => signCheckpoint({ origin, size: 5, root }, [log, ...signers])
const names = (text: string) => text.split(' ').filter((name) => name !== '')
const cosigned = (by: string) => checkpoint(...names(by).map((name) => witness(name)))

/** The example of c2sp.org/tlog-policy, with keys. */
const example = [
  `log ${log.vkey}`,
  '',
  ...['X1', 'X2', 'X3'].map((name) => `witness ${name} ${vkeyOf(name)}`),
  'group X-witnesses 2 X1 X2 X3',
  '',
  ...['Y1', 'Y2', 'Y3'].map((name) => `witness ${name} ${vkeyOf(name)} https://${name}.example/`),
  'group Y-witnesses any Y1 Y2 Y3',
  '',
  'group X-and-Y all X-witnesses Y-witnesses',
  'quorum X-and-Y',
  '',
].join('\n')

const malformed = { name: 'EvidenceError', code: 'malformed_policy' }

describe('checkQuorum', () => {
  const policy = parseWitnessPolicy(example)

  for (const by of ['X1 X2 Y1', 'X1 X3 Y3', 'X1 X2 X3 Y1 Y2 Y3', 'Y2 X3 X2']) {
    it(`accepts two of X and one of Y: ${by}`, () => {
      assert.deepEqual(
        checkQuorum(policy, cosigned(by)).map(({ witness: name }) => name),
        names(by),
      )
    })
  }
  for (const by of ['', 'X1', 'X1 X2', 'X1 X2 X3', 'X1 Y1', 'Y1 Y2 Y3', 'X1 X1 Y1']) {
    it(`refuses less: ${by || 'nobody'} (quorum_not_met)`, () => {
      assert.throws(() => checkQuorum(policy, cosigned(by)), { name: 'EvidenceError', code: 'quorum_not_met' })
    })
  }

  it('does not count strangers, nor a log as a witness', () => {
    const strangers = cosigned('Z1 Z2 Z3')
    assert.throws(() => checkQuorum(policy, strangers), { code: 'quorum_not_met' })
  })

  it('counts one witness once, however often it cosigned, and returns each time', () => {
    const twice = checkpoint(witness('X1', 7), witness('X1', 8), witness('Y1'))
    assert.throws(() => checkQuorum(policy, twice), { code: 'quorum_not_met' })
    const enough = checkpoint(witness('X1', 7), witness('X1', 8), witness('X2'), witness('Y1'))
    assert.deepEqual(checkQuorum(policy, enough).slice(0, 2), [
      { witness: 'X1', cosignedAt: 7 },
      { witness: 'X1', cosignedAt: 8 },
    ])
  })

  it('refuses a note on which a witness’s line does not verify, even one that is not needed (bad_signature)', () => {
    const { name, keyId } = witness('X3')
    const bad = formatSignatureLine({ name, keyId, signature: new Uint8Array(72).fill(1) })
    assert.throws(() => checkQuorum(policy, cosigned('X1 X2 Y1') + bad), { code: 'bad_signature' })
  })

  it('refuses a cosignature moved from another checkpoint (bad_signature)', () => {
    const other = signCheckpoint({ origin, size: 6, root }, [log, ...names('X1 X2 Y1').map((name) => witness(name))])
    const lines = other
      .slice(other.indexOf('\n\n') + 2)
      .split('\n')
      .slice(1)
      .join('\n')
    assert.throws(() => checkQuorum(policy, checkpoint() + lines), { code: 'bad_signature' })
  })

  it('with `quorum none` accepts what the log alone signed, and still refuses lines that do not verify', () => {
    const none = parseWitnessPolicy(example.replace('quorum X-and-Y', 'quorum none'))
    assert.deepEqual(checkQuorum(none, checkpoint()), [])
    assert.equal(checkQuorum(none, cosigned('X1')).length, 1)
  })

  it('takes a witness as the quorum', () => {
    const one = parseWitnessPolicy(`witness w ${vkeyOf('X1')}\nquorum w`)
    assert.equal(checkQuorum(one, cosigned('X1')).length, 1)
    assert.throws(() => checkQuorum(one, cosigned('X2')), { code: 'quorum_not_met' })
  })

  it('agrees with counting, for every set of cosigners of every threshold of four', () => {
    const four = names('A B C D')
    const notes = Array.from({ length: 16 }, (_, set) => four.filter((_name, bit) => (set >> bit) % 2 === 1))
    for (const threshold of ['any', '1', '2', '3', '4', 'all']) {
      const lines = four.map((name) => `witness ${name} ${vkeyOf(name)}`)
      const text = [...lines, `group g ${threshold} A B C D`, 'quorum g'].join('\n')
      const parsed = parseWitnessPolicy(text)
      const needed = { any: 1, all: 4 }[threshold] ?? Number(threshold)
      for (const set of notes) {
        const check = () => checkQuorum(parsed, cosigned(set.join(' ')))
        if (set.length >= needed) check()
        else assert.throws(check, { code: 'quorum_not_met' })
      }
    }
  })
})

describe('openCheckpoint with a policy', () => {
  const policy = parseWitnessPolicy(example)

  it('asks the log and the witnesses', () => {
    const opened = openCheckpoint(cosigned('X1 X2 Y1'), policyLog(policy, origin), policy)
    assert.deepEqual(opened.cosignatures.at(-1), { witness: 'Y1', cosignedAt: 1000 })
    assert.throws(() => openCheckpoint(cosigned('X1 Y1'), policyLog(policy, origin), policy), {
      code: 'quorum_not_met',
    })
  })

  it('does not take witnesses for the log (unknown_signer)', () => {
    const unsigned = signCheckpoint(
      { origin, size: 5, root },
      names('X1 X2 Y1').map((name) => witness(name)),
    )
    assert.throws(() => openCheckpoint(unsigned, policyLog(policy, origin), policy), { code: 'unknown_signer' })
  })

  it('knows no log that the policy does not list (wrong_origin)', () => {
    assert.throws(() => policyLog(policy, 'other.example'), { name: 'EvidenceError', code: 'wrong_origin' })
  })
})

describe('parseWitnessPolicy', () => {
  const w = (name: string, rest = '') => `witness ${name} ${vkeyOf(name)}${rest}`
  const quorum = 'quorum none'

  it('reads the example of c2sp.org/tlog-policy', () => {
    const { logs, witnesses, groups, quorum: top } = parseWitnessPolicy(example)
    assert.deepEqual(
      logs.map(({ verifier, url }) => [verifier.name, url]),
      [[origin, undefined]],
    )
    assert.deepEqual(
      witnesses.map(({ name }) => name),
      names('X1 X2 X3 Y1 Y2 Y3'),
    )
    assert.deepEqual(witnesses[3]!.url, 'https://Y1.example/')
    assert.deepEqual(groups, [
      { name: 'X-witnesses', threshold: 2, members: names('X1 X2 X3') },
      { name: 'Y-witnesses', threshold: 1, members: names('Y1 Y2 Y3') },
      { name: 'X-and-Y', threshold: 2, members: names('X-witnesses Y-witnesses') },
    ])
    assert.equal(top, 'X-and-Y')
  })

  it('takes blanks, tabs and comments of any bytes, and a last line without a line feed', () => {
    const text = `\n \t\n# comment\n\t # another ø\n\tlog\t ${log.vkey}\t\thttps://log.example/ \nquorum\tnone`
    assert.equal(parseWitnessPolicy(text).logs[0]!.url, 'https://log.example/')
    assert.equal(
      parseWitnessPolicy(concatBytes(utf8('#'), Uint8Array.of(0xff, 0xfe), utf8(`\n${quorum}`))).quorum,
      undefined,
    )
  })

  it('takes 32 logs, 32 witnesses and 32 groups, and more', () => {
    for (const count of [32, 200]) {
      const lines = Array.from({ length: count }, (_, i) => [
        `log ${createNoteSigner(`log-${i}`, seedOf(`log-${i}`)).vkey}`,
        w(`w${i}`),
        `group g${i} any w${i}${i > 0 ? ` g${i - 1}` : ''}`,
      ])
      const parsed = parseWitnessPolicy([...lines.flat(), `quorum g${count - 1}`].join('\n'))
      assert.deepEqual([parsed.logs.length, parsed.witnesses.length, parsed.groups.length], [count, count, count])
      assert.equal(checkQuorum(parsed, cosigned('w0')).length, 1, 'through every group')
    }
  })

  it('takes one key as a log and as a witness, and one log under two keys', () => {
    const lines = [`log ${log.vkey}`, `log ${createNoteSigner(origin, seedOf('next')).vkey}`]
    const self = createCosigner(origin, seedOf('log'), () => 1).vkey
    const parsed = parseWitnessPolicy([...lines, `witness self ${self}`, quorum].join('\n'))
    assert.equal(policyLog(parsed, origin).verifiers.length, 2)
  })

  const same = createCosigner('another-name', seedOf('A'), () => 1).vkey
  const refused: [what: string, lines: string[]][] = [
    ['no quorum', [w('A')]],
    ['nothing', []],
    ['two quorums', [quorum, quorum]],
    ['a quorum of an unknown name', ['quorum A']],
    ['a quorum defined later', ['quorum A', w('A')]],
    ['a quorum of a log', [`log ${log.vkey}`, `quorum ${origin}`]],
    ['a quorum of two names', [w('A'), w('B'), 'quorum A B']],
    ['a quorum without a name', ['quorum']],
    ['a member defined later', ['group g any A', w('A'), quorum]],
    ['a group in itself', ['group g any g', quorum]],
    ['a member twice in one group', [w('A'), 'group g any A A', quorum]],
    ['a member of two groups', [w('A'), 'group g any A', 'group h any A', quorum]],
    ['none as a member', [w('A'), 'group g any A none', quorum]],
    ['none as the name of a witness', [w('A').replace('witness A', 'witness none'), quorum]],
    ['none as the name of a group', [w('A'), 'group none any A', quorum]],
    ['two witnesses of one name', [w('A'), w('B').replace('witness B', 'witness A'), quorum]],
    ['a group named as a witness', [w('A'), w('B'), 'group A any B', quorum]],
    ['one witness key under two names', [w('A'), `witness B ${same}`, quorum]],
    ['one log key under two names', [`log ${log.vkey}`, `log ${createNoteSigner('b', seedOf('log')).vkey}`, quorum]],
    ['a witness with a log’s key type', [`witness A ${log.vkey}`, quorum]],
    ['a threshold of 0', [w('A'), 'group g 0 A', quorum]],
    ['a threshold above the members', [w('A'), 'group g 2 A', quorum]],
    ['a threshold with a leading zero', [w('A'), 'group g 01 A', quorum]],
    ['a threshold with a sign', [w('A'), 'group g +1 A', quorum]],
    ['a threshold that is a word', [w('A'), 'group g most A', quorum]],
    ['a group without members', ['group g any', quorum]],
    ['a witness without a key', ['witness A', quorum]],
    ['a witness with four fields', [w('A', ' https://a.example/ more'), quorum]],
    ['a log without a key', ['log', quorum]],
    ['a log with three fields', [`log ${log.vkey} https://log.example/ more`, quorum]],
    ['a comment behind a line', [`${quorum} # none`]],
    ['a keyword in capitals', ['Quorum none']],
    ['another keyword', ['threshold 3', quorum]],
    ['a carriage return', [`${quorum}\r`]],
    ['a NUL', [`# \0`, quorum]],
    ['a DEL', [`# \x7f`, quorum]],
  ]
  for (const [what, lines] of refused) {
    it(`refuses ${what} (malformed_policy)`, () => {
      assert.throws(() => parseWitnessPolicy(lines.map((line) => `${line}\n`).join('')), malformed)
    })
  }

  it('refuses names that are not UTF-8, and texts past the cap (malformed_policy)', () => {
    assert.throws(() => parseWitnessPolicy(concatBytes(utf8('quorum '), Uint8Array.of(0xff))), malformed)
    assert.throws(() => parseWitnessPolicy(`${quorum}\n${'#'.repeat(0x100000)}`), malformed)
  })

  it('refuses keys that it cannot read or must not trust', () => {
    assert.throws(() => parseWitnessPolicy('log nonsense\nquorum none\n'), { code: 'malformed_vkey' })
    const weak = 'weak+00000000+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    assert.throws(() => parseWitnessPolicy(`witness w ${weak}\nquorum none\n`), { name: 'EvidenceError' })
  })

  it('throws nothing but EvidenceErrors, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), mutations(example)), (text) => {
        try {
          const { groups, quorum: top, witnesses } = parseWitnessPolicy(text)
          const defined = new Set([...witnesses, ...groups].map(({ name }) => name))
          assert.ok(top === undefined || defined.has(top))
          assert.ok(groups.every(({ threshold, members }) => threshold >= 1 && threshold <= members.length))
        } catch (error) {
          assert.ok(error instanceof MerkleError, String(error))
          assert.ok(['malformed_policy', 'malformed_vkey', 'unsupported_key'].includes(error.code), error.code)
        }
      }),
      { numRuns: 300 },
    )
  })
})
