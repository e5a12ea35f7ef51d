import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex, utf8 } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import { readSbom } from '../../provenance/components.ts'
import { packageOf } from '../../provenance/issuance-facts.ts'

const read = (document: object) => readSbom(utf8(JSON.stringify(document)))
const bom = { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber: 'urn:uuid:1' }

describe('readSbom', () => {
  it('collects package URLs from CycloneDX, nested ones too, once each', () => {
    const document = {
      ...bom,
      metadata: { component: { purl: 'pkg:oci/payments@1' } },
      components: [
        { name: 'a', purl: 'pkg:npm/b@1', components: [{ purl: 'pkg:npm/a@1' }, { name: 'no purl' }] },
        { purl: 'pkg:npm/b@1' },
      ],
    }
    assert.deepEqual(read(document), {
      format: 'CycloneDX',
      specVersion: '1.6',
      serialNumber: 'urn:uuid:1',
      digest: sha256(utf8(JSON.stringify(document))),
      components: ['pkg:npm/a@1', 'pkg:npm/b@1', 'pkg:oci/payments@1'],
    })
  })

  it('collects package URLs from SPDX', () => {
    const sbom = read({
      spdxVersion: 'SPDX-2.3',
      documentNamespace: 'https://spdx.example/1',
      packages: [
        { externalRefs: [{ referenceType: 'purl', referenceLocator: 'pkg:pypi/x@2' }, { referenceType: 'cpe23Type' }] },
        {},
      ],
    })
    assert.deepEqual([sbom.format, sbom.specVersion, sbom.components], ['SPDX', '2.3', ['pkg:pypi/x@2']])
  })

  it('is bound to the exact bytes', () => {
    const text = JSON.stringify(bom)
    assert.notEqual(toHex(readSbom(utf8(text)).digest), toHex(readSbom(utf8(`${text}\n`)).digest))
  })

  const refused: [what: string, document: object][] = [
    ['another format', { swid: 1 }],
    ['another version', { ...bom, specVersion: '2.0' }],
    ['components that are no list', { ...bom, components: {} }],
    ['a component that is no object', { ...bom, components: ['a'] }],
    ['a component whose package URL is none', { ...bom, components: [{ purl: 'npm:a' }] }],
    ['a package URL with white space', { ...bom, components: [{ purl: 'pkg:npm/a @1' }] }],
    ['SPDX 3', { spdxVersion: 'SPDX-3.0' }],
  ]
  for (const [what, document] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => read(document), { code: 'malformed_sbom' }))
  }

  it('refuses what is not JSON, and JSON with duplicate members', () => {
    for (const text of ['', 'bom', '{"bomFormat":"CycloneDX","bomFormat":"CycloneDX","specVersion":"1.6"}']) {
      assert.throws(() => readSbom(utf8(text)), { code: 'malformed_sbom' })
    }
  })
})

describe('packageOf', () => {
  it('leaves out version, qualifiers and subpath', () => {
    const packages: [string, string][] = [
      ['pkg:npm/express@5.0.0', 'pkg:npm/express'],
      ['pkg:npm/%40scope/name@1.2?arch=x#lib', 'pkg:npm/%40scope/name'],
      ['pkg:npm/@scope/name@1.2', 'pkg:npm/@scope/name'],
      ['pkg:golang/github.com/a/b@v1#sub/dir', 'pkg:golang/github.com/a/b'],
      ['pkg:deb/debian/curl?distro=x', 'pkg:deb/debian/curl'],
      ['pkg:generic/openssl', 'pkg:generic/openssl'],
    ]
    for (const [purl, expected] of packages) assert.equal(packageOf(purl), expected)
  })
})
