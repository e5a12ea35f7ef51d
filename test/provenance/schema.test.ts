import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ProvenanceError } from '../../provenance/index.ts'
import {
  bool,
  bytes,
  dictionary,
  type Infer,
  list,
  map,
  oneOf,
  refine,
  type Schema,
  text,
  uint,
} from '../../provenance/schema.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../statement/index.ts'

const part = map({ required: { name: text({ max: 8 }) }, optional: { size: uint({ min: 1 }) } })
const whole = map({
  required: {
    kind: oneOf('a', 'b'),
    parts: list(part, { min: 1, max: 2 }),
    digest: bytes(4),
    blob: bytes({ max: 3 }),
    open: bool(),
    words: dictionary(text({ max: 4 }), { max: 2 }),
  },
  optional: { notes: text({ lines: true }) },
})
const honest: Infer<typeof whole> = {
  kind: 'b',
  parts: [{ name: 'one' }, { name: 'two', size: 2 }],
  digest: Uint8Array.of(1, 2, 3, 4),
  blob: Uint8Array.of(9),
  open: false,
  words: new Map([['k', 'v']]),
  notes: 'two\nlines',
}

describe('a schema', () => {
  it('reads back what it writes, through bytes', () => {
    const value = decodeCbor(encodeCbor(whole.encode(honest)))
    assert.deepEqual(whole.decode(value, ''), honest)
  })

  it('reads back anything that it describes', () => {
    const parts = fc.array(
      fc.record(
        { name: fc.stringMatching(/^[a-z]{1,8}$/), size: fc.integer({ min: 1 }) },
        { requiredKeys: ['name'], noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 2 },
    )
    fc.assert(
      fc.property(parts, fc.boolean(), (parts, open) => {
        const value = { ...honest, parts, open }
        assert.deepEqual({ ...whole.decode(decodeCbor(encodeCbor(whole.encode(value))), '') }, value)
      }),
      { numRuns: 50 },
    )
  })

  // Each case is the honest value changed in one place, with the path that the message must begin with.
  const refused: [what: string, path: string, key: string, value: CborValue | undefined][] = [
    ['a word that is not in the list', 'kind', 'kind', 'c'],
    ['a number for a word', 'kind', 'kind', 1],
    ['nothing for something required', 'kind', 'kind', undefined],
    ['null for something optional', 'notes', 'notes', null],
    ['a map for a list', 'parts', 'parts', new Map()],
    ['too few elements', 'parts', 'parts', []],
    ['too many elements', 'parts', 'parts', [0, 1, 2].map(() => new Map([['name', 'x']]))],
    ['an element of another shape', 'parts[0]', 'parts', ['x']],
    ['a missing key inside of an element', 'parts[1].name', 'parts', [new Map([['name', 'x']]), new Map()]],
    [
      'a key that is unknown',
      'parts[0]',
      'parts',
      [
        new Map<string, CborValue>([
          ['name', 'x'],
          ['more', 1],
        ]),
      ],
    ],
    [
      'a key that is a number',
      'parts[0]',
      'parts',
      [
        new Map<string | number, CborValue>([
          ['name', 'x'],
          [1, 1],
        ]),
      ],
    ],
    [
      'a key that every JavaScript object has',
      'parts[0]',
      'parts',
      [
        new Map<string, CborValue>([
          ['name', 'x'],
          ['constructor', 1],
        ]),
      ],
    ],
    ['text that is empty', 'parts[0].name', 'parts', [new Map([['name', '']])]],
    ['text that is too long', 'parts[0].name', 'parts', [new Map([['name', 'x'.repeat(9)]])]],
    ['text of two lines', 'parts[0].name', 'parts', [new Map([['name', 'a\nb']])]],
    ['text with a terminal escape', 'parts[0].name', 'parts', [new Map([['name', '\u001b[2J']])]],
    ['bytes for text', 'parts[0].name', 'parts', [new Map([['name', Uint8Array.of(97)]])]],
    [
      'an integer that is too small',
      'parts[0].size',
      'parts',
      [
        new Map<string, CborValue>([
          ['name', 'x'],
          ['size', 0],
        ]),
      ],
    ],
    [
      'an integer that is negative',
      'parts[0].size',
      'parts',
      [
        new Map<string, CborValue>([
          ['name', 'x'],
          ['size', -1],
        ]),
      ],
    ],
    [
      'text for an integer',
      'parts[0].size',
      'parts',
      [
        new Map<string, CborValue>([
          ['name', 'x'],
          ['size', '1'],
        ]),
      ],
    ],
    ['too few bytes', 'digest', 'digest', Uint8Array.of(1, 2, 3)],
    ['too many bytes', 'digest', 'digest', Uint8Array.of(1, 2, 3, 4, 5)],
    ['text for bytes', 'digest', 'digest', 'abcd'],
    ['bytes that are empty', 'blob', 'blob', new Uint8Array()],
    ['bytes past the most', 'blob', 'blob', new Uint8Array(4)],
    ['a number for true or false', 'open', 'open', 0],
    ['an array for a dictionary', 'words', 'words', []],
    [
      'too many words',
      'words',
      'words',
      new Map([
        ['a', 'x'],
        ['b', 'x'],
        ['c', 'x'],
      ]),
    ],
    ['an empty word', 'a key of words', 'words', new Map([['', 'x']])],
    ['a word that is a number', 'a key of words', 'words', new Map([[1, 'x']])],
    ['a word for too long a text', 'words.a', 'words', new Map([['a', 'xxxxx']])],
  ]
  for (const [what, path, key, value] of refused) {
    it(`refuses ${what}, and says where`, () => {
      const changed = new Map(whole.encode(honest) as ReadonlyMap<string, CborValue>)
      if (value === undefined) changed.delete(key)
      else changed.set(key, value)
      assert.throws(
        () => whole.decode(changed, ''),
        (error) =>
          error instanceof ProvenanceError && error.code === 'malformed_record' && error.message.startsWith(`${path} `),
      )
    })
  }

  it('refuses whatever is no map at all', () => {
    for (const value of [null, 1, '', [], Uint8Array.of(1)]) {
      assert.throws(() => whole.decode(value, 'here'), { code: 'malformed_record', message: 'here must be a map' })
    }
  })

  it('bounds the stray key that it quotes', () => {
    const changed = new Map(whole.encode(honest) as ReadonlyMap<string, CborValue>).set('x'.repeat(100_000), 1)
    assert.throws(
      () => whole.decode(changed, ''),
      (error: Error) => error.message.length < 120,
    )
  })
})

describe('refine', () => {
  const even: Schema<number> = refine(uint(), (value) => {
    if (value % 2 === 1) throw new ProvenanceError('malformed_identifier', 'odd')
    if (value === 4) throw new TypeError('a bug')
  })

  it('keeps the reason for which it refuses, as the cause', () => {
    assert.equal(even.decode(2, 'n'), 2)
    assert.equal(even.encode(2), 2)
    assert.throws(
      () => even.decode(3, 'n'),
      (error: Error) =>
        (error as ProvenanceError).code === 'malformed_record' &&
        (error.cause as ProvenanceError).code === 'malformed_identifier',
    )
  })

  it('does not take a bug of ours for a bad value of theirs', () => {
    assert.throws(() => even.decode(4, 'n'), TypeError)
  })
})
