/**
 * Package URLs (ECMA-427, package-url/purl-spec) in one spelling, so that two bills of materials which name one package name it alike:
 *
 *     pkg:PYPI/Django_x@1.0?b=2&a=1#/src/../x/   ⇒   pkg:pypi/django-x@1.0?a=1&b=2#src/x
 *     scheme:type/namespace/name@version?qualifiers#subpath
 *
 * What the specification says about all types is kept strictly. Of its rules for single types only those that change a spelling are;
 * whether a registry would have such a package (a namespace where it has none) is not asked, since tools do not ask either.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'

export interface Purl {
  readonly type: string
  /** Segments, none of them empty; none for most types. */
  readonly namespace: readonly string[]
  readonly name: string
  readonly version?: string
  /** By key in code-unit order, each key once, no value empty. */
  readonly qualifiers: readonly (readonly [key: string, value: string])[]
  readonly subpath: readonly string[]
}

/** Longest package URL, in characters, as given and as written by us. */
export const MAX_PURL_LENGTH = 1024

/**
 * Reads a package URL in any of its spellings.
 *
 * @throws {@link ProvenanceError} `malformed_purl`
 */
export function parsePurl(text: string): Purl {
  if (text.length > MAX_PURL_LENGTH) throw refuse(text, 'is too long')
  const [beforeHash, hash] = cutLast(text, '#')
  const [path, query] = cutLast(beforeHash, '?')
  const scheme = /^pkg:\/*/i.exec(path)
  if (!scheme) throw refuse(text, 'does not begin with pkg:')
  const rest = path.slice(scheme[0].length)

  const slash = rest.indexOf('/')
  const type = rest.slice(0, Math.max(0, slash)).toLowerCase()
  if (!/^[a-z][a-z0-9.-]*$/.test(type)) throw refuse(text, 'has no type')
  const [named, rawVersion] = cutVersion(rest.slice(slash + 1))
  // "maven/@1.0" has no name, and must not get the one of its namespace.
  if (named === '' || (rawVersion !== undefined && named.endsWith('/'))) throw refuse(text, 'has no name')
  const segments = named.split('/').filter((segment) => segment !== '')
  const names = segments.map((segment) => decode(segment, text))
  const name = names.pop()
  if (name === undefined) throw refuse(text, 'has no name')
  const version = rawVersion === undefined ? '' : decode(rawVersion, text)
  const qualifiers = query === undefined ? [] : qualifiersOf(query, text)

  const lower = (fold: ReadonlySet<string>, value: string) => (fold.has(type) ? value.toLowerCase() : value)
  return {
    type,
    namespace: names.map((segment) => lower(LOWER_NAMESPACE, segment)),
    name: NAME_RULES[type]?.(lower(LOWER_NAME, name), qualifiers) ?? lower(LOWER_NAME, name),
    ...(version === '' ? {} : { version: lower(LOWER_VERSION, version) }),
    qualifiers,
    subpath: hash === undefined ? [] : subpathOf(hash, text),
  }
}

/** The one spelling. */
export function formatPurl({ type, namespace, name, version, qualifiers, subpath }: Purl): string {
  const query = qualifiers.map(([key, value]) => `${key}=${encode(value)}`).join('&')
  return [
    `pkg:${[type, ...namespace.map(encode), encode(name)].join('/')}`,
    version === undefined ? '' : `@${encode(version)}`,
    query === '' ? '' : `?${query}`,
    subpath.length === 0 ? '' : `#${subpath.map(encode).join('/')}`,
  ].join('')
}

/** A package URL of any spelling in its one. @throws {@link ProvenanceError} `malformed_purl` */
export function canonicalPurl(text: string): string {
  const canonical = formatPurl(parsePurl(text))
  if (canonical.length > MAX_PURL_LENGTH) throw refuse(text, 'is too long')
  return canonical
}

/** A canonical package URL without qualifiers and subpath: one release of a package, for whatever architecture or distribution. */
export function releaseOf(purl: string): string {
  return /^[^?#]*/.exec(purl)![0]
}

/** A canonical package URL without version, qualifiers and subpath: any release. Whatever else is an `@` in it is written `%40`. */
export function packageOf(purl: string): string {
  return /^[^?#@]*/.exec(purl)![0]
}

/** Every key once: of two values readers would take different ones. */
function qualifiersOf(query: string, text: string): [string, string][] {
  const found = new Map<string, string>()
  for (const pair of query.split('&')) {
    const [rawKey, rawValue = ''] = cutFirst(pair, '=')
    const key = rawKey.toLowerCase()
    // Empty pairs and pairs without a value are as if they were not there.
    if (pair === '' || rawValue === '') continue
    if (!/^[a-z.\-_][a-z0-9.\-_]*$/.test(key)) throw refuse(text, `has the qualifier ${JSON.stringify(rawKey)}`)
    if (found.has(key)) throw refuse(text, `has the qualifier ${key} twice`)
    const value = decode(rawValue, text)
    if (value !== '') found.set(key, value)
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1))
}

function subpathOf(hash: string, text: string): string[] {
  const segments = hash.split('/').map((segment) => decode(segment, text))
  if (segments.some((segment) => segment.includes('/'))) throw refuse(text, 'has a "/" within a segment of its subpath')
  return segments.filter((segment) => segment !== '' && segment !== '.' && segment !== '..')
}

/** `name@version`, from the right. An `@` that begins a segment is a scope that somebody forgot to encode, as in `pkg:npm/@babel/core`. */
function cutVersion(path: string): [string, string | undefined] {
  const at = path.lastIndexOf('@')
  const isScope = (at === 0 || path[at - 1] === '/') && path.includes('/', at)
  return at < 0 || isScope ? [path, undefined] : [path.slice(0, at), path.slice(at + 1)]
}

function cutLast(text: string, separator: string): [string, string | undefined] {
  const at = text.lastIndexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function cutFirst(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function decode(part: string, text: string): string {
  // White space and controls would make one line of a report two; the specification has them encoded.
  if (/[\s\p{Cc}]/u.test(part)) throw refuse(text, 'has white space in it')
  try {
    return decodeURIComponent(part)
  } catch {
    throw refuse(text, 'is not percent-encoded UTF-8')
  }
}

/** All but letters, digits, `.-_~` and the colon: what `encodeURIComponent` leaves alone besides is encoded too. */
function encode(part: string): string {
  return encodeURIComponent(part)
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

// Where the type definitions say that case does not matter.
const LOWER_NAMESPACE: ReadonlySet<string> = new Set(
  'alpm apk bitbucket brew composer deb github hex luarocks qpkg rpm vscode-extension yocto'.split(' '),
)
const LOWER_NAME: ReadonlySet<string> = new Set(
  'alpm apk bitbucket bitnami brew chrome-extension composer deb github hex luarocks oci otp pub pypi vscode-extension'.split(
    ' ',
  ),
)
const LOWER_VERSION: ReadonlySet<string> = new Set('huggingface oci pypi vscode-extension'.split(' '))

const NAME_RULES: {
  readonly [type: string]: ((name: string, qualifiers: Purl['qualifiers']) => string) | undefined
} = Object.assign(Object.create(null) as object, {
  // Registries of Databricks pass over case, those of Azure do not.
  mlflow: (name: string, qualifiers: Purl['qualifiers']) =>
    qualifiers.some(([key, value]) => key === 'repository_url' && /databricks/i.test(value))
      ? name.toLowerCase()
      : name,
  pypi: (name: string) => name.replaceAll('_', '-'),
  pub: (name: string) => name.replace(/[^a-z0-9]/g, '_'),
})

function refuse(text: string, why: string): ProvenanceError {
  return new ProvenanceError('malformed_purl', `${JSON.stringify(text.slice(0, 80))} ${why}`)
}
