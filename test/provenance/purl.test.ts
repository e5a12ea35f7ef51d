import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalPurl, formatPurl, packageOf, parsePurl, releaseOf } from '../../provenance/workload/purl.ts'

describe('canonicalPurl', () => {
  // One spelling for what the specification and its type definitions say is one thing.
  const spellings: [given: string, canonical: string][] = [
    ['pkg:npm/express@5.0.0', 'pkg:npm/express@5.0.0'],
    ['PKG://NPM//express/@5.0.0'.replace('/@', '@'), 'pkg:npm/express@5.0.0'],
    ['pkg:npm/@babel/core@7', 'pkg:npm/%40babel/core@7'],
    ['pkg:npm/@babel/core', 'pkg:npm/%40babel/core'],
    ['pkg:npm/%40babel%2Fcore@7', 'pkg:npm/%40babel%2Fcore@7'],
    ['pkg:npm/JSONStream@1', 'pkg:npm/JSONStream@1'],
    ['pkg:PyPI/Django_Package@1.11.DEV1', 'pkg:pypi/django-package@1.11.dev1'],
    ['pkg:GitHub/Package-URL/Purl-Spec@ABC', 'pkg:github/package-url/purl-spec@ABC'],
    ['pkg:deb/Debian/Curl@7.50.3-1?distro=jessie&arch=i386', 'pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie'],
    ['pkg:rpm/Fedora/Curl@7', 'pkg:rpm/fedora/Curl@7'],
    ['pkg:maven/g/a@1.0 Final'.replace(' ', '%20'), 'pkg:maven/g/a@1.0%20Final'],
    ['pkg:maven/g/a?repository_url=repo.spring.io/release', 'pkg:maven/g/a?repository_url=repo.spring.io%2Frelease'],
    ['pkg:oci/app@sha256%3aAB?Tag=', 'pkg:oci/app@sha256:ab'],
    ['pkg:golang/google.golang.org/genproto@a#/x/../y/./', 'pkg:golang/google.golang.org/genproto@a#x/y'],
    ['pkg:deb/debian/attr@1:2.4+b1', 'pkg:deb/debian/attr@1:2.4%2Bb1'],
    ["pkg:generic/it's(a)*!", 'pkg:generic/it%27s%28a%29%2A%21'],
    ['pkg:generic/na%C3%AFve', 'pkg:generic/na%C3%AFve'],
    ['pkg:generic/a@1/2', 'pkg:generic/a@1%2F2'],
    ['pkg:mlflow/Fraud@3?repository_url=a.Databricks.net', 'pkg:mlflow/fraud@3?repository_url=a.Databricks.net'],
    ['pkg:mlflow/Fraud@3?repository_url=a.azureml.ms', 'pkg:mlflow/Fraud@3?repository_url=a.azureml.ms'],
    ['pkg:mlflow/Fraud@3', 'pkg:mlflow/Fraud@3'],
  ]
  for (const [given, canonical] of spellings) {
    it(`writes ${given} as ${canonical}`, () => {
      assert.equal(canonicalPurl(given), canonical)
      assert.equal(canonicalPurl(canonical), canonical)
    })
  }

  const refused = [
    '',
    'npm/a',
    'pkg:npm',
    'pkg:/a',
    'pkg:npm/',
    'pkg:npm/@1',
    'pkg:swift/github.com/a/@1',
    'pkg:3d/a',
    'pkg:n&g/a',
    'pkg:__proto__/a',
    'pkg%3Anpm/a',
    'pkg:npm/a%',
    'pkg:npm/a%ff',
    'pkg:npm/a b',
    'pkg:npm/a\n@1',
    'pkg:npm/a?in%20x=1',
    'pkg:npm/a?x=1&X=2',
    'pkg:npm/a#b%2Fc',
    `pkg:npm/${'a'.repeat(1020)}`,
    `pkg:npm/${'+'.repeat(400)}`,
  ]
  for (const given of refused) {
    it(`refuses ${JSON.stringify(given.slice(0, 40))}`, () => {
      assert.throws(() => canonicalPurl(given), { code: 'malformed_purl' })
    })
  }

  it('gives every package URL back that it writes', () => {
    const word = fc.string({ minLength: 1, maxLength: 8, unit: 'binary' })
    const parts = fc.record({
      type: fc.constantFrom('npm', 'generic', 'golang'),
      namespace: fc.array(word, { maxLength: 3 }),
      name: word,
      version: word,
      qualifiers: fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z][a-z.]{0,4}$/), word), {
        selector: ([key]) => key,
        maxLength: 3,
      }),
      subpath: fc.array(
        word.filter((segment) => !segment.includes('/') && segment !== '.' && segment !== '..'),
        { maxLength: 3 },
      ),
    })
    fc.assert(
      fc.property(parts, (given) => {
        const purl = { ...given, qualifiers: given.qualifiers.toSorted(([a], [b]) => (a < b ? -1 : 1)) }
        const text = formatPurl(purl)
        assert.deepEqual(parsePurl(text), purl)
        assert.equal(
          packageOf(text),
          formatPurl({ type: purl.type, namespace: purl.namespace, name: purl.name, qualifiers: [], subpath: [] }),
        )
      }),
    )
  })
})

describe('packageOf and releaseOf', () => {
  it('leave out version, qualifiers and subpath', () => {
    const packages: [string, string, string][] = [
      ['pkg:npm/express@5.0.0', 'pkg:npm/express', 'pkg:npm/express@5.0.0'],
      ['pkg:npm/%40scope/name@1.2?arch=x#lib', 'pkg:npm/%40scope/name', 'pkg:npm/%40scope/name@1.2'],
      ['pkg:golang/github.com/a/b@v1#sub/dir', 'pkg:golang/github.com/a/b', 'pkg:golang/github.com/a/b@v1'],
      ['pkg:deb/debian/curl?distro=x', 'pkg:deb/debian/curl', 'pkg:deb/debian/curl'],
    ]
    for (const [purl, anyVersion, release] of packages)
      assert.deepEqual([packageOf(purl), releaseOf(purl)], [anyVersion, release])
  })
})
