/**
 * Credentials, attestation results and bills of materials that other projects made: `../shared/vectors/domain`.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'
import { certifiedVerifier } from '../../clients/issuer/sigstore.ts'
import { readCmw, recordsOf } from '../../clients/verifier/evidence/cmw.ts'
import { readSubmission } from '../../clients/verifier/evidence/submission.ts'
import { fromBase64, fromUtf8, toBase64url, utf8 } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import { attestedJwk, parseEarClaims, verifyEar } from '../../provenance/attestation/attestation-result.ts'
import { TRUSTEE_PROFILE, tierOfResult, VERAISON_PROFILE } from '../../provenance/attestation/ear-claims.ts'
import { decodePem, parseCertificate } from '../../provenance/certificates/certificate.ts'
import { checkCertificatePath, subjectOfCertificate } from '../../provenance/certificates/workload-certificate.ts'
import { parseCredential, verifyCredentialSignature } from '../../provenance/credential.ts'
import { workloadFacts } from '../../provenance/issuance/workload-facts.ts'
import { isJsonObject, JsonNumber, parseJson } from '../../provenance/json.ts'
import { decodeCompactJws, verifyCompactJws } from '../../provenance/jws.ts'
import { parseBundle } from '../../provenance/verification/trust.ts'
import { readAttestations } from '../../provenance/workload/attestation.ts'
import { readBuild } from '../../provenance/workload/build.ts'
import { readSbom } from '../../provenance/workload/sbom.ts'
import { jwkThumbprint, kidOf, parsePublicJwk, publicJwkOf } from '../../statement/cose-key.ts'
import { newKeyPair } from '../key-pairs.ts'
import { newKey } from '../provenance/world.ts'
import { readTextVector, readVector, vectorPath, vectorsMissing } from './shared-vectors.ts'

const skip = vectorsMissing

/** The roots of Sigstore's public instance, as `@sigstore/tuf` has them to begin with. */
function publicRoots(): Uint8Array {
  const path = createRequire(import.meta.url)
    .resolve('@sigstore/tuf')
    .replace(/dist\/.*$/, 'seeds.json')
  const { targets } = JSON.parse(readFileSync(path, 'utf8'))['https://tuf-repo-cdn.sigstore.dev']
  return fromBase64(targets['trusted_root.json'])
}

describe('wimse: the tokens of draft-ietf-wimse-s2s-protocol', { skip }, () => {
  // Printed in the draft, beside the token that it signs.
  const june5 = parsePublicJwk({
    kty: 'EC',
    crv: 'P-256',
    x: 'kXqnA2Op7hgd4zRMbw0iFcc_hDxUxhojxOFVGjE2gks',
    y: 'n__VndPMR021-59UAs0b9qDTFT-EZtT6xSNs_xFskLo',
  })
  const anchors = { trustDomain: 'example.com', tokenKeys: new Map([['June 5', june5]]), certificates: [] }
  const issuedAt = 1_745_508_910

  it('the WIT says what the draft says, and is valid until it expires', async () => {
    const credential = parseCredential(readVector('domain/wimse/wit.txt'))
    assert.equal(credential.subject.uri, 'wimse://example.com/specific-workload')
    assert.equal(credential.identifier, 'x-_1CTL2cca3CSE4cwb_l')
    assert.equal(credential.notAfter, 1_745_512_510)
    assert.equal(credential.publicJwk.kty, 'OKP')
    await verifyCredentialSignature(credential, anchors, issuedAt)
    await assert.rejects(verifyCredentialSignature(credential, anchors, 1_745_512_510), { code: 'credential_expired' })
  })

  it('the WPT is signed with the key of the WIT, and names it by the digest that we use', async () => {
    const credential = parseCredential(readVector('domain/wimse/wit.txt'))
    const proof = readTextVector('domain/wimse/wpt.txt').trim()
    const { payload } = await verifyCompactJws(proof, credential.publicJwk, { typ: ['wpt+jwt'] })
    assert.equal(JSON.parse(payload).wth, toBase64url(credential.digest))
  })

  it('the WITs of the HTTP signature examples are for the keys of their services', () => {
    for (const [file, name] of [
      ['sigs-request.txt', 'svca'],
      ['sigs-response.txt', 'svcb'],
    ] as const) {
      const token = /^Workload-Identity-Token: (\S+)/m.exec(readTextVector(`domain/wimse/${file}`))![1]!
      const credential = parseCredential(utf8(token))
      const { kty, crv, x } = JSON.parse(readTextVector(`domain/wimse/sigs-${name}-jwk.txt`))
      assert.equal(credential.subject.uri.toLowerCase(), `wimse://example.com/${name}`)
      assert.equal(credential.keyThumbprint, jwkThumbprint(parsePublicJwk({ kty, crv, x })))
    }
  })
})

describe('ear: the examples of draft-ietf-rats-ear-03', { skip }, () => {
  const read = (name: string) => parseEarClaims(readTextVector(`domain/ear/${name}.diag`))

  it('are read, each with its status', () => {
    assert.equal(tierOfResult(read('ietf-ear-json-1')), 'contraindicated')
    assert.equal(tierOfResult(read('ietf-ear-json-2')), 'affirming')
    assert.equal(read('ietf-ear-json-2').appraisals.size, 2)
    const annotated = read('ietf-ext-veraison-json-1').appraisals.get('PSA_IOT')
    assert.equal(annotated?.annotatedEvidence?.['psa-client-id'], 1)
    assert.ok(read('ietf-ext-veraison-json-2').appraisals.get('PARSEC_TPM')?.attestedKey)
  })
})

describe('ear: tokens and claims of Veraison and Trustee', { skip }, () => {
  const key = () => {
    const { kty, crv, x, y } = JSON.parse(readTextVector('domain/ear/veraison-ear-es256-pub.jwk'))
    return parsePublicJwk({ kty, crv, x, y })
  }
  const token = (name: string) => readTextVector(`domain/ear/${name}.jwt`).trim()

  for (const [name, part] of [
    ['veraison-arc-testJWT', 'test'],
    // It brings a key of its own along, which nobody looks at.
    ['veraison-arc-testJWT_JWK', 'test'],
    ['veraison-verify-pass-0', 'test'],
  ] as const) {
    it(`${name} is signed, and affirms`, async () => {
      const claims = await verifyEar(token(name), key())
      assert.equal(claims.profile, VERAISON_PROFILE)
      assert.equal(tierOfResult(claims), 'affirming')
      assert.equal(claims.appraisals.get(part)?.policyIds?.length, 1)
      await assert.rejects(verifyEar(token(name), publicJwkOf(newKey())), { code: 'bad_signature' })
    })
  }

  it('the token in the appendix of the draft writes iat as a float, and is refused for it', async () => {
    const jwt = token('ietf-draft-appendix-opa')
    const claims = parseJson(decodeCompactJws(jwt).payload)
    assert.deepEqual(isJsonObject(claims) && claims['iat'], new JsonNumber('1.666529184e+09'))
    await verifyCompactJws(jwt, key(), { typ: ['JWT'] })
    await assert.rejects(verifyEar(jwt, key()), { code: 'malformed_result', message: /iat/ })
  })

  const read = (name: string) => parseEarClaims(readTextVector(`domain/ear/${name}.json`))
  for (const [name, tier] of [
    ['veraison-ear-claims', 'affirming'],
    ['veraison-ear-claims-tv-ok', 'affirming'],
    ['veraison-ear-claims-extension-ok', 'affirming'],
    ['veraison-ear-claims-key-attestation-ok', 'affirming'],
    ['trustee-example.token', 'contraindicated'],
  ] as const) {
    it(`${name} is ${tier}`, () => assert.equal(tierOfResult(read(name)), tier))
  }

  it('says which key was attested, and what the evidence said', () => {
    const attested = read('veraison-ear-claims-key-attestation-ok').appraisals.get('PARSEC_TPM')
    assert.deepEqual(attestedJwk(attested!)?.kty, 'EC')
    const { profile, appraisals } = read('trustee-example.token')
    assert.equal(profile, TRUSTEE_PROFILE)
    assert.deepEqual(appraisals.get('cpu0')?.policyIds, ['default'])
    assert.ok(appraisals.get('cpu0')?.annotatedEvidence?.['sgx'])
  })

  it('a key attestation without a key is refused', () => {
    assert.throws(() => read('veraison-ear-claims-key-attestation-ko'), { code: 'malformed_result' })
  })

  it('what Veraison’s services say of good and bad evidence is read, each with its statuses', () => {
    const files = readdirSync(vectorPath('domain/veraison')).filter((name) => name.startsWith('services-results-'))
    assert.ok(files.length >= 11)
    for (const file of files) {
      const submods = JSON.parse(readTextVector(`domain/veraison/${file}`))
      const { appraisals } = parseEarClaims(
        JSON.stringify({
          eat_profile: VERAISON_PROFILE,
          iat: 1_700_000_000,
          'ear.verifier-id': { developer: 'https://veraison-project.org', build: 'services' },
          submods,
        }),
      )
      for (const [label, { status }] of appraisals)
        assert.equal(status, submods[label]['ear.status'], `${file} ${label}`)
    }
  })
})

describe('spiffe: bundles of go-spiffe', { skip }, () => {
  const read = (name: string) =>
    parseBundle(parseJson(readTextVector(`domain/spiffe/bundle_spiffebundle-spiffebundle_${name}.json`)), 'example.org')

  it('are read, anchors of P-384 and keys for tokens alike', () => {
    for (const name of ['valid_1', 'valid_2', 'valid_with_wit']) assert.ok(read(name).certificates.length > 0, name)
    assert.equal(read('valid_1').tokenKeys.size, 0)
    assert.ok(read('valid_with_wit').tokenKeys.size > 0)
  })

  it('with two certificates in one entry are refused', () => {
    assert.throws(() => read('multiple_x509'), { code: 'malformed_trust' })
  })

  it('without a list of keys are refused', () => {
    assert.throws(() => read('no_keys'), { code: 'malformed_trust' })
  })

  it('with a key for tokens that has no name are refused', () => {
    assert.throws(() => read('missing_kid'), { code: 'malformed_trust' })
  })

  // JWK Sets for one use, as SPIRE has them beside bundles; without `use` they are keys of no bundle.
  it('of one use are no bundle', () => {
    for (const name of ['bundle_jwtbundle-jwks_valid_1', 'exp_bundle_witbundle-jwks_valid_1']) {
      const set = parseBundle(parseJson(readTextVector(`domain/spiffe/${name}.json`)), 'example.org')
      assert.equal(set.tokenKeys.size, 0)
    }
  })
})

describe('spiffe: X.509-SVIDs of go-spiffe', { skip }, () => {
  const chain = (name: string) =>
    decodePem(readTextVector(`domain/spiffe/svid_x509svid-${name}.pem`)).map(parseCertificate)
  const at = Date.UTC(2020, 3, 1) / 1000

  it('good ones say who they are for', () => {
    for (const name of ['good-leaf-only', 'good-leaf-and-intermediate']) {
      assert.equal(subjectOfCertificate(chain(name)[0]!).uri, 'spiffe://example.org/workload-1')
    }
    const credential = parseCredential(readVector('domain/spiffe/svid_x509svid-good-leaf-only.pem'))
    assert.equal(credential.publicJwk.kty, 'RSA')
  })

  for (const [name, code] of [
    ['good-leaf-only', 'unknown_anchor'],
    ['wrong-leaf-ca-true', 'certificate_is_ca'],
    ['wrong-leaf-cert-sign', 'certificate_is_ca'],
    ['wrong-leaf-no-digital-signature', 'certificate_wrong_usage'],
    ['wrong-intermediate-no-ca', 'certificate_not_ca'],
  ] as const) {
    it(`${name} is refused (${code})`, async () => {
      const [leaf, ...rest] = chain(name)
      await assert.rejects(checkCertificatePath(leaf!, rest, [], at), { code })
    })
  }

  it('good-leaf-and-intermediate holds under its intermediate, ECDSA with SHA-384', async () => {
    const [leaf, intermediate] = chain('good-leaf-and-intermediate')
    await checkCertificatePath(leaf!, [], [intermediate!], Date.UTC(2020, 2, 24, 14, 30) / 1000)
  })

  it('what is no certificate is refused', () => {
    assert.throws(() => chain('corrupt-cert'), { code: 'malformed_der' })
    assert.throws(() => decodePem(readTextVector('domain/spiffe/svid_x509svid-not-pem')), {
      code: 'malformed_credential',
    })
  })
})

describe('sbom: CycloneDX documents', { skip }, () => {
  const files = skip ? [] : readdirSync(vectorPath('domain/sbom')).filter((name) => name.startsWith('cdx-'))
  for (const name of files) {
    it(`${name} is read, and bound to its bytes`, () => {
      const bytes = readVector(`domain/sbom/${name}`)
      const sbom = readSbom(bytes)
      assert.equal(sbom.format, 'CycloneDX')
      assert.deepEqual(sbom.digest, sha256(bytes))
      // An independent count: every text that looks like a package URL under a "purl" member.
      const purls = new Set(
        [...fromUtf8(bytes).matchAll(/"purl"\s*:\s*"([^"]*)"/g)].map(([, purl]) => JSON.parse(`"${purl}"`)),
      )
      for (const component of sbom.components) assert.ok(purls.has(component))
      assert.ok(sbom.components.length <= purls.size)
    })
  }
})

describe('cmw: wrappers of the draft and of Veraison', { skip }, () => {
  const read = (name: string) => readCmw(readVector(`domain/cmw/${name}`))
  const types = (name: string) => recordsOf(read(name)!).map(([label, { type }]) => [label, type])
  const eat = [
    ['attester A', 'application/eat-ucs+json'],
    ['attester B', 'application/eat-ucs+cbor'],
  ]

  it('are read, each with its labels and types', () => {
    assert.deepEqual(types('ietf-cmw-example-1.json'), [[undefined, 'application/vnd.example.rats-conceptual-msg']])
    assert.match(String(types('ietf-cmw-example-2.json')[0]![1]), /^application\/eat\+cwt; eat_profile=/)
    assert.deepEqual(types('ietf-collection-example-1.json'), eat)
    assert.deepEqual(types('ietf-collection-example-2.json'), eat)
    assert.deepEqual(types('veraison-collection-ok.json'), [
      ['a', 'application/vnd.a'],
      ['b', 'application/vnd.b'],
    ])
    assert.deepEqual(types('veraison-collection-cbor-ok.cbor'), [
      ['1', 'application/signed-corim+cbor'],
      ['2', 29_884],
      ['s', 30_001],
    ])
    assert.deepEqual(types('veraison-collection-cbor-ok-2.cbor'), [['1', 'application/vnd.1']])
    assert.deepEqual(types('veraison-collection-cbor-mixed-keys.cbor'), [
      ['string', 0],
      ['1024', 0],
    ])
  })

  it('are found in certificates', () => {
    assert.deepEqual(types('veraison-x509-cert+json-cmw.der'), types('veraison-collection-ok.json'))
    assert.equal(types('veraison-x509-cert+cbor-cmw.der').length, 3)
  })

  it('of evidence that nobody here appraises are refused whole', () => {
    const file = readVector('domain/cmw/ietf-collection-example-2.json')
    assert.throws(() => readSubmission(file, 'cmw'), { code: 'unknown_evidence_format' })
  })
})

describe('slsa: attestations of builds', { skip }, () => {
  const files = skip ? [] : readdirSync(vectorPath('domain/slsa'))
  assert.ok(skip || files.length === 8)
  for (const name of files) {
    it(`${name} is taken apart, and is nobody's word`, async () => {
      const [attestation, ...more] = await readAttestations(readVector(`domain/slsa/${name}`), [])
      assert.equal(more.length, 0)
      const build = readBuild(attestation!)
      assert.match(build.predicateType, /^https:\/\/slsa.dev\/provenance\/(v0.2|v1)$/)
      assert.match(build.builderId!, /^https:\/\/github.com\//)
      assert.match(attestation!.statement.subjects[0]!, /^[0-9a-f]{64}$/)

      // That of an untrusted builder, of an expired certificate, of one that no log has: none of them is a builder to a policy.
      const facts = workloadFacts(
        { sbom: [], build: [build], compliance: [] },
        { subject: attestation!.statement.subjects[0]!, publisher: 'p' },
        [],
      )
      assert.deepEqual([facts.builders, facts.unverifiedBuilders], [[], [build.builderId]])
    })

    it(`${name} is signed by the key that its certificate has, and by no other`, async () => {
      const bytes = readVector(`domain/slsa/${name}`)
      // The first certificate in it, wherever the version of the format has it: PEM in a signature, or DER.
      const [, pem, der] = /"cert":\s*"([^"]+)"|"rawBytes":\s*"([^"]+)"/.exec(fromUtf8(bytes))!
      const certificate = new X509Certificate(pem ? JSON.parse(`"${pem}"`) : Buffer.from(der!, 'base64'))
      const key = parsePublicJwk(certificate.publicKey.export({ format: 'jwk' }))
      assert.equal((await readAttestations(bytes, [key]))[0]!.signer, kidOf(key))
      const stranger = parsePublicJwk(newKeyPair('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }))
      await assert.rejects(readAttestations(bytes, [stranger]), { code: 'bad_signature' })
    })
  }

  const GITHUB = 'https://token.actions.githubusercontent.com'
  const SLSA = 'https://github.com/slsa-framework/slsa-github-generator/.github/workflows'
  const MALICIOUS =
    'https://github.com/asraa/slsa-github-generator/.github/workflows/builder_go_slsa3.yml@refs/heads/malicious'
  const verify = async (name: string, subject: string, issuer = GITHUB) => {
    const verifier = await certifiedVerifier({ roots: publicRoots(), identity: { subject, issuer } })
    return (await readAttestations(readVector(`domain/slsa/${name}`), [], verifier))[0]!
  }

  const bundles: [name: string, subject: string][] = [
    [
      'gha_container-based-binary-linux-amd64-v14.intoto.sigstore',
      `${SLSA}/builder_container-based_slsa3.yml@refs/tags/v1.7.0`,
    ],
    ['binary-linux-amd64-push-v14.intoto.build.slsa', `${SLSA}/builder_container-based_slsa3.yml@refs/tags/v2.0.0`],
    [
      'MODULE.bazel.intoto.jsonl',
      'https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v0.0.1',
    ],
  ]
  for (const [name, subject] of bundles) {
    it(`${name} verifies by the roots of Sigstore, and is its builder's word`, async () => {
      const found = await verify(name, subject)
      assert.deepEqual(found.identity, { subject, issuer: GITHUB })
      const facts = workloadFacts(
        { sbom: [], build: [readBuild(found)], compliance: [] },
        { subject: found.statement.subjects[0]!, publisher: 'p' },
        [],
      )
      assert.deepEqual([facts.builders, facts.buildIdentities], [[subject], [`${GITHUB} ${subject}`]])
      await assert.rejects(verify(name, `${SLSA}/builder_go_slsa3.yml@refs/tags/v2.0.0`), { code: 'unexpected_signer' })
      await assert.rejects(verify(name, subject, 'https://accounts.google.com'), { code: 'unexpected_signer' })
    })
  }

  it('one by another builder than is trusted is refused, whoever signed it', async () => {
    await assert.rejects(
      verify('binary-linux-amd64-untrusted-builder.intoto.jsonl', `${SLSA}/builder_go_slsa3.yml@refs/tags/v1.4.0`),
      { code: 'unexpected_signer' },
    )
  })

  // Envelopes of the older form have no log entry with them: their own verifier asks Rekor for it. We ask nobody, so that nothing says
  // when they were signed: within the ten minutes of the certificate, or after it had expired.
  const unlogged: [name: string, subject: string][] = [
    ['binary-linux-amd64-expired-cert.intoto.jsonl', MALICIOUS],
    ['binary-linux-amd64-no-tlog-upload.intoto.jsonl', MALICIOUS],
    ['binary-linux-amd64-e2e-builder-repo.intoto.jsonl', `${SLSA}/builder_go_slsa3.yml@refs/heads/main`],
    ['binary-linux-amd64-multi-subject-first.intoto.jsonl', `${SLSA}/generator_generic_slsa3.yml@refs/heads/main`],
  ]
  for (const [name, subject] of unlogged) {
    it(`${name} is refused: it brings no log entry`, async () => {
      await assert.rejects(verify(name, subject), { code: 'attestation_not_logged' })
    })
  }
})
