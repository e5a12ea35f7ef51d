/**
 * Versions as text that sorts as the versions do, so that a database can compare them.
 *
 *     1.2.0-rc.1  <  1.2  =  1.2.0  =  v1.2+build.7  <  1.2.0.post1  <  1.2.1  <  1.10
 *
 * The order is that of Semantic Versioning 2.0.0 §11, stretched over what others write: any number of numbers, zeros at the end that
 * do not count, `rc1` and `.dev3` as Python has them (PEP 440), `1.0-SNAPSHOT` and `1.0.RELEASE`. Where distributions number their own
 * builds (`1.2-3` of deb, rpm, apk, alpm) what follows the hyphen comes after, an epoch before the colon counts first, and only `~` comes before.
 *
 * What does not begin with a number has no order: a hash, `latest`. It gets none rather than a wrong one.
 *
 * @module
 */

/** Types of package URLs whose versions end with the build of a distribution. */
const DISTRIBUTIONS: ReadonlySet<string> = new Set(['deb', 'rpm', 'apk', 'alpm'])
/** Words that say that it is the release, or something after it. */
const AFTER = /^[-._]?(post|p|pl|patch|sp|rev|r|final|ga|release)(?![a-z])/i
/** Longest version that is compared, in characters. */
const MAX_LENGTH = 128

// What comes next in a version, from the lowest to the highest.
const BEFORE_RELEASE = '1'
const END_OF_PRE = '2'
const RELEASE = '5'
const AFTER_RELEASE = '7'
const NUMBER = '9'

/** @param type - of the package URL: how its versions are read */
export function versionKey(version: string, type?: string): string | undefined {
  if (version.length > MAX_LENGTH) return undefined
  const own = type !== undefined && DISTRIBUTIONS.has(type)
  const [, epoch = '0', text = ''] = /^(?:(\d{1,9}):)?(.*)$/s.exec(version)!
  const match = /^[v=]?(\d+(?:\.\d+)*)(.*)$/is.exec(text)
  if (!match) return undefined
  const numbers = match[1]!.split('.')
  while (numbers.length > 1 && /^0+$/.test(numbers.at(-1)!)) numbers.pop()
  return [number(epoch), ...numbers.map(number), suffix(match[2]!, own)].join('')
}

function suffix(text: string, own: boolean): string {
  // Build metadata does not count; distributions know none, and write a + in the version itself.
  const rest = own ? text : text.split('+')[0]!
  if (rest === '') return RELEASE
  if (own)
    return rest.startsWith('~') ? BEFORE_RELEASE + identifiers(rest) + END_OF_PRE : AFTER_RELEASE + identifiers(rest)
  const after = AFTER.exec(rest)
  if (!after) return BEFORE_RELEASE + identifiers(rest) + END_OF_PRE
  const word = after[1]!.toLowerCase()
  if (word === 'final' || word === 'ga' || word === 'release') return RELEASE
  return AFTER_RELEASE + identifiers(rest.slice(after[0].length))
}

/** Numbers before words, as §11.4.3 has it; `dev` before all words (PEP 440). Each ends before any that it is the beginning of. */
function identifiers(text: string): string {
  const found = text.toLowerCase().match(/\d+|[a-z]+/g) ?? []
  return found.map((each) => (/^\d/.test(each) ? `3${digits(each)}` : each === 'dev' ? '1' : `4${each} `)).join('')
}

function number(text: string): string {
  return NUMBER + digits(text)
}

/** How many digits, and then the digits. */
function digits(text: string): string {
  const significant = text.replace(/^0+(?=\d)/, '')
  return String(significant.length).padStart(3, '0') + significant
}
