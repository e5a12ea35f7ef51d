/**
 * Text that is nearly right: what the properties of parsers feed on, since random text never gets past the first line.
 *
 * @module
 */
import fc from 'fast-check'

const insertions = ['', ' ', '\n', '\n\n', '\t', '\r', '\0', '+', '=', '0', '-', '—', 'A', '/', 'é', '\ud800', '.', '#']

/** `text` with up to four pieces cut out, doubled, or replaced by something that means something to a parser. */
export function mutations(text: string): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.nat({ max: text.length }),
    length: fc.oneof(fc.constant(0), fc.constant(1), fc.nat({ max: 50 })),
    insert: fc.oneof(fc.constantFrom(...insertions), fc.string({ maxLength: 3 })),
    double: fc.boolean(),
  })
  return fc.array(edit, { maxLength: 4 }).map((edits) =>
    edits.reduce((current, { at, length, insert, double }) => {
      const cut = current.slice(at, at + length)
      return current.slice(0, at) + insert + (double ? cut + cut : '') + current.slice(at + length)
    }, text),
  )
}
