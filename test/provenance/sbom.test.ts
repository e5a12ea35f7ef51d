import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromHex, toHex, utf8 } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import { MAX_COMPONENTS } from '../../provenance/workload/component-index.ts'
import { readSbom } from '../../provenance/workload/sbom.ts'

const read = (document: object) => readSbom(utf8(JSON.stringify(document)))
const bom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  serialNumber: 'urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79',
}
const DIGEST = 'ab'.repeat(32)

describe('readSbom, of CycloneDX', () => {
  it('collects components, nested ones too, once each: by package URL, else by name and version', () => {
    const document = {
      ...bom,
      metadata: {
        component: { type: 'application', name: 'payments', purl: 'pkg:oci/payments@1' },
        tools: { components: [{ name: 'tool', purl: 'pkg:npm/tool@1' }] },
      },
      components: [
        {
          type: 'library',
          name: 'b',
          purl: 'pkg:npm/b@1',
          components: [
            { type: 'library', name: 'a', purl: 'pkg:npm/a@1' },
            { type: 'library', name: 'no purl' },
          ],
        },
        { type: 'library', name: 'b', purl: 'pkg:NPM/b@1', cpe: 'cpe:2.3:a:Example:b:1:*:*:*:*:*:*:*' },
        {
          type: 'library',
          group: 'g',
          name: 'c',
          version: '2',
          purl: '',
          pedigree: { ancestors: [{ purl: 'pkg:npm/old@1' }] },
        },
      ],
      services: [{ name: 'elsewhere' }],
    }
    assert.deepEqual(read(document), {
      format: 'CycloneDX',
      specVersion: '1.6',
      serialNumber: 'urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79',
      digest: sha256(utf8(JSON.stringify(document))),
      subjects: [],
      components: ['pkg:npm/a@1', 'pkg:npm/b@1', 'pkg:oci/payments@1'],
      others: [{ name: 'g/c', version: '2' }, { name: 'no purl' }],
      cpes: ['cpe:2.3:a:example:b:1:*:*:*:*:*:*:*'],
    })
  })

  it('says of vulnerabilities what the document says, each once, and nothing of one without a name', () => {
    const vulnerabilities = [
      { id: 'GHSA-b', ratings: [{ severity: 'high' }] },
      { id: 'CVE-2021-44228', analysis: { state: 'not_affected', detail: 'The class is not in it.' } },
      { id: 'CVE-2021-44228', analysis: { state: 'exploitable' }, affects: [{ ref: 'a' }] },
      { id: 'CVE-2021-44228', analysis: { state: 'exploitable' }, affects: [{ ref: 'b' }] },
      { id: 'CVE-2', analysis: {} },
      { 'bom-ref': 'nameless' },
      { id: '' },
    ]
    assert.deepEqual(read({ ...bom, vulnerabilities }).vulnerabilities, [
      { id: 'CVE-2' },
      { id: 'CVE-2021-44228', state: 'exploitable' },
      { id: 'CVE-2021-44228', state: 'not_affected' },
      { id: 'GHSA-b' },
    ])
    assert.equal(read({ ...bom, vulnerabilities: [] }).vulnerabilities, undefined)
    const many = Array.from({ length: 1024 }, (_, i) => ({ id: `CVE-${i}` }))
    assert.equal(read({ ...bom, vulnerabilities: many }).vulnerabilities?.length, 1024)
  })

  const wrong: [what: string, vulnerabilities: unknown][] = [
    ['no list', {}],
    ['none that is an object', ['CVE-1']],
    ['a name that is no text', [{ id: 1 }]],
    ['a name of two lines', [{ id: 'CVE-1\nCVE-2' }]],
    ['a state that there is not', [{ id: 'CVE-1', analysis: { state: 'Not_Affected' } }]],
    ['a state of what has no name', [{ analysis: { state: 'fixed' } }]],
    ['a prototype’s name for a state', [{ id: 'CVE-1', analysis: { state: 'constructor' } }]],
    ['an analysis that is no object', [{ id: 'CVE-1', analysis: 'not_affected' }]],
    ['more than can be recorded', Array.from({ length: 1025 }, (_, i) => ({ id: `CVE-${i}` }))],
  ]
  for (const [what, vulnerabilities] of wrong) {
    it(`is refused with vulnerabilities that are ${what} (malformed_sbom)`, () => {
      assert.throws(() => read({ ...bom, vulnerabilities }), { code: 'malformed_sbom' })
    })
  }

  const subjects: [what: string, component: object][] = [
    [
      'its hashes',
      {
        hashes: [
          { alg: 'SHA-256', content: DIGEST.toUpperCase() },
          { alg: 'MD5', content: 'ab'.repeat(16) },
        ],
      },
    ],
    ['the version of an image', { version: `sha256:${DIGEST}` }],
    ['the package URL of an image', { purl: `pkg:oci/payments@sha256%3A${DIGEST}?tag=1` }],
  ]
  for (const [what, component] of subjects) {
    it(`takes what it is about from ${what}`, () => {
      const { subjects } = read({
        ...bom,
        metadata: { component: { type: 'application', name: 'payments', ...component } },
      })
      assert.deepEqual(subjects, [fromHex(DIGEST)])
    })
  }

  it('takes no other component for what it is about', () => {
    const hashes = [{ alg: 'SHA-256', content: DIGEST }]
    assert.deepEqual(read({ ...bom, components: [{ type: 'library', name: 'a', hashes }] }).subjects, [])
  })

  it('reads 1.2 to 1.7, and says of others which they are', () => {
    for (const specVersion of ['1.2', '1.3', '1.4', '1.5', '1.6', '1.7']) read({ ...bom, specVersion })
    for (const specVersion of ['1.1', '1.8', '1.60', '2.0', '1.6\n']) {
      assert.throws(() => read({ ...bom, specVersion }), { code: 'unsupported_sbom' })
    }
  })

  const component = { type: 'library', name: 'a' }
  const expression = { expression: 'MIT OR Apache-2.0' }
  const attached = (encoding: string) => ({ contentType: 'text/plain', encoding, content: 'AA==' })
  const patched = (patch: object) => ({ pedigree: { patches: [patch] } })
  const accepted: [what: string, change: object][] = [
    ['no serialNumber', { serialNumber: '' }],
    ['a time', { metadata: { timestamp: '2026-01-31T23:59:60.5+01:00' } }],
    ['every scope', { components: ['required', 'optional', 'excluded'].map((scope) => ({ ...component, scope })) }],
    [
      'a BLAKE3 of any length',
      { components: [{ ...component, hashes: [{ alg: 'BLAKE3', content: 'AB'.repeat(48) }] }] },
    ],
    ['a range of what is elsewhere', { components: [{ ...component, versionRange: 'vers:npm/*', isExternal: true }] }],
    [
      'licences, an expression of some, and what was patched',
      {
        metadata: { licenses: [{ license: { name: 'Ours', text: attached('base64') } }] },
        components: [
          { ...component, licenses: [{ license: { id: 'MIT' } }, { license: { name: 'Ours' } }] },
          { ...component, licenses: [expression], properties: [{ name: 'a' }] },
          {
            ...component,
            ...patched({ type: 'backport', diff: { text: attached('base64') }, resolves: [{ type: 'security' }] }),
          },
        ],
        services: [
          { name: 'b', data: [{ flow: 'bi-directional', classification: 'public' }], services: [{ name: 'c' }] },
        ],
      },
    ],
    [
      'several expressions before 1.5',
      { specVersion: '1.4', components: [{ ...component, licenses: [expression, expression] }] },
    ],
    ['a property without a name before 1.6', { specVersion: '1.5', components: [{ ...component, properties: [{}] }] }],
  ]
  for (const [what, change] of accepted) it(`takes ${what}`, () => void read({ ...bom, ...change }))

  const refused: [what: string, change: object][] = [
    ['a serialNumber that is cut short', { serialNumber: 'urn:uuid:3e671687-395b-41f5-a30f' }],
    ['a serialNumber that is no text', { serialNumber: 1 }],
    ['a day for a time', { metadata: { timestamp: '2026-01-31' } }],
    ['a component of 1.2 without a type', { specVersion: '1.2', components: [{ name: 'a' }] }],
    ['a dependency of nothing', { dependencies: [{ ref: '', dependsOn: [] }] }],
    ...(
      [
        ['a component without a type', { type: undefined }],
        ['a component of an unknown type', { type: 'toString' }],
        ['a component of an unknown scope', { scope: 'foo' }],
        ['an empty bom-ref', { 'bom-ref': '' }],
        ['a swid without tagId', { swid: { name: 'a' } }],
        ['a hash of an unknown algorithm', { hashes: [{ alg: 'SHA-42', content: DIGEST }] }],
        ['a hash that is none', { hashes: [{ alg: 'MD5', content: 'foo' }] }],
        ['a hash of another length', { hashes: [{ alg: 'SHA-512', content: DIGEST }] }],
        ['a version that is a number', { version: 7, purl: 'pkg:npm/a@1' }],
        ['a group that is a list', { group: ['a'], purl: 'pkg:npm/a@1' }],
        ['a package URL in the place of a name', { name: undefined, purl: 'pkg:npm/a@1' }],
        ['a range of versions of what is inside', { versionRange: 'vers:npm/*' }],
        ['a licence and an expression in one', { licenses: [{ ...expression, license: { name: 'a' } }] }],
        ['a licence that is neither', { licenses: [{}] }],
        ['a licence without id and name', { licenses: [{ license: {} }] }],
        ['a licence with id and name', { licenses: [{ license: { id: 'MIT', name: 'MIT' } }] }],
        ['an expression beside others', { licenses: [expression, expression] }],
        ['a licence in an unknown encoding', { licenses: [{ license: { id: 'MIT', text: attached('base85') } }] }],
        ['a property of a licence without a name', { licenses: [{ license: { id: 'MIT', properties: [{}] } }] }],
        ['a property without a name', { properties: [{ value: 'a' }] }],
        ['an unknown patch', patched({ type: 'constructor' })],
        ['a patch in an unknown encoding', patched({ type: 'monkey', diff: { text: attached('hex') } })],
        ['a patch of an unknown issue', patched({ type: 'monkey', resolves: [{ type: 'foo' }] })],
        ['a version and a range of them', { version: '1', versionRange: 'vers:npm/*', isExternal: true }],
      ] as [string, object][]
    ).map(([what, change]): [string, object] => [what, { components: [{ ...component, ...change }] }]),
    ['a version of the document that is a text', { version: '1' }],
    ['version 0 of the document', { version: 0 }],
    ['what depends on a thing without a name', { dependencies: [{ ref: 'a', dependsOn: [7] }] }],
    ['a licence of the document without id and name', { metadata: { licenses: [{ license: {} }] } }],
    ['a service without a name', { services: [{}] }],
    ['a service whose data flow nowhere', { services: [{ name: 'a', data: [{ flow: 'bar', classification: 'a' }] }] }],
    [
      'a service in another whose data are not classified',
      { services: [{ name: 'a', services: [{ name: 'b', data: [{ flow: 'inbound' }] }] }] },
    ],
    [
      'two components of one bom-ref, wherever they are',
      { components: [{ ...component, 'bom-ref': '1', components: [{ ...component, 'bom-ref': '1' }] }] },
    ],
  ]
  for (const [what, change] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => read({ ...bom, ...change }), { code: 'malformed_sbom' }))
  }
})

describe('readSbom', () => {
  it('is bound to the exact bytes', () => {
    const text = JSON.stringify(bom)
    assert.notEqual(toHex(readSbom(utf8(text)).digest), toHex(readSbom(utf8(`${text}\n`)).digest))
  })

  it('reads past a byte order mark', () =>
    assert.equal(readSbom(utf8(`\ufeff${JSON.stringify(bom)}`)).format, 'CycloneDX'))

  const deep = (levels: number): object => (levels === 0 ? {} : { name: 'a', components: [deep(levels - 1)] })
  const many = Array.from({ length: MAX_COMPONENTS + 1 }, (_, i) => ({ name: 'a', purl: `pkg:npm/a@${i}` }))
  const refused: [what: string, code: string, document: object][] = [
    ['another format', 'unsupported_sbom', { swid: 1 }],
    ['SPDX 2.1', 'unsupported_sbom', { spdxVersion: 'SPDX-2.1' }],
    ['components that are no list', 'malformed_sbom', { ...bom, components: {} }],
    ['a component that is no object', 'malformed_sbom', { ...bom, components: ['a'] }],
    ['a component of which nobody knows what it is', 'malformed_sbom', { ...bom, components: [{ type: 'library' }] }],
    ['a component whose package URL is none', 'malformed_sbom', { ...bom, components: [{ purl: 'npm:a' }] }],
    ['a package URL that is no text', 'malformed_sbom', { ...bom, components: [{ name: 'a', purl: 7 }] }],
    ['a package URL with white space', 'malformed_sbom', { ...bom, components: [{ purl: 'pkg:npm/a @1' }] }],
    ['a CPE name that is none', 'malformed_sbom', { ...bom, components: [{ name: 'a', cpe: 'cpe:a' }] }],
    ['a name of two lines', 'malformed_sbom', { ...bom, components: [{ name: 'a\nb' }] }],
    [
      'a SHA-256 value that is none',
      'malformed_sbom',
      { ...bom, metadata: { component: { name: 'a', hashes: [{ alg: 'SHA-256', content: 'aa' }] } } },
    ],
    ['metadata that is a list', 'malformed_sbom', { ...bom, metadata: [] }],
    ['components nested without end', 'malformed_sbom', { ...bom, components: [deep(40)] }],
    ['more components than a record has room for', 'malformed_sbom', { ...bom, components: many }],
  ]
  for (const [what, code, document] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => read(document), { code }))
  }

  it('refuses what is not JSON, and JSON with duplicate members', () => {
    for (const text of ['', 'bom', '{"bomFormat":"CycloneDX","bomFormat":"CycloneDX","specVersion":"1.6"}', '[]']) {
      assert.throws(() => readSbom(utf8(text)), { code: 'malformed_sbom' })
    }
  })

  it('refuses XML by name', () => {
    const xml = '<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>'
    assert.throws(() => readSbom(utf8(xml)), { code: 'unsupported_sbom', message: /XML/ })
  })

  it('has members of prototypes for members like any other', () => {
    const text = `{"__proto__":{"bomFormat":"CycloneDX"},"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"__proto__","version":"constructor"}]}`
    assert.deepEqual(readSbom(utf8(text)).others, [{ name: '__proto__', version: 'constructor' }])
  })
})
