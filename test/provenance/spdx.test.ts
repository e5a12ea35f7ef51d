import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromHex, utf8 } from '../../merkle/bytes.ts'
import { readSbom } from '../../provenance/workload/sbom.ts'

const read = (document: object) => readSbom(utf8(JSON.stringify(document)))
const DIGEST = 'ab'.repeat(32)

describe('readSbom, of SPDX 2', () => {
  const bare = {
    spdxVersion: 'SPDX-2.3',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: 'payments',
    dataLicense: 'CC0-1.0',
    documentNamespace: 'https://spdx.example/1',
    creationInfo: { created: '2026-01-31T12:00:00Z', creators: ['Tool: by hand'] },
  }
  const downloadLocation = 'NOASSERTION'
  const a = { SPDXID: 'SPDXRef-a', name: 'a', downloadLocation }
  const document = {
    ...bare,
    documentDescribes: ['SPDXRef-root'],
    packages: [
      {
        SPDXID: 'SPDXRef-root',
        name: 'payments',
        downloadLocation,
        versionInfo: '1',
        checksums: [
          { algorithm: 'SHA1', checksumValue: 'ab'.repeat(20) },
          { algorithm: 'SHA256', checksumValue: DIGEST },
        ],
      },
      {
        SPDXID: 'SPDXRef-x',
        name: 'x',
        downloadLocation,
        versionInfo: '2',
        externalRefs: [
          { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: 'pkg:pypi/X_y@2' },
          {
            referenceCategory: 'SECURITY',
            referenceType: 'cpe23Type',
            referenceLocator: 'cpe:2.3:a:x:x:2:*:*:*:*:*:*:*',
          },
          { referenceCategory: 'SECURITY', referenceType: 'cpe22Type', referenceLocator: 'cpe:/a:x:x:2' },
        ],
      },
      {
        SPDXID: 'SPDXRef-y',
        name: 'y',
        downloadLocation,
        versionInfo: 'NOASSERTION',
        checksums: [{ algorithm: 'SHA256', checksumValue: 'cd'.repeat(32) }],
      },
    ],
  }
  const content = {
    format: 'SPDX',
    specVersion: '2.3',
    serialNumber: 'https://spdx.example/1',
    subjects: [fromHex(DIGEST)],
    components: ['pkg:pypi/x-y@2'],
    others: [{ name: 'payments', version: '1' }, { name: 'y' }],
    cpes: ['cpe:/a:x:x:2', 'cpe:2.3:a:x:x:2:*:*:*:*:*:*:*'],
  }

  it('collects packages, and what the document describes', () => {
    const { digest: _, ...found } = read(document)
    assert.deepEqual(found, content)
  })

  it('takes the relationship DESCRIBES, in either direction, as it does documentDescribes', () => {
    const { documentDescribes: _, ...rest } = document
    const [DOCUMENT, ROOT] = ['SPDXRef-DOCUMENT', 'SPDXRef-root']
    const relationships = [
      { spdxElementId: DOCUMENT, relationshipType: 'DESCRIBES', relatedSpdxElement: ROOT },
      { spdxElementId: ROOT, relationshipType: 'DESCRIBED_BY', relatedSpdxElement: DOCUMENT },
    ]
    for (const each of relationships)
      assert.deepEqual(read({ ...rest, relationships: [each] }).subjects, content.subjects)
    assert.deepEqual(read(rest).subjects, [])
  })

  const head = [
    '# made by hand',
    'SPDXVersion: SPDX-2.3',
    'DataLicense: CC0-1.0',
    'SPDXID: SPDXRef-DOCUMENT',
    'DocumentName: payments',
    'DocumentNamespace: https://spdx.example/1',
    'Creator: Tool: by hand',
    'Created: 2026-01-31T12:00:00Z',
  ]

  it('reads the tag-value form as it does JSON', () => {
    const text = [
      ...head,
      'PackageName: payments',
      'SPDXID: SPDXRef-root',
      'PackageDownloadLocation: NOASSERTION',
      'PackageVersion: 1',
      `PackageChecksum: SHA256: ${DIGEST}`,
      'PackageComment: <text>several lines, of which one looks like a package:',
      'PackageName: nobody',
      '</text>',
      'PackageName: x',
      'SPDXID: SPDXRef-x',
      'PackageDownloadLocation: NOASSERTION',
      'PackageVersion: 2',
      'ExternalRef: PACKAGE-MANAGER purl pkg:pypi/X_y@2',
      'ExternalRef: SECURITY cpe23Type cpe:2.3:a:x:x:2:*:*:*:*:*:*:*',
      'ExternalRef: SECURITY cpe22Type cpe:/a:x:x:2',
      'PackageName: y',
      'SPDXID: SPDXRef-y',
      'PackageDownloadLocation: NOASSERTION',
      'PackageVersion: NOASSERTION',
      'Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-root',
      '',
    ].join('\r\n')
    const { digest: _, ...found } = readSbom(utf8(text))
    assert.deepEqual(found, content)
  })

  const aPackage = ['PackageName: a', 'SPDXID: SPDXRef-a', 'PackageDownloadLocation: NONE']

  it('refuses tag-value that is cut short, and references that are none', () => {
    for (const line of ['PackageComment: <text>', 'no tag', 'ExternalRef: purl', 'PackageChecksum: SHA256']) {
      const text = [...head, ...aPackage, line, ''].join('\n')
      assert.throws(() => readSbom(utf8(text)), { code: 'malformed_sbom' }, line)
    }
  })

  it('refuses tag-value without any of the lines that must be there', () => {
    const whole = [...head.slice(1), ...aPackage]
    readSbom(utf8(whole.join('\n')))
    for (const line of whole.slice(1)) {
      const text = whole.filter((each) => each !== line).join('\n')
      assert.throws(() => readSbom(utf8(text)), { code: 'malformed_sbom' }, line)
    }
  })

  const sha1 = { algorithm: 'SHA1', checksumValue: 'AB'.repeat(20) }
  const purl = { referenceCategory: 'PACKAGE_MANAGER', referenceType: 'purl', referenceLocator: 'pkg:npm/a@1' }
  const contains = { spdxElementId: 'SPDXRef-a', relationshipType: 'CONTAINS', relatedSpdxElement: 'NOASSERTION' }
  const taken: [what: string, change: object][] = [
    ['nothing but itself', {}],
    [
      'a time with fractions, as Syft and Trivy write it',
      { creationInfo: { ...bare.creationInfo, created: '2026-01-31T12:00:00.123Z' } },
    ],
    [
      'a namespace that is no URI, and the name of its package, as Bitnami writes them',
      { SPDXID: 'SPDXRef-a', documentNamespace: 'a-1', packages: [a] },
    ],
    ['a package without licences, in 2.2 too', { spdxVersion: 'SPDX-2.2', packages: [a] }],
    [
      'files without checksums, and with some',
      {
        files: [
          { SPDXID: 'f', fileName: '/f' },
          { SPDXID: 'g', fileName: './g', checksums: [sha1] },
        ],
      },
    ],
    [
      'relationships of 2.3 in 2.2, which lead elsewhere',
      { spdxVersion: 'SPDX-2.2', relationships: [{ ...contains, relationshipType: 'AMENDS' }] },
    ],
    ['a purpose', { packages: [{ ...a, primaryPackagePurpose: 'OPERATING-SYSTEM' }] }],
    ['members that there are not', { $schema: 'a', packages: [{ ...a, packageSupplier: 'NOASSERTION' }] }],
  ]
  for (const [what, change] of taken) it(`takes ${what}`, () => void read({ ...bare, ...change }))

  const { creationInfo } = bare
  const refused: [what: string, change: object][] = [
    ['no SPDXID', { SPDXID: undefined }],
    ['no name', { name: undefined }],
    ['an empty namespace', { documentNamespace: '' }],
    ['no namespace', { documentNamespace: undefined }],
    ['data under another licence', { dataLicense: 'MIT' }],
    ['nothing on its creation', { creationInfo: undefined }],
    ['no creators', { creationInfo: { ...creationInfo, creators: [] } }],
    ['creators that are objects', { creationInfo: { ...creationInfo, creators: [{ Tool: 'a' }] } }],
    ['creators of no kind', { creationInfo: { ...creationInfo, creators: ['by hand'] } }],
    ['creators that are no list', { creationInfo: { ...creationInfo, creators: 'Tool: a' } }],
    ['no time', { creationInfo: { ...creationInfo, created: undefined } }],
    ['a time in another form', { creationInfo: { ...creationInfo, created: '2026-01-31 12:00:00' } }],
    ['a description of what has no name', { documentDescribes: [{}] }],
    ['a version that is a number', { packages: [{ ...a, versionInfo: 7, externalRefs: [purl] }] }],
    ['a package without SPDXID', { packages: [{ ...a, SPDXID: undefined }] }],
    ['a package without a name', { packages: [{ ...a, name: undefined, externalRefs: [purl] }] }],
    ['a package that is nowhere', { packages: [{ ...a, downloadLocation: undefined }] }],
    ['two packages of one name', { packages: [a, a] }],
    ['a file and a package of one name', { packages: [a], files: [{ SPDXID: 'SPDXRef-a', fileName: 'a' }] }],
    ['a package for no purpose', { packages: [{ ...a, primaryPackagePurpose: 'library' }] }],
    ['a purpose in 2.2', { spdxVersion: 'SPDX-2.2', packages: [{ ...a, primaryPackagePurpose: 'LIBRARY' }] }],
    ['a checksum that is too short', { packages: [{ ...a, checksums: [{ ...sha1, checksumValue: 'ab' }] }] }],
    ['a checksum of no algorithm', { packages: [{ ...a, checksums: [{ ...sha1, algorithm: 'SHA-1' }] }] }],
    [
      'a checksum of 2.3 in 2.2',
      { spdxVersion: 'SPDX-2.2', packages: [{ ...a, checksums: [{ algorithm: 'BLAKE3', checksumValue: 'ab' }] }] },
    ],
    ['a checksum of a file that is none', { files: [{ SPDXID: 'f', fileName: 'f', checksums: ['ab'] }] }],
    ['a reference of no category', { packages: [{ ...a, externalRefs: [{ ...purl, referenceCategory: 'purl' }] }] }],
    ['a reference of no type', { packages: [{ ...a, externalRefs: [{ ...purl, referenceType: undefined }] }] }],
    ['a reference that is no object', { packages: [{ ...a, externalRefs: ['pkg:npm/a@1'] }] }],
    ['a relationship of no type', { relationships: [{ ...contains, relationshipType: 'DESCRIBE' }] }],
    ['a relationship to nothing', { relationships: [{ ...contains, relatedSpdxElement: undefined }] }],
    ['a file without a name', { files: [{ SPDXID: 'f' }] }],
    ['a licence without its text', { hasExtractedLicensingInfos: [{ licenseId: 'LicenseRef-1' }] }],
  ]
  for (const [what, change] of refused) {
    it(`refuses ${what} (malformed_sbom)`, () =>
      assert.throws(() => read({ ...bare, ...change }), { code: 'malformed_sbom' }))
  }
})

describe('readSbom, of SPDX 3', () => {
  const made = {
    type: 'CreationInfo',
    '@id': '_:c',
    specVersion: '3.0.1',
    created: '2026-01-31T12:00:00Z',
    createdBy: ['urn:us'],
  }
  const creationInfo = '_:c'
  const graph = [
    made,
    {
      type: 'SpdxDocument',
      creationInfo,
      spdxId: 'https://spdx.example/3',
      rootElement: ['https://spdx.example/3#sbom'],
    },
    {
      type: 'software_Sbom',
      creationInfo,
      spdxId: 'https://spdx.example/3#sbom',
      rootElement: ['https://spdx.example/3#p'],
    },
    {
      type: 'software_Package',
      creationInfo,
      spdxId: 'https://spdx.example/3#p',
      name: 'payments',
      software_packageVersion: '1',
      verifiedUsing: [{ type: 'Hash', algorithm: 'sha256', hashValue: DIGEST }],
    },
    { type: 'software_Package', creationInfo, spdxId: 'urn:a', name: 'a', software_packageUrl: 'pkg:npm/a@1' },
    {
      type: 'ai_AIPackage',
      creationInfo: made,
      spdxId: 'urn:b',
      name: 'b',
      externalIdentifier: [
        { type: 'ExternalIdentifier', externalIdentifierType: 'packageUrl', identifier: 'pkg:huggingface/x/b@AB' },
        { type: 'ExternalIdentifier', externalIdentifierType: 'cpe23', identifier: 'cpe:2.3:a:x:b:*:*:*:*:*:*:*:*' },
        '_:elsewhere',
      ],
    },
    { type: 'ExternalIdentifier', '@id': '_:elsewhere', externalIdentifierType: 'cpe22', identifier: 'cpe:/a:x:b' },
    { type: 'software_File', creationInfo, spdxId: 'urn:f', name: 'f' },
  ]
  const context = 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld'

  it('refuses references that multiply, and is not undone by many of them', () => {
    const roots = (count: number) => ({
      type: 'SpdxDocument',
      creationInfo,
      spdxId: 'urn:d',
      rootElement: new Array<string>(count).fill('urn:p'),
    })
    const packages = (count: number) =>
      new Array<object>(count).fill({ type: 'software_Package', creationInfo, spdxId: 'urn:p', name: 'a' })
    const many = read({ '@context': context, '@graph': [made, roots(200_000), ...packages(1)] })
    assert.deepEqual(many.others, [{ name: 'a' }])
    const start = performance.now()
    const squared = { '@context': context, '@graph': [made, roots(20_000), ...packages(20_000)] }
    assert.throws(() => read(squared), { code: 'malformed_sbom' })
    const elapsed = performance.now() - start
    assert.ok(elapsed < 2000, `${elapsed.toFixed(0)} ms`)
  })

  it('collects packages of all classes, and follows roots to what the document is about', () => {
    const { digest: _, ...found } = read({ '@context': context, '@graph': graph })
    assert.deepEqual(found, {
      format: 'SPDX',
      specVersion: '3.0.1',
      serialNumber: 'https://spdx.example/3',
      subjects: [fromHex(DIGEST)],
      components: ['pkg:huggingface/x/b@ab', 'pkg:npm/a@1'],
      others: [{ name: 'payments', version: '1' }],
      cpes: ['cpe:/a:x:b', 'cpe:2.3:a:x:b:*:*:*:*:*:*:*:*'],
    })
  })

  it('ends where roots lead in a circle', () => {
    const circle = [
      made,
      { type: 'SpdxDocument', creationInfo, spdxId: 'urn:a', rootElement: ['urn:b'] },
      { type: 'Bom', creationInfo, spdxId: 'urn:b', rootElement: ['urn:b'] },
    ]
    assert.deepEqual(read({ '@context': [context], '@graph': circle }).subjects, [])
  })

  it('takes prefixes in the context, which name nothing of SPDX', () => {
    const prefixes = { us: 'https://spdx.example/3#', 'urn-us': 'urn:us:' }
    const packages = [made, { type: 'software_Package', creationInfo, spdxId: 'us:a', name: 'a' }]
    assert.deepEqual(read({ '@context': [context, prefixes], '@graph': packages }).others, [{ name: 'a' }])
  })

  const spdx = 'https://spdx.org/rdf/3.0.1/terms/Software/'
  const otherNames: [what: string, context: unknown, more?: object][] = [
    ['a class under another name', [context, { p: 'software_Package' }]],
    ['a class under another name, by its IRI', [context, { p: `${spdx}Package` }]],
    ['a prefix for the terms of SPDX', [context, { p: spdx }]],
    ['a prefix for all of SPDX', [context, { p: 'https://spdx.org/' }]],
    ['a prefix in the place of a member', [context, { name: 'https://a.example/#' }]],
    ['a prefix in the place of a class', [context, { software_Package: 'https://a.example/#' }]],
    ['a prefix in the place of a value', [context, { sha256: 'https://a.example/#' }]],
    ['a keyword', [context, { '@vocab': 'https://a.example/#' }]],
    ['a term with a definition', [context, { p: { '@id': 'https://a.example/#' } }]],
    ['the context last', [{ us: 'https://a.example/#' }, context]],
    ['two contexts', [context, 'https://a.example/context.jsonld']],
    ['a context further down', context, { '@context': { p: 'software_Package' }, type: 'p', name: 'hidden' }],
    ['the context of another version', 'https://spdx.org/rdf/4.0/spdx-context.jsonld'],
  ]
  for (const [what, other, more] of otherNames) {
    it(`refuses what could give the packages other names: ${what}`, () => {
      const document = { '@context': other, '@graph': more ? [...graph, more] : graph }
      assert.throws(() => read(document), { code: 'unsupported_sbom' })
    })
  }

  const a = { type: 'software_Package', creationInfo, spdxId: 'urn:a', name: 'a' }
  const terms = {
    '@id': '_:i',
    type: 'ExternalIdentifier',
    externalIdentifierType: 'packageUrl',
    identifier: 'pkg:npm/a@1',
  }
  const relates = {
    type: 'Relationship',
    creationInfo,
    spdxId: 'urn:r',
    from: 'urn:a',
    to: ['urn:b'],
    relationshipType: 'contains',
  }
  const withGraph = (...more: unknown[]) => read({ '@context': context, '@graph': [made, ...more] })

  it('takes a single element without a graph, and extensions of others', () => {
    assert.deepEqual(read({ '@context': context, ...a, creationInfo: made }).others, [{ name: 'a' }])
    withGraph({ ...a, extension: [{ type: 'https://us.example/Extension', 'https://us.example/member': 1 }] }, relates)
  })

  const refused: [what: string, ...graph: unknown[]][] = [
    ['a package by its IRI', { ...a, type: `${spdx}Package` }],
    ['a package that is more than that', { ...a, type: ['software_Package', 'software_File'] }],
    ['a package that is said in JSON-LD’s own word', { ...a, type: 'software_File', '@type': 'software_Package' }],
    ['a package URL by its IRI', { ...a, [`${spdx}packageUrl`]: 'pkg:npm/a@1' }],
    ['identifiers within a set', { ...a, externalIdentifier: { '@set': [terms] } }],
    ['what is said of a package in an object of no type', a, { spdxId: 'urn:a', software_packageUrl: 'pkg:npm/a@1' }],
    [
      'what is said of a package in one of another type',
      a,
      { ...a, type: 'software_File', externalIdentifier: [terms] },
    ],
    ['a version that is a number', { ...a, software_packageVersion: 7, software_packageUrl: 'pkg:npm/a@1' }],
    ['identifiers that are no list', { ...a, externalIdentifier: terms }],
    ['an identifier that is nowhere', { ...a, externalIdentifier: ['_:i'] }],
    ['hashes that are numbers', { ...a, verifiedUsing: [7] }],
    ['roots that are none', { ...a, type: 'Bom', rootElement: [7] }],
    ['an element that is no object', 'urn:a'],
    ['an element without a name', { ...a, spdxId: undefined }],
    ['an element whose name is nobody else’s', { ...a, spdxId: '_:a' }],
    ['an element that nobody made', { ...a, creationInfo: undefined }],
    ['an element whose creation is elsewhere', { ...a, creationInfo: '_:d' }],
    ['an element whose creation is another thing', { ...a, creationInfo: { ...made, type: 'Hash' } }],
    ['a creation by nobody', { ...made, '@id': '_:d', createdBy: [] }],
    ['a creation at no time', { ...made, '@id': '_:d', created: 'today' }],
    ['a creation by no version', { ...made, '@id': '_:d', specVersion: undefined }],
    ['a creation by a later version', { ...made, '@id': '_:d', specVersion: '3.1.0' }],
    ['a hash of no algorithm', { type: 'Hash', algorithm: 'SHA256', hashValue: DIGEST }],
    ['a hash that is too short', { type: 'Hash', algorithm: 'sha256', hashValue: 'ab' }],
    ['an identifier of no type', { ...terms, externalIdentifierType: 'purl' }],
    ['an identifier that is none', { ...terms, identifier: undefined }],
    ['a relationship of no type', { ...relates, relationshipType: 'CONTAINS' }],
    ['a relationship to nothing', { ...relates, to: [] }],
    ['a relationship from nothing', { ...relates, from: undefined }],
  ]
  for (const [what, ...more] of refused) {
    it(`refuses ${what} (malformed_sbom)`, () => assert.throws(() => withGraph(...more), { code: 'malformed_sbom' }))
  }

  it('refuses members beside the graph', () => {
    assert.throws(() => read({ '@context': context, '@graph': graph, ...a }), { code: 'malformed_sbom' })
  })
})
